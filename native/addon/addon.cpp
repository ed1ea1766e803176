// The Node-API face of the engine. Arguments were checked by src/engine; here they are only taken apart.

#include <cstring>

#include "addon/worker.h"
#ifdef SFT_LAB_CUDA
#include "cuda/cuda_backend.h"
#include "cuda/devices.h"
#endif
#include "cpu/cpu_backend.h"
#include "system/processor.h"
#include "system/system.h"

namespace sftlab {

namespace {

template <typename T>
Napi::Value typedArray(Napi::Env env, const std::vector<T>& values) {
  auto buffer = Napi::ArrayBuffer::New(env, values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(buffer.Data(), values.data(), values.size() * sizeof(T));
  return Napi::TypedArrayOf<T>::New(env, values.size(), buffer, 0);
}

std::string text(const Napi::Object& object, const char* key) { return object.Get(key).As<Napi::String>(); }
double number(const Napi::Object& object, const char* key) { return object.Get(key).As<Napi::Number>(); }

OpenOptions openOptions(const Napi::Object& object) {
  OpenOptions options;
  options.directory = system::pathOf(text(object, "directory"));
  options.seed = static_cast<uint64_t>(number(object, "seed"));
  options.train = text(object, "mode") == "train";
  options.initialize = object.Get("initialize").ToBoolean();
  if (object.Has("moments") && text(object, "moments") == "bf16") options.moments = DType::bf16;
  options.precision = text(object, "precision") == "bf16" ? DType::bf16 : DType::f32;
  const Napi::Value checkpointing = object.Get("checkpointing");
  options.checkpointing = checkpointing.IsNumber() ? checkpointing.As<Napi::Number>().Int32Value() : checkpointing.ToBoolean() ? kAllLayers : 0;
  if (object.Has("working")) options.working = static_cast<size_t>(number(object, "working"));
  const Napi::Value adapter = object.Get("adapter");
  if (adapter.IsString()) {
    options.adapter = system::pathOf(adapter.As<Napi::String>().Utf8Value());
  } else if (adapter.IsObject()) {
    const auto from = adapter.As<Napi::Object>();
    AdapterOptions low;
    low.r = static_cast<int32_t>(number(from, "r"));
    low.alpha = number(from, "alpha");
    low.dropout = number(from, "dropout");
    const auto modules = from.Get("targetModules").As<Napi::Array>();
    for (uint32_t i = 0; i < modules.Length(); ++i) {
      low.targetModules.push_back(modules.Get(i).As<Napi::String>());
    }
    options.adapter = low;
  }
  return options;
}

/// The batch's pointers into typed arrays; `keep` holds these alive.
Batch batchOf(const Napi::Object& object, std::vector<Napi::ObjectReference>& keep) {
  const auto array = [&](const char* key) {
    const auto value = object.Get(key).As<Napi::Object>();
    keep.push_back(Napi::Persistent(value));
    return value;
  };
  Batch batch;
  const auto tokens = array("tokens").As<Napi::Int32Array>();
  const auto offsets = array("offsets").As<Napi::Int32Array>();
  batch.tokens = tokens.Data();
  batch.size = static_cast<int32_t>(tokens.ElementLength());
  batch.offsets = offsets.Data();
  batch.sequences = static_cast<int32_t>(offsets.ElementLength()) - 1;
  batch.targets = array("targets").As<Napi::Int32Array>().Data();
  batch.weights = array("weights").As<Napi::Float32Array>().Data();
  batch.groups = array("groups").As<Napi::Uint8Array>().Data();
  return batch;
}

Napi::Object groupValue(Napi::Env env, const GroupStats& group) {
  auto value = Napi::Object::New(env);
  value.Set("tokens", static_cast<double>(group.tokens));
  value.Set("loss", group.loss);
  value.Set("entropy", group.entropy);
  value.Set("correct", static_cast<double>(group.correct));
  return value;
}

class ModelHandle : public Napi::ObjectWrap<ModelHandle> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "EngineModel",
                       {InstanceMethod<&ModelHandle::info>("info"), InstanceMethod<&ModelHandle::accumulate>("accumulate"),
                        InstanceMethod<&ModelHandle::update>("update"), InstanceMethod<&ModelHandle::evaluate>("evaluate"),
                        InstanceMethod<&ModelHandle::generate>("generate"), InstanceMethod<&ModelHandle::save>("save"),
                        InstanceMethod<&ModelHandle::saveState>("saveState"),
                        InstanceMethod<&ModelHandle::loadState>("loadState"), InstanceMethod<&ModelHandle::memory>("memory"),
                        InstanceMethod<&ModelHandle::interrupt>("interrupt"), InstanceMethod<&ModelHandle::close>("close")});
  }
  explicit ModelHandle(const Napi::CallbackInfo& call)
      : Napi::ObjectWrap<ModelHandle>(call),
        worker_(*call[0].As<Napi::External<std::shared_ptr<Worker>>>().Data()),
        info_(worker_->model->info()) {}
  ~ModelHandle() override { worker_->shutdown(); }

