// The gated MLP with its norm and residual: x + W_down(silu(W_gate h) * W_up h), h = norm(x).

#include "model/layers.h"

namespace sftlab {

Tensor mlpBlock(const Pass& pass, const LayerWeights& weights, const Tensor& input, SavedMlp& saved) {
  Backend& backend = pass.backend;
  const int64_t n = pass.tokens, inner = weights.gate.weight->value.rows;
  saved.input = input;
  saved.rstd = pass.arena.take(n, 1);
  saved.normed = pass.arena.take(n, input.cols);
  saved.gate = pass.arena.take(n, inner);
  saved.up = pass.arena.take(n, inner);
  saved.act = pass.arena.take(n, inner);
  backend.rmsNorm(saved.normed, saved.rstd, input, weights.attentionNorm->value, pass.config.normEpsilon);
  linear(pass, weights.gate, saved.gate, saved.normed, saved.gateLow);
  linear(pass, weights.up, saved.up, saved.normed, saved.upLow);
  backend.swiglu(saved.act, saved.gate, saved.up);
  const Tensor result = pass.arena.take(n, input.cols);
  backend.copy(result, input);
  linear(pass, weights.down, result, saved.act, saved.downLow, true);
  return result;
}

void mlpBlockBackward(const Pass& pass, const LayerWeights& weights, const Tensor& dx, const SavedMlp& saved) {
  Backend& backend = pass.backend;
  const ArenaScope scope(pass.arena);
  const Tensor dact = pass.arena.take(saved.act.rows, saved.act.cols);
  linearBackward(pass, weights.down, dact, true, dx, saved.act, saved.downLow);
  // The gradients of gate and up take the place of gate and up, which nothing reads any more.
  backend.swigluBackward(saved.gate, saved.up, dact, saved.gate, saved.up);
  const Tensor dnormed = pass.arena.take(dx.rows, dx.cols);
  linearBackward(pass, weights.gate, dnormed, true, saved.gate, saved.normed, saved.gateLow);
  linearBackward(pass, weights.up, dnormed, false, saved.up, saved.normed, saved.upLow);
  backend.rmsNormBackward(dx, weights.attentionNorm->gradient, dnormed, saved.input, saved.rstd,
                          weights.attentionNorm->value);
}

}  // namespace sftlab
