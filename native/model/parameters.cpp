#include "model/parameters.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "io/cancel.h"
#include "system/system.h"

namespace sftlab {

namespace {

constexpr size_t kMaxShardBytes = 5'000'000'000;  // as transformers
constexpr uint64_t kInitStream = 1ull << 62;      // apart from the streams of dropout

/// PEFT's name of an adapter's tensor.
std::string adapterName(const std::string& linear, const char* part) {
  return "base_model.model." + linear + "." + part + ".weight";
}

}  // namespace

Parameters::Parameters(const ModelConfig& config, const OpenOptions& options, std::shared_ptr<Backend> backend)
    : config_(config), backend_(std::move(backend)), dtype_(options.precision), baseDirectory_(system::textOf(options.directory)) {
  const auto* folder = std::get_if<std::filesystem::path>(&options.adapter);
  if (const auto* fresh = std::get_if<AdapterOptions>(&options.adapter)) adapter_ = *fresh;
  if (folder) adapter_ = readAdapterConfig(*folder);

  const int64_t hidden = config.hiddenSize, inner = config.intermediateSize;
  const int64_t queries = int64_t{config.heads} * config.headSize, keys = int64_t{config.kvHeads} * config.headSize;
  embedding = add("model.embed_tokens.weight", {config.vocabularySize, hidden});
  for (int32_t i = 0; i < config.layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    LayerWeights layer;
    layer.inputNorm = add(prefix + "input_layernorm.weight", {hidden});
    layer.attentionNorm = add(prefix + "post_attention_layernorm.weight", {hidden});
    if (config.qkNorm) {
      layer.queryNorm = add(prefix + "self_attn.q_norm.weight", {config.headSize});
      layer.keyNorm = add(prefix + "self_attn.k_norm.weight", {config.headSize});
    }
    const uint64_t input = static_cast<uint64_t>(i) * 4;  // of all that a layer's products read
    addLinear(layer.query, prefix + "self_attn.q_proj", queries, hidden, config.qkvBias, input);
    addLinear(layer.key, prefix + "self_attn.k_proj", keys, hidden, config.qkvBias, input);
    addLinear(layer.value, prefix + "self_attn.v_proj", keys, hidden, config.qkvBias, input);
    addLinear(layer.output, prefix + "self_attn.o_proj", hidden, queries, config.outputBias, input + 1);
    addLinear(layer.gate, prefix + "mlp.gate_proj", inner, hidden, config.mlpBias, input + 2);
    addLinear(layer.up, prefix + "mlp.up_proj", inner, hidden, config.mlpBias, input + 2);
    addLinear(layer.down, prefix + "mlp.down_proj", hidden, inner, config.mlpBias, input + 3);
    join({layer.query, layer.key, layer.value});
    join({layer.output});
    join({layer.gate, layer.up});
    join({layer.down});
    layers.push_back(layer);
  }
  finalNorm = add("model.norm.weight", {hidden});
  head = config.tiedEmbeddings ? embedding : add("lm_head.weight", {config.vocabularySize, hidden});
  for (auto& parameter : all_) {
    parameter->trained = options.train && (!adapter_ || parameter->name.starts_with("base_model."));
    if (parameter->trained) trained_.push_back(parameter.get());
  }

  // The files are checked before memory is asked for: a config of absurd sizes must not get that far.
  std::optional<TensorFiles> base, adapter;
  if (!options.initialize) base = openChecked(options.directory, "model", false);
  if (folder) adapter = openChecked(*folder, "adapter_model", true);
  place(options, base ? &*base : nullptr);
  zeroGradients();
  for (LayerWeights& layer : layers) {
    layer.queryKeyValue = stack({layer.query, layer.key, layer.value});
    layer.keyValue = stack({layer.key, layer.value});
    layer.gateUp = stack({layer.gate, layer.up});
    layer.output = stack({layer.output}).front();
    layer.down = stack({layer.down}).front();
  }
  if (base) {
    read(std::move(*base), false);
  } else {
    initialize(options);
  }
  if (adapter) {
    read(std::move(*adapter), true);
  } else if (adapter_) {
    // PEFT's start: A as torch's kaiming_uniform(a = sqrt 5), so that its bound is 1 / sqrt(in); B zero, so that nothing changes yet.
    uint64_t stream = kInitStream + (1ull << 32);
    for (auto& parameter : all_) {
      if (!parameter->name.starts_with("base_model.")) continue;
      ++stream;
      if (parameter->name.ends_with("lora_A.weight")) {
        const auto bound = static_cast<float>(1 / std::sqrt(static_cast<double>(parameter->shape[1])));
        backend_->fillUniform(parameter->value, bound, {options.seed, stream});
      } else {
        backend_->zero(parameter->value);
      }
    }
  }
  for (const auto& parameter : all_) {
    if (parameter->rounded) backend_->copy(parameter->rounded, parameter->value);
  }
}

Parameter* Parameters::add(const std::string& name, std::vector<int64_t> shape) {
  all_.push_back(std::make_unique<Parameter>());
  Parameter& parameter = *all_.back();
  parameter.name = name;
  parameter.shape = std::move(shape);
  runs_.push_back({&parameter});
  return &parameter;
}

void Parameters::addLinear(LinearWeights& linear, const std::string& name, int64_t out, int64_t in, bool bias,
                           uint64_t input) {
  linear.weight = add(name + ".weight", {out, in});
  if (bias) linear.bias = add(name + ".bias", {out});
  if (!adapter_) return;
  const std::string module = name.substr(name.rfind('.') + 1);
  const auto modules = targetModules(*adapter_);
  if (std::find(modules.begin(), modules.end(), module) == modules.end()) return;
  LowRank low;
  low.a = add(adapterName(name, "lora_A"), {adapter_->r, in});
  low.ups = {{add(adapterName(name, "lora_B"), {out, adapter_->r}), 0}};
  low.scale = static_cast<float>(adapter_->alpha / adapter_->r);
  low.dropout = static_cast<float>(adapter_->dropout);
  low.stream = input;
  linear.adapter = low;
}

void Parameters::initialize(const OpenOptions& options) {
  uint64_t stream = kInitStream;
  for (auto& parameter : all_) {
    ++stream;
    if (parameter->name.starts_with("base_model.")) continue;
    if (parameter->shape.size() == 2) {
      if (parameter->value.dtype == DType::f32) {
        backend_->fillNormal(parameter->value, config_.initializerRange, {options.seed, stream});
      } else {
        const Tensor& value = parameter->value;
        const std::shared_ptr<void> memory(backend_->allocate(static_cast<size_t>(value.size()) * sizeof(float)),
                                           [this](void* block) { backend_->release(block); });
        const Tensor drawn{memory.get(), value.rows, value.cols, value.cols, DType::f32};
        backend_->fillNormal(drawn, config_.initializerRange, {options.seed, stream});
        backend_->copy(value, drawn);
        backend_->synchronize();
      }
    } else {
      backend_->fill(parameter->value, parameter->name.ends_with(".bias") ? 0.0f : 1.0f);
    }
  }
}

TensorFiles Parameters::openChecked(const std::filesystem::path& directory, const std::string& stem, bool adapter) const {
  TensorFiles files = TensorFiles::openFolder(directory, stem);
  for (const auto& parameter : all_) {
    if (parameter->name.starts_with("base_model.") == adapter) files.require(parameter->name, parameter->shape);
  }
  return files;
}

void Parameters::read(TensorFiles files, bool adapter) {
  bool mapped = false;
  std::vector<float> piece;
  for (auto& parameter : all_) {
    if (parameter->name.starts_with("base_model.") != adapter) continue;
    const FileTensor& tensor = files.require(parameter->name, parameter->shape);
    Tensor& value = parameter->value;
    if (!value.data) {
      // Matrices only: norms and biases are f32 whatever the products are.
      const bool half = dtype_ == DType::bf16 && tensor.dtype == FileDType::bf16 && parameter->shape.size() == 2;
      if (half) value.dtype = DType::bf16;
      const bool usable = (half || tensor.dtype == FileDType::f32) &&
                          reinterpret_cast<uintptr_t>(tensor.data) % sizeOf(value.dtype) == 0;
      if (usable) {
        value.data = const_cast<std::byte*>(tensor.data);  // never written: it is not trained
        mapped = true;
        continue;
      }
      value.dtype = DType::f32;
      value.data = allocate(value.size());
    }
    if (backend_->onlyCounts()) continue;
    if (!backend_->usesHostMemory()) {
      load(value, tensor);
      continue;
    }
    constexpr int64_t kPiece = 1 << 20;
    for (int64_t first = 0; first < value.size(); first += kPiece) {
      throwIfCancelled();
      const int64_t count = std::min(kPiece, value.size() - first);
      piece.resize(static_cast<size_t>(count));
      toFloat(tensor, first, count, piece.data());
      backend_->upload(value.f32() + first, piece.data(), piece.size() * sizeof(float));
      letGo(tensor, first, count);  // a copy is enough: both would be the most that the process ever holds
    }
  }
  if (mapped) files_.push_back(std::move(files));
}

void Parameters::load(const Tensor& value, const FileTensor& tensor) {
  // f32 and bf16 travel as they are: half the bytes, and the device converts sooner than the host.
  const bool same = tensor.dtype == (value.dtype == DType::bf16 ? FileDType::bf16 : FileDType::f32);
  if (same && value.contiguous()) return backend_->upload(value.data, tensor.data, tensor.bytes);
  const DType carried = tensor.dtype == FileDType::bf16 ? DType::bf16 : DType::f32;
  // A vector is one row, and no longer than this; of a matrix whole rows are taken.
  const int64_t most = std::clamp<int64_t>((int64_t{1} << 22) / value.cols, 1, value.rows);
  const std::shared_ptr<void> memory(backend_->allocate(static_cast<size_t>(most * value.cols) * sizeOf(carried)),
                                     [this](void* block) { backend_->release(block); });
  std::vector<float> piece;
  for (int64_t first = 0; first < value.rows; first += most) {
    throwIfCancelled();
    const int64_t rows = std::min(most, value.rows - first), start = first * value.cols, count = rows * value.cols;
    const Tensor part{memory.get(), rows, value.cols, value.cols, carried};
    if (tensor.dtype == FileDType::f16) {
      piece.resize(static_cast<size_t>(count));
      toFloat(tensor, start, count, piece.data());
      backend_->upload(part.data, piece.data(), part.bytes());
    } else {
      backend_->upload(part.data, tensor.data + static_cast<size_t>(start) * sizeOf(carried), part.bytes());
    }
    backend_->copy(value.slice(first, rows), part);
    backend_->synchronize();
  }
}

int64_t Parameters::count() const {
  int64_t total = 0;
  for (const auto& parameter : all_) total += parameter->value.size();
  return total;
}

int64_t Parameters::trainedCount() const {
  int64_t total = 0;
  for (const Parameter* parameter : trained_) total += parameter->value.size();
  return total;
}

float Parameter::beginSum(Backend& backend) {
  if (parts.empty()) return std::exchange(zero, false) ? 0.0f : 1.0f;
  const bool all = std::all_of(parts.begin(), parts.end(), [](const Parameter* part) { return part->zero; });
  for (Parameter* part : parts) {
    if (all) {
      part->zero = false;
    } else {
      part->clear(backend);
    }
  }
  return all ? 0.0f : 1.0f;
}

void Parameter::clear(Backend& backend) {
  if (std::exchange(zero, false)) backend.zero(gradient);
}

void Parameters::zeroGradients() {
  for (Parameter* parameter : trained_) parameter->zero = summedByProducts(*parameter);
  if (cleared_ == 0) return;
  // One long row would be cleared by one thread: clear it as many.
  constexpr int64_t kRow = 1 << 14;
  const int64_t rows = cleared_ / kRow;
  if (rows > 0) backend_->zero(gradients_.columns(0, rows * kRow).reshape(rows, kRow));
  if (cleared_ % kRow) backend_->zero(gradients_.columns(rows * kRow, cleared_ % kRow));
}

void Parameters::clearGradients() {
  for (Parameter* parameter : trained_) parameter->clear(*backend_);
}

TensorSource Parameters::source(const std::string& name, const Parameter& parameter, const Tensor& tensor) const {
  return {name, tensor.dtype == DType::bf16 ? FileDType::bf16 : FileDType::f32, parameter.shape, [this, tensor](size_t offset, size_t bytes, void* out) {
            backend_->download(out, static_cast<const char*>(tensor.data) + offset, bytes);
          }};
}

void Parameters::save(const std::filesystem::path& directory) const {
  std::vector<TensorSource> tensors;
  for (const auto& parameter : all_) {
    if (parameter->name.starts_with("base_model.") != adapter_.has_value()) continue;
    tensors.push_back(source(parameter->name, *parameter, parameter->value));
  }
  backend_->synchronize();
  if (adapter_) {
    writeTensors(directory, "adapter_model", std::move(tensors), {{"format", "pt"}}, kMaxShardBytes);
    writeAdapterConfig(directory, *adapter_, baseDirectory_);
  } else {
    writeTensors(directory, "model", std::move(tensors), {{"format", "pt"}}, kMaxShardBytes);
  }
}

void Parameters::saveState(const std::filesystem::path& directory,
                           const std::map<std::string, std::string>& metadata) const {
  std::vector<TensorSource> tensors;
  for (const Parameter* parameter : trained_) {
    tensors.push_back(source("first." + parameter->name, *parameter, parameter->first));
    tensors.push_back(source("second." + parameter->name, *parameter, parameter->second));
  }
  backend_->synchronize();
  writeTensors(directory, "optimizer", std::move(tensors), metadata, SIZE_MAX);
}

std::map<std::string, std::string> Parameters::loadState(const std::filesystem::path& directory) {
  const TensorFiles files = TensorFiles::openFolder(directory, "optimizer");
  for (Parameter* parameter : trained_) {
    const FileTensor& first = files.require("first." + parameter->name, parameter->shape);
    const FileTensor& second = files.require("second." + parameter->name, parameter->shape);
    const bool half = parameter->first.dtype == DType::bf16;
    const FileDType wanted = half ? FileDType::bf16 : FileDType::f32;
    if (first.dtype != wanted || second.dtype != wanted) {
      throw Error(std::string("the moments must be stored as ") + (half ? "BF16" : "F32"), first.file, parameter->name,
                  "Go on with the bf16_moments that the run was started with.");
    }
    backend_->upload(parameter->first.data, first.data, first.bytes);
    backend_->upload(parameter->second.data, second.data, second.bytes);
  }
  return files.metadata();
}

}  // namespace sftlab
