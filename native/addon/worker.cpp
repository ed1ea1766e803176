#include "addon/worker.h"

#include <algorithm>
#include <new>

#include "io/cancel.h"

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
    value.Set("code", "ENOMEM");
    value.Set("advice", "Lower max_length or per_device_train_batch_size, or use LoRA.");
    return value;
  } catch (const std::exception& error) {
    return Napi::Error::New(env, error.what()).Value();
  }
}

Napi::Value closedError(Napi::Env env) { return Napi::Error::New(env, "the model is closed").Value(); }

}  // namespace

void Engine::stop() {
  std::vector<std::shared_ptr<Worker>> alive;
  for (const auto& weak : workers) {
    if (auto worker = weak.lock()) alive.push_back(std::move(worker));
  }
  for (const auto& worker : alive) worker->cancel();
  for (const auto& worker : alive) worker->shutdown();
}

std::shared_ptr<Worker> Worker::make(Napi::Env env) {
  std::shared_ptr<Worker> worker(new Worker());
  worker->report_ = Napi::ThreadSafeFunction::New(env, Napi::Function(), "sft-lab engine", 0, 1);
  worker->report_.Unref(env);
  const std::weak_ptr<Worker> weak(worker);
  auto hook = env.AddCleanupHook([weak] {
    if (const auto alive = weak.lock()) {
      alive->removeHook_ = nullptr;  // it is running
      alive->shutdown();
    }
  });
  worker->removeHook_ = [hook, env]() mutable { hook.Remove(env); };
  auto& workers = env.GetInstanceData<Engine>()->workers;
  std::erase_if(workers, [](const auto& other) { return other.expired(); });
  workers.push_back(weak);
  worker->thread_ = std::thread([raw = worker.get()] { raw->loop(); });
  return worker;
}

Worker::~Worker() { shutdown(); }

void Worker::cancel() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    cancelled_ = true;
  }
  wake_.notify_all();
}

void Worker::shutdown() {
  if (ended_) return;
  ended_ = true;
  cancel();
  if (thread_.joinable()) thread_.join();
  queue_.clear();
  report_.Release();
  if (removeHook_) removeHook_();
}

/// A promise more to settle: as long as there is one, the event loop goes on.
void Worker::enter(Napi::Env env) {
  if (pending_++ == 0) report_.Ref(env);
}

Napi::Promise Worker::post(Napi::Env env, std::function<void()> run, std::function<Napi::Value(Napi::Env)> result,
                           std::vector<Napi::ObjectReference> keep) {
  auto task = std::make_unique<Task>(
      Task{std::move(run), std::move(result), Napi::Promise::Deferred::New(env), std::move(keep), {}});
  const Napi::Promise promise = task->deferred.Promise();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      task->deferred.Reject(closedError(env));
      return promise;
    }
    queue_.push_back(std::move(task));
  }
  enter(env);
  wake_.notify_one();
  return promise;
}

Napi::Promise Worker::close(Napi::Env env) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  std::deque<std::unique_ptr<Task>> dropped;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      deferred.Resolve(env.Undefined());
      return deferred.Promise();
    }
    stopping_ = true;
    dropped.swap(queue_);
    auto result = [self = shared_from_this()](Napi::Env settled) {
      self->shutdown();
      return settled.Undefined();
    };
    last_ = std::make_unique<Task>(Task{{}, std::move(result), deferred, {}, {}});
  }
  enter(env);
  wake_.notify_one();
  pending_ -= static_cast<int64_t>(dropped.size());
  for (const auto& task : dropped) task->deferred.Reject(closedError(env));
  return deferred.Promise();
}

void Worker::loop() {
  cancelFlag = &cancelled_;
  for (;;) {
    std::unique_ptr<Task> task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) break;
      cancelled_ = false;  // that was the task before
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      task->run();
    } catch (...) {
      task->failure = std::current_exception();
    }
    currentBytes = backend ? backend->currentBytes() : 0;
    peakBytes = backend ? backend->peakBytes() : 0;
    report(std::move(task));
  }
  model.reset();  // on the thread that made it
  backend.reset();
  if (last_) report(std::move(last_));
}

void Worker::report(std::unique_ptr<Task> task) {
  // While the environment goes down the call is refused or gets no environment; the task is then leaked on purpose,
  // since its JavaScript references can be released on JavaScript's thread alone.
  report_.BlockingCall(task.release(), [this](Napi::Env env, Napi::Function, Task* done) {
    if (env) settle(env, std::unique_ptr<Task>(done));
  });
}

void Worker::settle(Napi::Env env, std::unique_ptr<Task> task) {
  const Napi::HandleScope scope(env);
  const auto self = shared_from_this();
  if (--pending_ == 0) report_.Unref(env);
  try {
    if (task->failure) {
      task->deferred.Reject(errorValue(env, task->failure));
      return;
    }
    task->deferred.Resolve(task->result(env));
  } catch (const Napi::Error& error) {
    // No memory for the result; or the thread that waits for it is being terminated, and then nothing can be told.
    try {
      task->deferred.Reject(error.Value());
    } catch (const Napi::Error&) {
    }
  }
}

}  // namespace sftlab
