// Where weights stand in memory: those that are trained in one block each for values, gradients and moments, and those that one product
// shall read side by side.

#include <algorithm>
#include <array>

#include "model/parameters.h"

namespace sftlab {

namespace {

/// A tensor as rows and columns; one of one dimension is one row.
Tensor shaped(const Parameter& parameter, void* data = nullptr, DType dtype = DType::f32) {
  const int64_t cols = parameter.shape.back(), rows = parameter.shape.size() == 2 ? parameter.shape[0] : 1;
  return {data, rows, cols, cols, dtype};
}

/// What can stand side by side of layers that share their input: their weights, their biases, and the A of their adapters.
std::array<std::vector<Parameter*>, 3> runsOf(const LinearGroup& layers) {
  std::array<std::vector<Parameter*>, 3> runs;
  for (const LinearWeights& layer : layers) {
    runs[0].push_back(layer.weight);
    if (layer.bias) runs[1].push_back(layer.bias);
    if (layer.adapter) runs[2].push_back(layer.adapter->a);
  }
  return runs;
}

}  // namespace

void* Parameters::allocate(int64_t count, DType dtype) {
  void* const data = backend_->allocate(static_cast<size_t>(count) * sizeOf(dtype));
  blocks_.emplace_back(data, [backend = backend_](void* block) { backend->release(block); });
  return data;
}

/// Whether products read it: all matrices but an embedding that only rows are taken from.
bool Parameters::multiplied(const Parameter& parameter) const {
  return parameter.shape.size() == 2 && (&parameter != embedding || head == embedding);
}

/// Whether its gradient is what products of its own add up: of large matrices. (What adapters have is small.)
bool Parameters::summedByProducts(const Parameter& parameter) const {
  return parameter.trained && multiplied(parameter) && !parameter.name.starts_with("base_model.");
}

void Parameters::join(const LinearGroup& layers) {
  if (!backend_->stacks()) return;
  groups_.push_back(layers);
  for (const Run& run : runsOf(layers)) {
    if (run.size() < 2) continue;
    std::erase_if(runs_, [&](const Run& one) { return std::find(run.begin(), run.end(), one.front()) != run.end(); });
    runs_.push_back(run);
  }
}

/// Not where a rank would have rows begin at places that products read slowly.
void Parameters::extend(const LinearGroup& layers) {
  int64_t out = 0, ranks = 0;
  for (const LinearWeights& layer : layers) {
    out += layer.weight->shape[0];
    ranks += layer.ranks();
    if (layer.ranks() % 8 != 0) return;
  }
  if (ranks == 0) return;
  const int64_t in = layers.front().weight->shape[1], stride = wholeLines(in + ranks);
  const Tensor memory{allocate((out + ranks) * stride, DType::bf16), out + ranks, stride, stride, DType::bf16};
  backend_->zero(memory);
  const Tensor all = extended_[layers.front().weight] = memory.columns(0, in + ranks);
  int64_t row = 0, rank = 0;
  for (const LinearWeights& layer : layers) {
    const Tensor rows = all.slice(row, layer.weight->shape[0]);
    layer.weight->value = rows.columns(0, in);
    row += rows.rows;
    if (!layer.adapter) continue;
    const int64_t r = layer.ranks();
    layer.adapter->a->rounded = all.slice(out + rank, r).columns(0, in);
    layer.adapter->ups[0].b->rounded = rows.columns(in + rank, r);
    rank += r;
  }
}

LinearGroup Parameters::stack(const LinearGroup& layers) {
  if (!backend_->stacks()) return layers;
  const auto [weights, biases, downs] = runsOf(layers);
  LinearWeights all{stack(weights), stack(biases), {}};
  int64_t column = 0;
  for (const LinearWeights& layer : layers) {
    if (layer.adapter) {
      LowRank::Up up = layer.adapter->ups[0];
      up.column = column;
      if (!all.adapter) {
        all.adapter = layer.adapter;
        all.adapter->ups.clear();
      }
      all.adapter->ups.push_back(up);
    }
    column += layer.weight->value.rows;
  }
  if (all.adapter) all.adapter->a = stack(downs);
  if (const auto found = extended_.find(layers.front().weight); found != extended_.end()) all.extended = found->second;
  return {all};
}

/// What a product reads and adds to, of neighbours in a run as one tensor.
Parameter* Parameters::stack(const Run& run) {
  if (run.size() < 2) return run.empty() ? nullptr : run.front();
  stacks_.push_back(std::make_unique<Parameter>(*run.front()));
  Parameter& all = *stacks_.back();
  all.parts = run;
  for (size_t i = 1; i < run.size(); ++i) all.shape[0] += run[i]->shape[0];
  for (Tensor* tensor : {&all.value, &all.gradient, &all.rounded}) {
    if (!*tensor) continue;
    if (all.shape.size() == 2) {
      tensor->rows = all.shape[0];
    } else {
      *tensor = shaped(all, tensor->data, tensor->dtype);
    }
  }
  return &all;
}

/// Trained tensors stand in one block each for values, gradients and the two moments, each run at a multiple of 64 numbers. Where products
/// want their weights in bf16, frozen ones are held in nothing else; but an embedding only if it was in bf16 from the start, since rows of it
/// are read as they are.
void Parameters::place(const OpenOptions& options, const TensorFiles* base) {
  const bool rounds = dtype_ == DType::bf16 && backend_->keepsRounded();
  const auto sizeOfRun = [](const Run& run) {
    int64_t count = 0;
    for (const Parameter* parameter : run) count += shaped(*parameter).size();
    return wholeLines(count);
  };
  const auto put = [](const Run& run, Tensor Parameter::*which, void* memory, DType dtype) {
    for (Parameter* parameter : run) {
      Tensor& tensor = parameter->*which = shaped(*parameter, memory, dtype);
      memory = static_cast<char*>(memory) + tensor.bytes();
    }
  };
  std::stable_partition(runs_.begin(), runs_.end(), [&](const Run& run) { return !summedByProducts(*run.front()); });
  int64_t total = 0;
  for (const Run& run : runs_) {
    if (run.front()->trained) total += sizeOfRun(run);
    if (!summedByProducts(*run.front())) cleared_ = total;
  }
  if (total > 0) {
    const auto block = [&](DType dtype) { return Tensor{allocate(total, dtype), 1, total, total, dtype}; };
    const Tensor values = block(DType::f32), first = block(options.moments), second = block(options.moments);
    for (const Tensor& zeros : {values, first, second}) backend_->zero(zeros);
    gradients_ = block(DType::f32);
    momentBytes_ = first.bytes() + second.bytes();
    int64_t at = 0;
    for (const Run& run : runs_) {
      if (!run.front()->trained) continue;
      const auto part = [&](Tensor Parameter::*which, const Tensor& all) { put(run, which, all.columns(at, sizeOfRun(run)).data, all.dtype); };
      part(&Parameter::value, values);
      part(&Parameter::gradient, gradients_);
      part(&Parameter::first, first);
      part(&Parameter::second, second);
      at += sizeOfRun(run);
    }
  }
  if (rounds) {
    for (const LinearGroup& group : groups_) extend(group);
  }
  for (const Run& run : runs_) {
    const Parameter& parameter = *run.front();
    if (!parameter.trained && parameter.value) continue;
    const bool ofModel = !parameter.name.starts_with("base_model.");
    if (!parameter.trained) {
      if (!options.initialize && ofModel && backend_->usesHostMemory()) {
        for (Parameter* one : run) one->value = shaped(*one);  // `read` decides about it
        continue;
      }
      const bool half = rounds && ofModel && parameter.shape.size() == 2 &&
                        (&parameter != embedding || (base && base->require(parameter.name, parameter.shape).dtype == FileDType::bf16));
      const DType dtype = half ? DType::bf16 : DType::f32;
      put(run, &Parameter::value, allocate(sizeOfRun(run), dtype), dtype);
      if (half) continue;
    }
    if (rounds && multiplied(parameter) && !parameter.rounded) put(run, &Parameter::rounded, allocate(sizeOfRun(run), DType::bf16), DType::bf16);
  }
}

}  // namespace sftlab