 private:
  Napi::Value info(const Napi::CallbackInfo& call) {
    auto value = Napi::Object::New(call.Env());
    value.Set("architecture", info_.architecture);
    value.Set("parameters", static_cast<double>(info_.parameters));
    value.Set("trainableParameters", static_cast<double>(info_.trainableParameters));
    value.Set("layers", info_.layers);
    value.Set("hiddenSize", info_.hiddenSize);
    value.Set("vocabularySize", info_.vocabularySize);
    value.Set("maxPositions", info_.maxPositions);
    value.Set("tiedEmbeddings", info_.tiedEmbeddings);
    return value;
  }

  Napi::Value accumulate(const Napi::CallbackInfo& call) {
    std::vector<Napi::ObjectReference> keep;
    const Batch batch = batchOf(call[0].As<Napi::Object>(), keep);
    const auto stats = std::make_shared<BatchStats>();
    return worker_->post(
        call.Env(), [this, batch, stats] { *stats = worker_->model->accumulate(batch); },
        [stats](Napi::Env env) {
          auto value = Napi::Object::New(env);
          value.Set("weightedLoss", stats->weightedLoss);
          value.Set("weight", stats->weight);
          value.Set("prompt", groupValue(env, stats->prompt));
          value.Set("completion", groupValue(env, stats->completion));
          return value;
        },
        hold(call, std::move(keep)));
  }

  Napi::Value update(const Napi::CallbackInfo& call) {
    const auto from = call[0].As<Napi::Object>();
    const UpdateOptions options{number(from, "learningRate"), number(from, "maxGradNorm"), number(from, "weightDecay"),
                                number(from, "beta1"),        number(from, "beta2"),       number(from, "epsilon")};
    const auto stats = std::make_shared<UpdateStats>();
    return worker_->post(
        call.Env(), [this, options, stats] { *stats = worker_->model->update(options); },
        [stats](Napi::Env env) {
          auto value = Napi::Object::New(env);
          value.Set("gradientNorm", stats->gradientNorm);
          value.Set("finite", stats->finite);
          return value;
        },
        hold(call));
  }

  Napi::Value evaluate(const Napi::CallbackInfo& call) {
    std::vector<Napi::ObjectReference> keep;
    const Batch batch = batchOf(call[0].As<Napi::Object>(), keep);
    const auto stats = std::make_shared<TokenStats>();
    return worker_->post(
        call.Env(), [this, batch, stats] { *stats = worker_->model->evaluate(batch); },
        [stats](Napi::Env env) {
          auto value = Napi::Object::New(env);
          value.Set("loss", typedArray(env, stats->loss));
          value.Set("entropy", typedArray(env, stats->entropy));
          value.Set("correct", typedArray(env, stats->correct));
          return value;
        },
        hold(call, std::move(keep)));
  }

