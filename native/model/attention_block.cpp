// Self-attention with its norm and residual: x + W_o attention(rope(qk-norm(W_q h)), rope(qk-norm(W_k h)), W_v h), h = norm(x).
// The residual's gradient passes through unchanged, so `dx` is one buffer that every block of the decoder adds to.

#include <cmath>

#include "model/layers.h"

namespace sftlab {

namespace {

AttentionShape shapeOf(const Pass& pass, int32_t layer) {
  const ModelConfig& config = pass.config;
  return {config.heads,
          config.kvHeads,
          config.headSize,
          1.0f / std::sqrt(static_cast<float>(config.headSize)),
          true,
          config.windows[static_cast<size_t>(layer)]};
}

/// Each head of x (n, heads * headSize) is a row of its own: the shape that QK-norm works on.
Tensor headRows(const Tensor& x, int32_t headSize) { return x.reshape(x.size() / headSize, headSize); }

/// Projects, normalises and rotates queries or keys.
Tensor project(const Pass& pass, const LinearWeights& weights, const Parameter* norm, const Tensor& normed, Tensor& raw,
               Tensor& rstd, SavedLinear& low) {
  const int32_t size = pass.config.headSize;
  const Tensor out = pass.arena.take(pass.tokens, weights.weight->value.rows);
  raw = norm ? pass.arena.take(out.rows, out.cols) : out;
  linear(pass, weights, raw, normed, low);
  if (norm) {
    rstd = pass.arena.take(out.size() / size, 1);
    pass.backend.rmsNorm(headRows(out, size), rstd, headRows(raw, size), norm->value, pass.config.normEpsilon);
  }
  pass.backend.rope(out, pass.rope, pass.positions, size, false);
  return out;
}

/// From the gradient of rotated, normalised queries or keys (overwritten) to that of the block's normed input.
void projectBackward(const Pass& pass, const LinearWeights& weights, const Parameter* norm, const Tensor& dnormed,
                     bool overwrite, const Tensor& dout, const Tensor& raw, const Tensor& rstd, const Tensor& normed,
                     const SavedLinear& low) {
  const int32_t size = pass.config.headSize;
  pass.backend.rope(dout, pass.rope, pass.positions, size, true);
  if (!norm) return linearBackward(pass, weights, dnormed, overwrite, dout, normed, low);
  const ArenaScope scope(pass.arena);
  const Tensor draw = pass.arena.take(dout.rows, dout.cols);
  pass.backend.zero(draw);
  pass.backend.rmsNormBackward(headRows(draw, size), norm->gradient, headRows(dout, size), headRows(raw, size), rstd,
                               norm->value);
  linearBackward(pass, weights, dnormed, overwrite, draw, normed, low);
}

}  // namespace

Tensor attentionBlock(const Pass& pass, const LayerWeights& weights, int32_t layer, const Tensor& input,
                      SavedAttention& saved) {
  Backend& backend = pass.backend;
  const int64_t n = pass.tokens;
  saved.input = input;
  saved.rstd = pass.arena.take(n, 1);
  saved.normed = pass.arena.take(n, input.cols);
  backend.rmsNorm(saved.normed, saved.rstd, input, weights.inputNorm->value, pass.config.normEpsilon);
  saved.query = project(pass, weights.query, weights.queryNorm, saved.normed, saved.queryRaw, saved.queryRstd, saved.queryLow);
  saved.key = project(pass, weights.key, weights.keyNorm, saved.normed, saved.keyRaw, saved.keyRstd, saved.keyLow);
  saved.value = pass.arena.take(n, weights.value.weight->value.rows);
  linear(pass, weights.value, saved.value, saved.normed, saved.valueLow);

  saved.out = pass.arena.take(n, saved.query.cols);
  const AttentionShape shape = shapeOf(pass, layer);
  if (pass.caches) {
    const KeyValueCache& cache = (*pass.caches)[static_cast<size_t>(layer)];
    backend.cacheStore(cache, saved.key, saved.value, pass.slots, pass.positions);
    if (pass.cached) backend.attentionCached(saved.out, saved.query, cache, pass.slots, pass.positions, shape);
  }
  if (!pass.cached) {
    saved.lse = pass.arena.take(n, pass.config.heads);
    backend.attention(saved.out, saved.lse, saved.query, saved.key, saved.value, shape, pass.sequences);
  }
  const Tensor result = pass.arena.take(n, input.cols);
  backend.copy(result, input);
  linear(pass, weights.output, result, saved.out, saved.outputLow, true);
  return result;
}

void attentionBlockBackward(const Pass& pass, const LayerWeights& weights, int32_t layer, const Tensor& dx, bool needInput,
                            const SavedAttention& saved) {
  Backend& backend = pass.backend;
  const ArenaScope scope(pass.arena);
  const int64_t n = pass.tokens;
  const Tensor dout = pass.arena.take(n, saved.out.cols);
  linearBackward(pass, weights.output, dout, true, dx, saved.out, saved.outputLow);
  const Tensor dquery = pass.arena.take(n, saved.query.cols);
  const Tensor dkey = pass.arena.take(n, saved.key.cols);
  const Tensor dvalue = pass.arena.take(n, saved.value.cols);
  backend.attentionBackward(dquery, dkey, dvalue, dout, saved.out, saved.lse, saved.query, saved.key, saved.value,
                            shapeOf(pass, layer), pass.sequences);
  const Tensor dnormed = needInput ? pass.arena.take(n, dx.cols) : Tensor{};
  projectBackward(pass, weights.query, weights.queryNorm, dnormed, true, dquery, saved.queryRaw, saved.queryRstd,
                  saved.normed, saved.queryLow);
  projectBackward(pass, weights.key, weights.keyNorm, dnormed, false, dkey, saved.keyRaw, saved.keyRstd, saved.normed,
                  saved.keyLow);
  linearBackward(pass, weights.value, dnormed, false, dvalue, saved.normed, saved.valueLow);
  if (!needInput) return;
  backend.rmsNormBackward(dx, weights.inputNorm->gradient, dnormed, saved.input, saved.rstd, weights.inputNorm->value);
}

}  // namespace sftlab
