// The gated MLP with its norm and residual: x + W_down(silu(W_gate h) * W_up h), h = norm(x).

#include "model/layers.h"

namespace sftlab {

void mlpBlock(const Pass& pass, const LayerWeights& weights, const Tensor& result, const Tensor& input, SavedMlp& saved) {
  Backend& backend = pass.backend;
  Arena& arena = pass.arena;
  const int64_t n = input.rows, inner = weights.gate.weight->value.rows;
  saved.input = input;
  saved.products = takeOutputs(pass, weights.gateUp, n);
  saved.low = reserve(pass, weights.gateUp, n);
  saved.downLow = reserve(pass, alone(weights.down), n);

  const ArenaScope scope(arena);
  {
    const ArenaScope norm(arena);
    const Tensor normed = takeBeside(pass, weights.gateUp[0], n, input.cols), rstd = arena.take(n, 1);
    backend.rmsNorm(normed, rstd, input, weights.attentionNorm->value, pass.config.normEpsilon);
    linear(pass, weights.gateUp, saved.products, normed, saved.low);
  }
  if (!result && !weights.down.adapter) return;
  const Tensor act = takeBeside(pass, weights.down, n, inner);
  const auto [gate, up, none] = split(saved.products, {inner, inner});
  backend.swiglu(act, gate, up);
  if (!result) return lower(pass, alone(weights.down), act, saved.downLow);
  linear(pass, alone(weights.down), {result}, act, saved.downLow, input);
}

void mlpBlockBackward(const Pass& pass, const LayerWeights& weights, const StreamGradient& dstream, const SavedMlp& saved) {
  Backend& backend = pass.backend;
  Arena& arena = pass.arena;
  const ArenaScope scope(arena);
  const Tensor& dx = dstream.exact;
  const int64_t n = dx.rows, inner = weights.gate.weight->value.rows;
  {
    const ArenaScope down(arena);
    const Tensor dact = arena.take(n, inner, pass.dtype);
    const OutputGradient gradient = outputGradient(pass, alone(weights.down), {dstream.operand}, saved.downLow);
    inputGradient(pass, alone(weights.down), dact, gradient);
    const Tensor act = readsInput(alone(weights.down)) ? dact : Tensor{};
    // SwiGLU is made again beside its gradient, in the memory of what that gradient is read from.
    const auto [gate, up, none] = split(saved.products, {inner, inner});
    backend.swigluBackward(gate, up, act, dact, gate, up);
    weightGradient(pass, alone(weights.down), gradient, act);
  }
  const Tensor normed = arena.take(n, dx.cols, pass.dtype), rstd = arena.take(n, 1);
  backend.rmsNorm(normed, rstd, saved.input, weights.attentionNorm->value, pass.config.normEpsilon);
  const Tensor dnormed = arena.take(n, dx.cols);
  linearBackward(pass, weights.gateUp, dnormed, saved.products, normed, saved.low);
  backend.rmsNormBackward(dx, weights.attentionNorm->gradient, dnormed, saved.input, rstd, weights.attentionNorm->value,
                          dstream.rounded());
}

}  // namespace sftlab
