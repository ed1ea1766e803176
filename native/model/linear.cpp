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
  const Tensor out = pass.arena.take(x.rows, x.cols);
  pass.backend.dropout(out, x, adapter.dropout, streamOf(pass, adapter));
  return out;
}

}  // namespace

void linear(const Pass& pass, const LinearWeights& weights, const Tensor& out, const Tensor& x, SavedLinear& saved,
            bool addTo) {
  Backend& backend = pass.backend;
  backend.matmul(out, x, Transpose::no, weights.weight->value, Transpose::yes, 1, addTo ? 1 : 0);
  if (weights.bias) backend.addBias(out, weights.bias->value);
  if (!weights.adapter) return;
  const LowRank& adapter = *weights.adapter;
  saved.low = pass.arena.take(x.rows, adapter.a->value.rows);
  const ArenaScope scope(pass.arena);
  backend.matmul(saved.low, dropped(pass, adapter, x), Transpose::no, adapter.a->value, Transpose::yes, 1, 0);
  backend.matmul(out, saved.low, Transpose::no, adapter.b->value, Transpose::yes, adapter.scale, 1);
}

void linearBackward(const Pass& pass, const LinearWeights& weights, const Tensor& dx, bool overwrite, const Tensor& dout,
                    const Tensor& x, const SavedLinear& saved) {
  Backend& backend = pass.backend;
  if (weights.weight->trained) {
    backend.matmul(weights.weight->gradient, dout, Transpose::yes, x, Transpose::no, 1, 1);
    if (weights.bias) backend.addBiasBackward(weights.bias->gradient, dout);
  }
  if (dx) backend.matmul(dx, dout, Transpose::no, weights.weight->value, Transpose::no, 1, overwrite ? 0 : 1);
  if (!weights.adapter) return;
  const LowRank& adapter = *weights.adapter;
  const ArenaScope scope(pass.arena);
  const Tensor dlow = pass.arena.take(x.rows, adapter.a->value.rows);
  backend.matmul(dlow, dout, Transpose::no, adapter.b->value, Transpose::no, adapter.scale, 0);
  if (adapter.b->trained) {
    backend.matmul(adapter.b->gradient, dout, Transpose::yes, saved.low, Transpose::no, adapter.scale, 1);
    backend.matmul(adapter.a->gradient, dlow, Transpose::yes, dropped(pass, adapter, x), Transpose::no, 1, 1);
  }
  if (!dx) return;
  if (!pass.training || adapter.dropout == 0) {
    backend.matmul(dx, dlow, Transpose::no, adapter.a->value, Transpose::no, 1, 1);
    return;
  }
  const Tensor ddropped = pass.arena.take(x.rows, x.cols);
  backend.matmul(ddropped, dlow, Transpose::no, adapter.a->value, Transpose::no, 1, 0);
  backend.dropout(ddropped, ddropped, adapter.dropout, streamOf(pass, adapter));
  backend.add(dx, ddropped);
}

}  // namespace sftlab
