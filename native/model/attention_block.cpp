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

/// Queries or keys: which weights make them, at which places their tokens stand, and what is kept of them.
struct Projection {
  const LinearWeights& weights;
  const Parameter* norm;
  const int32_t* positions;
  const Tensor &out, &raw, &rstd;
  const SavedLinear& low;
};

Projection queries(const Pass& pass, const LayerWeights& weights, const Asked& asked, const SavedAttention& saved) {
  const int32_t* const positions = asked ? asked.queries.positions : pass.positions;
  return {weights.query, weights.queryNorm, positions, saved.query, saved.queryRaw, saved.queryRstd, saved.queryLow};
}

Projection keys(const Pass& pass, const LayerWeights& weights, const SavedAttention& saved) {
  return {weights.key, weights.keyNorm, pass.positions, saved.key, saved.keyRaw, saved.keyRstd, saved.keyLow};
}

/// Takes what is kept of queries or keys.
void take(const Pass& pass, const LinearWeights& weights, const Parameter* norm, int64_t rows, Tensor& out, Tensor& raw,
          Tensor& rstd, SavedLinear& low) {
  out = pass.arena.take(rows, weights.weight->value.rows, pass.dtype);
  raw = norm ? pass.arena.take(out.rows, out.cols, pass.dtype) : out;
  if (norm) rstd = pass.arena.take(out.size() / pass.config.headSize, 1);
  low = reserve(pass, weights, rows);
}

/// Projects, normalises and rotates.
void project(const Pass& pass, const Projection& to, const Tensor& normed) {
  linear(pass, to.weights, to.raw, normed, to.low);
  if (to.norm) {
    pass.backend.normRope(to.out, to.rstd, to.raw, to.norm->value, pass.config.normEpsilon, pass.rope, to.positions);
  } else {
    pass.backend.rope(to.out, pass.rope, to.positions, pass.config.headSize, false);
  }
}

/// From the gradient of what `project` made (overwritten) to that of the block's normed input.
void projectBackward(const Pass& pass, const Projection& of, const Tensor& dnormed, bool overwrite, const Tensor& dout,
                     const Tensor& normed) {
  if (!of.norm) {
    pass.backend.rope(dout, pass.rope, of.positions, pass.config.headSize, true);
    return linearBackward(pass, of.weights, dnormed, overwrite, dout, normed, of.low);
  }
  const ArenaScope scope(pass.arena);
  const Tensor draw = pass.arena.take(dout.rows, dout.cols, dout.dtype);
  pass.backend.normRopeBackward(draw, of.norm->gradient, dout, of.raw, of.rstd, of.norm->value, pass.rope, of.positions);
  linearBackward(pass, of.weights, dnormed, overwrite, draw, normed, of.low);
}

/// The rows asked about of x; x itself where these are all.
Tensor choose(const Pass& pass, const Asked& asked, const Tensor& x) {
  if (!asked) return x;
  const Tensor rows = pass.arena.take(asked.count, x.cols, x.dtype);
  pass.backend.gatherRows(rows, x, asked.rows);
  return rows;
}

}  // namespace