  Napi::Value generate(const Napi::CallbackInfo& call) {
    const auto list = call[0].As<Napi::Array>();
    const auto from = call[1].As<Napi::Object>();
    std::vector<std::vector<int32_t>> prompts;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      const auto prompt = list.Get(i).As<Napi::Int32Array>();
      prompts.emplace_back(prompt.Data(), prompt.Data() + prompt.ElementLength());
    }
    GenerateOptions options;
    options.maxNewTokens = static_cast<int32_t>(number(from, "maxNewTokens"));
    options.sampling = {static_cast<float>(number(from, "temperature")), static_cast<int32_t>(number(from, "topK")),
                        static_cast<float>(number(from, "topP"))};
    options.seed = static_cast<uint64_t>(number(from, "seed"));
    if (const Napi::Value seeds = from.Get("seeds"); seeds.IsArray()) {
      const auto values = seeds.As<Napi::Array>();
      for (uint32_t i = 0; i < values.Length(); ++i) {
        options.seeds.push_back(static_cast<uint64_t>(values.Get(i).As<Napi::Number>().DoubleValue()));
      }
    }
    const auto stops = from.Get("stopTokens").As<Napi::Int32Array>();
    options.stopTokens.assign(stops.Data(), stops.Data() + stops.ElementLength());
    const auto results = std::make_shared<std::vector<Generated>>();
    return worker_->post(
        call.Env(),
        [this, prompts = std::move(prompts), options, results] { *results = worker_->model->generate(prompts, options); },
        [results](Napi::Env env) {
          auto all = Napi::Array::New(env, results->size());
          for (uint32_t i = 0; i < results->size(); ++i) {
            const Generated& generated = (*results)[i];
            auto value = Napi::Object::New(env);
            value.Set("tokens", typedArray(env, generated.tokens));
            value.Set("entropies", typedArray(env, generated.entropies));
            value.Set("logProbabilities", typedArray(env, generated.logProbabilities));
            value.Set("finish", generated.stopped ? "stop" : "length");
            all.Set(i, value);
          }
          return all;
        },
        hold(call));
  }

  Napi::Value save(const Napi::CallbackInfo& call) { return folderTask(call, &Model::save); }
  Napi::Value saveState(const Napi::CallbackInfo& call) { return folderTask(call, &Model::saveState); }
  Napi::Value loadState(const Napi::CallbackInfo& call) { return folderTask(call, &Model::loadState); }

  Napi::Value folderTask(const Napi::CallbackInfo& call, void (Model::*method)(const std::filesystem::path&)) {
    const auto directory = system::pathOf(call[0].As<Napi::String>().Utf8Value());
    return worker_->post(
        call.Env(), [this, directory, method] { ((*worker_->model).*method)(directory); },
        [](Napi::Env env) { return env.Undefined(); }, hold(call));
  }

  Napi::Value memory(const Napi::CallbackInfo& call) {
    auto value = Napi::Object::New(call.Env());
    value.Set("current", closed_ ? 0.0 : static_cast<double>(worker_->currentBytes.load()));
    value.Set("peak", closed_ ? 0.0 : static_cast<double>(worker_->peakBytes.load()));
    return value;
  }

  void interrupt(const Napi::CallbackInfo&) { worker_->interrupt(); }

  Napi::Value close(const Napi::CallbackInfo& call) {
    closed_ = true;
    return worker_->close(call.Env());
  }

  /// A task holds its model, so that it cannot be collected while it works.
  static std::vector<Napi::ObjectReference> hold(const Napi::CallbackInfo& call, std::vector<Napi::ObjectReference> keep = {}) {
    keep.push_back(Napi::Persistent(call.This().As<Napi::Object>()));
    return keep;
  }

  std::shared_ptr<Worker> worker_;
  ModelInfo info_;
  bool closed_ = false;
};

#ifdef SFT_LAB_CUDA
std::string idOf(const CudaDevice& card) { return "cuda:" + std::to_string(card.number); }
#endif

/// `cpu`, or `cuda:0`; the caller has asked `devices` which there are.
std::shared_ptr<Backend> makeBackend([[maybe_unused]] const std::string& device, int threads) {
#ifdef SFT_LAB_CUDA
  if (device.starts_with("cuda:")) return makeCudaBackend(std::stoi(device.substr(5)));
#endif
  return makeCpuBackend(threads);
}

Napi::Value open(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  const auto from = call[0].As<Napi::Object>();
  const OpenOptions options = openOptions(from);
  const int threads = static_cast<int>(number(from, "threads"));
  const std::string device = text(from, "device");
  const auto worker = Worker::make(env);
  return worker->post(
      env,
      [raw = worker.get(), options, threads, device] {
        raw->backend = makeBackend(device, threads);
        raw->model = Model::open(options, raw->backend);
      },
      [worker](Napi::Env settled) {
        auto held = worker;
        const auto handle = Napi::External<std::shared_ptr<Worker>>::New(settled, &held);
        return settled.GetInstanceData<Engine>()->modelClass.New({handle});
      });
}

BatchShape shapeOf(const Napi::Object& from) {
  const auto count = [&](const char* key) { return static_cast<int32_t>(number(from, key)); };
  return {count("tokens"), count("longest"), count("trained"), count("measured")};
}

Napi::Value plan(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  const auto from = call[1].As<Napi::Object>();
  const OpenOptions options = openOptions(call[0].As<Napi::Object>());
  const std::string device = text(call[0].As<Napi::Object>(), "device");
  const Work work{shapeOf(from.Get("training").As<Napi::Object>()), shapeOf(from.Get("evaluation").As<Napi::Object>()),
                  static_cast<int32_t>(number(from, "prompts")), static_cast<int32_t>(number(from, "promptLength")),
                  static_cast<int32_t>(number(from, "newTokens"))};
  const auto found = std::make_shared<MemoryPlan>();
  const auto worker = Worker::make(env);
  return worker->post(
      env, [found, options, work, device] { *found = Model::plan(options, work, *makeBackend(device, 1)); },
      [worker, found](Napi::Env settled) {
        auto value = Napi::Object::New(settled);
        value.Set("weights", static_cast<double>(found->weights));
        value.Set("training", static_cast<double>(found->training));
        value.Set("working", static_cast<double>(found->working));
        value.Set("peak", static_cast<double>(found->peak));
        value.Set("layers", found->layers);
        return value;
      });
}

