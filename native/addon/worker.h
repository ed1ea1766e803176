#pragma once

// A thread of Node's that is being terminated takes no exceptions any more; without this that would end the process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <atomic>
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
  std::function<void()> run;                     ///< engine thread; may throw
  std::function<Napi::Value(Napi::Env)> result;  ///< JavaScript thread
  Napi::Promise::Deferred deferred;
  std::vector<Napi::ObjectReference> keep;  ///< typed arrays whose memory `run` reads
  std::exception_ptr failure;
};

class Worker;

/// What one JavaScript environment (the main thread, or a worker thread) has of this addon.
struct Engine {
  Napi::FunctionReference modelClass;
  std::vector<std::weak_ptr<Worker>> workers;  ///< those of models that are open or being opened

  /// Cancels and ends all of them, for a process that exits. Node tells of that by an event alone: it calls no clean-up
  /// hooks then, and libc's exit destroys what the libraries keep, oneDNN's compiled kernels among it, under the feet of
  /// threads that run.
  void stop();
};

/// One thread for each model, which is the caller of all that its backend does. Tasks run in order; promises are settled
/// on JavaScript's thread. The event loop is kept alive only while there are tasks.
///
/// Two ways to the end: `close`, when JavaScript asks for it, lets the running task finish and rejects those that wait;
/// `shutdown`, when the environment goes down or nobody holds the model any more, may settle nothing, so it cancels the
/// running task and waits for the thread.
class Worker : public std::enable_shared_from_this<Worker> {
 public:
  static std::shared_ptr<Worker> make(Napi::Env env);
  ~Worker();

  Napi::Promise post(Napi::Env env, std::function<void()> run, std::function<Napi::Value(Napi::Env)> result,
                     std::vector<Napi::ObjectReference> keep = {});
  /// Resolves when the model's memory is free.
  Napi::Promise close(Napi::Env env);
  /// Called again, it does nothing.
  void shutdown();
  /// The first half of `shutdown`, without the waiting.
  void cancel();
  /// Calls off the task that runs now, if one does; those after it are done.
  void interrupt() { cancelled_ = true; }

  // Of the engine's thread alone.
  std::shared_ptr<Backend> backend;
  std::unique_ptr<Model> model;

  /// As they were after the last task.
  std::atomic<size_t> currentBytes{0}, peakBytes{0};

 private:
  Worker() = default;
  void loop();
  void report(std::unique_ptr<Task> task);
  void settle(Napi::Env env, std::unique_ptr<Task> task);
  void enter(Napi::Env env);

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Task>> queue_;
  std::unique_ptr<Task> last_;  ///< settled when the thread has freed the model
  bool stopping_ = false;
  std::atomic<bool> cancelled_{false};
  bool ended_ = false;                ///< JavaScript thread only
  int64_t pending_ = 0;               ///< JavaScript thread only
  std::function<void()> removeHook_;  ///< JavaScript thread only
  Napi::ThreadSafeFunction report_;
};

}  // namespace sftlab
