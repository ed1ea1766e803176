// A linear layer with an optional low-rank adapter, never merged: y = x W^T + b + scale * ((dropout(x) A^T) B^T).
// Frozen weights cost no product for their gradient. dropout(x) is made again in the backward pass from its random stream.

#include "model/layers.h"

namespace sftlab {

namespace {

RandomStream streamOf(const Pass& pass, const LowRank& adapter) {
  return {pass.dropout.seed, pass.dropout.stream + adapter.stream};
}

/// The adapter's input: x itself unless dropout is on.
Tensor dropped(const Pass& pass, const LowRank& adapter, const Tensor& x) {
  if (!pass.training || adapter.dropout == 0) return x;
  const Tensor out = pass.arena.take(x.rows, x.cols, x.dtype);
  pass.backend.dropout(out, x, adapter.dropout, streamOf(pass, adapter));
  return out;
}

}  // namespace

SavedLinear reserve(const Pass& pass, const LinearWeights& weights, int64_t rows) {
  if (!weights.adapter) return {};
  return {pass.arena.take(rows, weights.adapter->a->value.rows, pass.dtype)};
}

void lower(const Pass& pass, const LinearWeights& weights, const Tensor& x, const SavedLinear& saved) {
  if (!weights.adapter) return;
  const ArenaScope scope(pass.arena);
  pass.backend.matmul(saved.low, dropped(pass, *weights.adapter, x), Transpose::no, weights.adapter->a->operand(pass.dtype), Transpose::yes, 1, 0);
}

void linear(const Pass& pass, const LinearWeights& weights, const Tensor& out, const Tensor& x, const SavedLinear& saved,
            const Tensor& addend) {
  Backend& backend = pass.backend;
  const Tensor& weight = weights.weight->operand(pass.dtype);
  backend.matmulAdd(out, addend, weights.bias ? weights.bias->value : Tensor{}, x, Transpose::no, weight, Transpose::yes);
  if (!weights.adapter) return;
  lower(pass, weights, x, saved);
  backend.matmul(out, saved.low, Transpose::no, weights.adapter->b->operand(pass.dtype), Transpose::yes, weights.adapter->scale, 1);
}

OutputGradient outputGradient(const Pass& pass, const LinearWeights& weights, const Tensor& dout) {
  if (!weights.adapter) return {dout, {}};
  const LowRank& adapter = *weights.adapter;
  const Tensor dlow = pass.arena.take(dout.rows, adapter.a->value.rows, pass.dtype);
  pass.backend.matmul(dlow, dout, Transpose::no, adapter.b->operand(pass.dtype), Transpose::no, adapter.scale, 0);
  return {dout, dlow};
}

void inputGradient(const Pass& pass, const LinearWeights& weights, const Tensor& dx, bool overwrite,
                   const OutputGradient& gradient) {
  Backend& backend = pass.backend;
  const Tensor& weight = weights.weight->operand(pass.dtype);
  if (!weights.adapter) {
    return backend.matmul(dx, gradient.dout, Transpose::no, weight, Transpose::no, 1, overwrite ? 0 : 1);
  }
  const LowRank& adapter = *weights.adapter;
  const bool drops = pass.training && adapter.dropout != 0;
  const ArenaScope scope(pass.arena);
  // Where the adapter's part passes through dropout it needs a place of its own: dx itself, as long as that is to be overwritten.
  const Tensor part = drops && !overwrite ? pass.arena.take(dx.rows, dx.cols, dx.dtype) : dx;
  backend.matmul(part, gradient.dlow, Transpose::no, adapter.a->operand(pass.dtype), Transpose::no, 1, overwrite || drops ? 0 : 1);
  if (drops) {
    backend.dropout(part, part, adapter.dropout, streamOf(pass, adapter));
    if (!overwrite) backend.add(dx, part);
  }
  backend.matmul(dx, gradient.dout, Transpose::no, weight, Transpose::no, 1, 1);
}

bool readsInput(const LinearWeights& weights) {
  return weights.weight->trained || (weights.adapter && weights.adapter->a->trained);
}

void weightGradient(const Pass& pass, const LinearWeights& weights, const OutputGradient& gradient, const Tensor& x,
                    const SavedLinear& saved) {
  Backend& backend = pass.backend;
  if (weights.weight->trained) {
    backend.matmul(weights.weight->gradient, gradient.dout, Transpose::yes, x, Transpose::no, 1, 1);
    if (weights.bias) backend.addBiasBackward(weights.bias->gradient, gradient.dout);
  }
  if (!weights.adapter || !weights.adapter->a->trained) return;
  const LowRank& adapter = *weights.adapter;
  const ArenaScope scope(pass.arena);
  backend.matmul(adapter.b->gradient, gradient.dout, Transpose::yes, saved.low, Transpose::no, adapter.scale, 1);
  backend.matmul(adapter.a->gradient, gradient.dlow, Transpose::yes, dropped(pass, adapter, x), Transpose::no, 1, 1);
}

void linearBackward(const Pass& pass, const LinearWeights& weights, const Tensor& dx, bool overwrite, const Tensor& dout,
                    const Tensor& x, const SavedLinear& saved) {
  const ArenaScope scope(pass.arena);
  const OutputGradient gradient = outputGradient(pass, weights, dout);
  weightGradient(pass, weights, gradient, x, saved);
  if (dx) inputGradient(pass, weights, dx, overwrite, gradient);
}

OfGroup<Tensor> takeOutputs(const Pass& pass, const LinearGroup& group, int64_t rows) {
  OfGroup<Tensor> outputs;
  for (size_t i = 0; i < group.size(); ++i) outputs[i] = pass.arena.take(rows, group[i].weight->value.rows, pass.dtype);
  return outputs;
}

OfGroup<Tensor> split(const OfGroup<Tensor>& outputs, std::initializer_list<int64_t> columns) {
  OfGroup<Tensor> parts;
  const Tensor* output = outputs.data();
  int64_t first = 0;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (first == output->cols) {
      ++output;
      first = 0;
    }
    parts[i] = output->columns(first, columns.begin()[i]);
    first += parts[i].cols;
  }
  return parts;
}

OfGroup<SavedLinear> reserve(const Pass& pass, const LinearGroup& group, int64_t rows) {
  OfGroup<SavedLinear> saved;
  for (size_t i = 0; i < group.size(); ++i) saved[i] = reserve(pass, group[i], rows);
  return saved;
}

void linear(const Pass& pass, const LinearGroup& group, const OfGroup<Tensor>& outputs, const Tensor& x, const OfGroup<SavedLinear>& saved) {
  for (size_t i = 0; i < group.size(); ++i) linear(pass, group[i], outputs[i], x, saved[i]);
}

void linearBackward(const Pass& pass, const LinearGroup& group, const Tensor& dx, const OfGroup<Tensor>& doutputs, const Tensor& x,
                    const OfGroup<SavedLinear>& saved) {
  for (size_t i = 0; i < group.size(); ++i) linearBackward(pass, group[i], dx, i == 0, doutputs[i], x, saved[i]);
}

Tensor inDtype(const Pass& pass, const Tensor& x) {
  if (x.dtype == pass.dtype) return x;
  const Tensor out = pass.arena.take(x.rows, x.cols, pass.dtype);
  pass.backend.copy(out, x);
  return out;
}

}  // namespace sftlab
