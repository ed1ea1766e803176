#include "addon/worker.h"

#include <new>

#include "io/error.h"

namespace sftlab {

namespace {

/// A JavaScript error with the fields that src/engine turns into a LabError.
Napi::Value errorValue(Napi::Env env, std::exception_ptr failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    Napi::Object value = Napi::Error::New(env, error.what()).Value();
    value.Set("engine", true);
    value.Set("file", error.file);
    value.Set("field", error.field);
    value.Set("advice", error.advice);
    return value;
  } catch (const std::bad_alloc&) {
    Napi::Object value = Napi::Error::New(env, "not enough memory").Value();
    value.Set("engine", true);
    value.Set("advice", "Lower max_length or per_device_train_batch_size, or use LoRA.");
    return value;
  } catch (const std::exception& error) {
    return Napi::Error::New(env, error.what()).Value();
  }
}

}  // namespace

std::shared_ptr<Worker> Worker::make(Napi::Env env) {
  std::shared_ptr<Worker> worker(new Worker());
  worker->report_ = Napi::ThreadSafeFunction::New(env, Napi::Function(), "sft-lab engine", 0, 1);
  worker->report_.Unref(env);
  worker->thread_ = std::thread([raw = worker.get()] { raw->loop(); });
  env.AddCleanupHook([weak = std::weak_ptr<Worker>(worker)] {
    if (const auto alive = weak.lock()) alive->shutdown();
  });
  return worker;
}

Worker::~Worker() { shutdown(); }

void Worker::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  queue_.clear();
  report_.Release();
}

Napi::Promise Worker::post(Napi::Env env, std::function<void()> run, std::function<Napi::Value(Napi::Env)> result,
                           std::vector<Napi::ObjectReference> keep) {
  auto task = std::make_unique<Task>(Task{std::move(run), std::move(result), Napi::Promise::Deferred::New(env), std::move(keep), {}});
  const Napi::Promise promise = task->deferred.Promise();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      task->deferred.Reject(Napi::Error::New(env, "the model is closed").Value());
      return promise;
    }
    queue_.push_back(std::move(task));
  }
  if (pending_++ == 0) report_.Ref(env);
  wake_.notify_one();
  return promise;
}

void Worker::loop() {
  for (;;) {
    std::unique_ptr<Task> task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) break;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      task->run();
    } catch (...) {
      task->failure = std::current_exception();
    }
    // While the environment goes down the call is refused; the task is then leaked on purpose, since its JavaScript references can be
    // released on JavaScript's thread alone.
    Task* const raw = task.release();
    report_.BlockingCall(raw, [this](Napi::Env env, Napi::Function, Task* done) {
      if (env) settle(env, std::unique_ptr<Task>(done));
    });
  }
  model.reset();  // on the thread that made it
  backend.reset();
}

void Worker::settle(Napi::Env env, std::unique_ptr<Task> task) {
  const Napi::HandleScope scope(env);
  const auto self = shared_from_this();
  if (--pending_ == 0) report_.Unref(env);
  if (task->failure) {
    task->deferred.Reject(errorValue(env, task->failure));
    return;
  }
  task->deferred.Resolve(task->result(env));
}

}  // namespace sftlab
