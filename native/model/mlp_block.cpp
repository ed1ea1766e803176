// The gated MLP with its norm and residual: x + W_down(silu(W_gate h) * W_up h), h = norm(x).

#include "model/layers.h"

namespace sftlab {

void mlpBlock(const Pass& pass, const LayerWeights& weights, const Tensor& result, const Tensor& input, SavedMlp& saved) {
  Backend& backend = pass.backend;
  Arena& arena = pass.arena;
  const int64_t n = input.rows, inner = weights.gate.weight->value.rows;
  saved.input = input;
  saved.gate = arena.take(n, inner, pass.dtype);
  saved.up = arena.take(n, inner, pass.dtype);
  saved.gateLow = reserve(pass, weights.gate, n);
  saved.upLow = reserve(pass, weights.up, n);
  saved.downLow = reserve(pass, weights.down, n);

  const ArenaScope scope(arena);
  {
    const ArenaScope norm(arena);
    const Tensor normed = arena.take(n, input.cols, pass.dtype), rstd = arena.take(n, 1);
    backend.rmsNorm(normed, rstd, input, weights.attentionNorm->value, pass.config.normEpsilon);
    linear(pass, weights.gate, saved.gate, normed, saved.gateLow);
    linear(pass, weights.up, saved.up, normed, saved.upLow);
  }
  if (!result && !weights.down.adapter) return;
  const Tensor act = arena.take(n, inner, pass.dtype);
  backend.swiglu(act, saved.gate, saved.up);
  if (!result) return lower(pass, weights.down, act, saved.downLow);
  linear(pass, weights.down, result, act, saved.downLow, input);
}

void mlpBlockBackward(const Pass& pass, const LayerWeights& weights, const Tensor& dx, const SavedMlp& saved) {
  Backend& backend = pass.backend;
  Arena& arena = pass.arena;
  const ArenaScope scope(arena);
  const int64_t n = dx.rows;
  // SwiGLU is made again beside its gradient, in the memory of what that gradient is read from.
  const Tensor dgate = saved.gate, dup = saved.up;
  {
    const ArenaScope down(arena);
    const Tensor dact = arena.take(n, saved.gate.cols, pass.dtype);
    const OutputGradient gradient = outputGradient(pass, weights.down, inDtype(pass, dx));
    inputGradient(pass, weights.down, dact, true, gradient);
    const Tensor act = readsInput(weights.down) ? dact : Tensor{};
    backend.swigluBackward(dgate, dup, act, dact, saved.gate, saved.up);
    weightGradient(pass, weights.down, gradient, act, saved.downLow);
  }
  const Tensor normed = arena.take(n, dx.cols, pass.dtype), rstd = arena.take(n, 1);
  backend.rmsNorm(normed, rstd, saved.input, weights.attentionNorm->value, pass.config.normEpsilon);
  const Tensor dnormed = arena.take(n, dx.cols);
  linearBackward(pass, weights.gate, dnormed, true, dgate, normed, saved.gateLow);
  linearBackward(pass, weights.up, dnormed, false, dup, normed, saved.upLow);
  backend.rmsNormBackward(dx, weights.attentionNorm->gradient, dnormed, saved.input, rstd, weights.attentionNorm->value);
}

}  // namespace sftlab
