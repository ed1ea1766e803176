#pragma once

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "model/model.h"

namespace sftlab {

/// A piece of work for the engine's thread and what becomes of it on JavaScript's.
struct Task {
  std::function<void()> run;                        ///< engine thread; may throw
  std::function<Napi::Value(Napi::Env)> result;     ///< JavaScript thread
  Napi::Promise::Deferred deferred;
  std::vector<Napi::ObjectReference> keep;          ///< typed arrays whose memory `run` reads
  std::exception_ptr failure;
};

/// One thread for each model, because an OpenMP team belongs to the thread that started it. Tasks run in order; promises are settled on
/// JavaScript's thread. The event loop is kept alive only while there are tasks.
class Worker : public std::enable_shared_from_this<Worker> {
 public:
  static std::shared_ptr<Worker> make(Napi::Env env);
  ~Worker();

  Napi::Promise post(Napi::Env env, std::function<void()> run, std::function<Napi::Value(Napi::Env)> result,
                     std::vector<Napi::ObjectReference> keep = {});
  /// Waits for the running task, drops the others, ends the thread. Called again, it does nothing.
  void shutdown();

  std::shared_ptr<Backend> backend;
  std::unique_ptr<Model> model;

 private:
  Worker() = default;
  void loop();
  void settle(Napi::Env env, std::unique_ptr<Task> task);

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Task>> queue_;
  bool stopping_ = false;
  int64_t pending_ = 0;  ///< JavaScript thread only
  Napi::ThreadSafeFunction report_;
};

}  // namespace sftlab