Tensor attentionBlock(const Pass& pass, const LayerWeights& weights, int32_t layer, const Asked& asked, const Tensor& input,
                      SavedAttention& saved) {
  Backend& backend = pass.backend;
  Arena& arena = pass.arena;
  const int64_t n = pass.tokens, m = asked ? asked.count : n;
  const Tensor result = arena.take(m, input.cols);
  saved.input = input;
  take(pass, weights.query, weights.queryNorm, m, saved.query, saved.queryRaw, saved.queryRstd, saved.queryLow);
  take(pass, weights.key, weights.keyNorm, n, saved.key, saved.keyRaw, saved.keyRstd, saved.keyLow);
  saved.value = arena.take(n, weights.value.weight->value.rows, pass.dtype);
  saved.valueLow = reserve(pass, weights.value, n);
  saved.out = arena.take(m, saved.query.cols, pass.dtype);
  saved.outputLow = reserve(pass, weights.output, m);
  saved.lse = pass.cached ? Tensor{} : arena.take(m, pass.config.heads);
  {
    const ArenaScope scope(arena);
    const Tensor normed = arena.take(n, input.cols, pass.dtype), rstd = arena.take(n, 1);
    backend.rmsNorm(normed, rstd, input, weights.inputNorm->value, pass.config.normEpsilon);
    project(pass, queries(pass, weights, asked, saved), choose(pass, asked, normed));
    project(pass, keys(pass, weights, saved), normed);
    linear(pass, weights.value, saved.value, normed, saved.valueLow);
  }
  const AttentionShape shape = shapeOf(pass, layer);
  if (pass.caches) {
    const KeyValueCache& cache = (*pass.caches)[static_cast<size_t>(layer)];
    backend.cacheStore(cache, saved.key, saved.value, pass.slots, pass.positions);
    if (pass.cached) {
      backend.attentionCached(saved.out, saved.query, cache, asked ? asked.slots : pass.slots,
                              asked ? asked.queries.positions : pass.positions, shape);
    }
  }
  if (!pass.cached) {
    backend.attention(saved.out, saved.lse, saved.query, saved.key, saved.value, shape, pass.sequences, asked.queries);
  }
  if (asked) backend.gatherRows(result, input, asked.rows);
  linear(pass, weights.output, result, saved.out, saved.outputLow, asked ? result : input);
  return result;
}

void attentionBlockBackward(const Pass& pass, const LayerWeights& weights, int32_t layer, const Asked& asked, const Tensor& dresult,
                            const Tensor& dx, bool needInput, const SavedAttention& saved) {
  Backend& backend = pass.backend;
  Arena& arena = pass.arena;
  const ArenaScope scope(arena);
  const int64_t n = pass.tokens;
  const Tensor dquery = arena.take(saved.query.rows, saved.query.cols, pass.dtype);
  const Tensor dkey = arena.take(n, saved.key.cols, pass.dtype), dvalue = arena.take(n, saved.value.cols, pass.dtype);
  {
    const ArenaScope output(arena);
    const Tensor dout = arena.take(saved.out.rows, saved.out.cols, pass.dtype);
    linearBackward(pass, weights.output, dout, true, inDtype(pass, asked ? dresult : dx), saved.out, saved.outputLow);
    backend.attentionBackward(dquery, dkey, dvalue, dout, saved.out, saved.lse, saved.query, saved.key, saved.value,
                              shapeOf(pass, layer), pass.sequences, asked.queries);
  }
  const Tensor normed = arena.take(n, dx.cols, pass.dtype), rstd = arena.take(n, 1);
  backend.rmsNorm(normed, rstd, saved.input, weights.inputNorm->value, pass.config.normEpsilon);
  const Tensor dnormed = needInput ? arena.take(n, dx.cols) : Tensor{};
  projectBackward(pass, keys(pass, weights, saved), dnormed, true, dkey, normed);
  linearBackward(pass, weights.value, dnormed, false, dvalue, normed, saved.valueLow);
  if (asked) {
    const ArenaScope chosen(arena);
    const Tensor dchosen = needInput ? arena.take(asked.count, dx.cols) : Tensor{};
    projectBackward(pass, queries(pass, weights, asked, saved), dchosen, true, dquery, choose(pass, asked, normed));
    if (needInput) backend.gatherRowsBackward(dnormed, dchosen, asked.rows);
  } else {
    projectBackward(pass, queries(pass, weights, asked, saved), dnormed, false, dquery, normed);
  }
  if (!needInput) return;
  if (asked) {
    backend.zero(dx);
    backend.gatherRowsBackward(dx, dresult, asked.rows);
  }
  backend.rmsNormBackward(dx, weights.inputNorm->gradient, dnormed, saved.input, rstd, weights.inputNorm->value);
}

}  // namespace sftlab