/// What a device can make ready before its first model is opened: kernels of the CPU; on a card, the process's place on it.
Napi::Value prepare(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  const std::string device = call[0].As<Napi::String>().Utf8Value();
  const auto worker = Worker::make(env);
  return worker->post(
      env,
      [device] {
        if (device == "cpu") {
          prepareCpu();
        } else {
          makeBackend(device, 1);
        }
      },
      [worker](Napi::Env settled) { return settled.Undefined(); });
}

Napi::Value devices(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  auto cpu = Napi::Object::New(env);
  cpu.Set("id", "cpu");
  const system::Processor& processor = system::processor();
  cpu.Set("name", processor.name.empty() ? "CPU" : processor.name);
  cpu.Set("memory", static_cast<double>(system::memoryBytes()));
  cpu.Set("cores", system::cores());
  auto features = Napi::Array::New(env);
  for (const std::string& feature : processor.features) features.Set(features.Length(), feature);
  cpu.Set("features", features);
  auto list = Napi::Array::New(env);
  list.Set(0u, cpu);
#ifdef SFT_LAB_CUDA
  const CudaDevices cards = cudaDevices();
  for (const CudaDevice& found : cards.list) {
    auto card = Napi::Object::New(env);
    card.Set("id", idOf(found));
    card.Set("name", found.name);
    card.Set("memory", static_cast<double>(found.memory));
    card.Set("driver", cards.driver);
    card.Set("capability", found.capability);
    auto features = Napi::Array::New(env);
    features.Set(0u, "bf16");
    card.Set("features", features);
    if (!cards.driverVersion.empty()) card.Set("driverVersion", cards.driverVersion);
    if (const auto use = cudaUse(found)) card.Set("free", static_cast<double>(use->memoryFree));
    list.Set(list.Length(), card);
  }
#endif
  return list;
}

/// Why there is no CUDA device, and whether there is a driver all the same; undefined where there is a device.
Napi::Value withoutCuda(const Napi::CallbackInfo& call) {
  auto value = Napi::Object::New(call.Env());
#ifdef SFT_LAB_CUDA
  const CudaDevices cards = cudaDevices();
  if (cards.missing.empty()) return call.Env().Undefined();
  value.Set("reason", cards.missing);
  value.Set("driver", !cards.driver.empty());
  if (!cards.advice.empty()) value.Set("advice", cards.advice);
#else
  value.Set("reason", "this engine was built without it, since nvcc was not there");
  value.Set("driver", false);
#endif
  return value;
}

/// How busy a card is and what is taken of its memory; undefined where that is not known, and for the CPU.
Napi::Value deviceUse(const Napi::CallbackInfo& call) {
#ifdef SFT_LAB_CUDA
  static const CudaDevices cards = cudaDevices();  // asked for at every step: the list does not change
  const std::string device = call[0].As<Napi::String>().Utf8Value();
  for (const CudaDevice& card : cards.list) {
    if (idOf(card) != device) continue;
    if (const auto use = cudaUse(card)) {
      auto value = Napi::Object::New(call.Env());
      value.Set("busy", use->busy);
      value.Set("memory", static_cast<double>(use->memoryUsed));
      return value;
    }
  }
#endif
  return call.Env().Undefined();
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto* const engine = new Engine{Napi::Persistent(ModelHandle::define(env)), {}};
  env.SetInstanceData(engine);
  exports.Set("stop", Napi::Function::New(env, [engine](const Napi::CallbackInfo&) { engine->stop(); }));
  exports.Set("open", Napi::Function::New(env, open));
  exports.Set("plan", Napi::Function::New(env, plan));
  exports.Set("devices", Napi::Function::New(env, devices));
  exports.Set("prepare", Napi::Function::New(env, prepare));
  exports.Set("deviceUse", Napi::Function::New(env, deviceUse));
  exports.Set("withoutCuda", Napi::Function::New(env, withoutCuda));
  return exports;
}

}  // namespace

NODE_API_MODULE(sft_lab_engine, initialise)

}  // namespace sftlab
