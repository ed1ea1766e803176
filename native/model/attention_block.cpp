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

/// The layers that see all rows.
const LinearGroup& groupOf(const LayerWeights& weights, const Asked& asked) { return asked ? weights.keyValue : weights.queryKeyValue; }

Projected takeProjected(const Pass& pass, const LayerWeights& weights, const Asked& asked) {
  const int64_t queries = weights.query.weight->value.rows, keys = weights.key.weight->value.rows;
  const OfGroup<Tensor> products = takeOutputs(pass, groupOf(weights, asked), pass.tokens);
  if (asked) {
    const OfGroup<Tensor> parts = split(products, {keys, keys});
    return {products, pass.arena.take(asked.count, queries, pass.dtype), parts[0], parts[1]};
  }
  const OfGroup<Tensor> parts = split(products, {queries, keys, keys});
  return {products, parts[0], parts[1], parts[2]};
}

/// The places of queries in their sequences.
const int32_t* placesOf(const Pass& pass, const Asked& asked) { return asked ? asked.queries.positions : pass.positions; }

/// Rotates queries and keys in place, in one go where they are columns of one tensor.
void rotate(const Pass& pass, const Asked& asked, const Projected& projected, bool inverse) {
  const Tensor &query = projected.query, &key = projected.key;
  const auto rope = [&](const Tensor& x, const int32_t* positions) {
    pass.backend.rope(x, pass.rope, positions, pass.config.headSize, inverse);
  };
  if (!asked && !projected.products[1]) return rope(projected.products[0].columns(0, query.cols + key.cols), pass.positions);
  rope(query, placesOf(pass, asked));
  rope(key, pass.positions);
}

/// From queries and keys as they were projected to what attention reads.
void turn(const Pass& pass, const LayerWeights& weights, const Asked& asked, const SavedAttention& saved) {
  if (!weights.queryNorm) return rotate(pass, asked, saved.projected, false);
  const auto normRope = [&](const Tensor& out, const Tensor& rstd, const Tensor& x, const Parameter& norm, const int32_t* positions) {
    pass.backend.normRope(out, rstd, x, norm.value, pass.config.normEpsilon, pass.rope, positions);
  };
  normRope(saved.query, saved.queryRstd, saved.projected.query, *weights.queryNorm, placesOf(pass, asked));
  normRope(saved.key, saved.keyRstd, saved.projected.key, *weights.keyNorm, pass.positions);
}

/// dquery and dkey are overwritten. Without QK-norm they are those of `gradient`.
void turnBackward(const Pass& pass, const LayerWeights& weights, const Asked& asked, const Projected& gradient, const Tensor& dquery,
                  const Tensor& dkey, const SavedAttention& saved) {
  if (!weights.queryNorm) return rotate(pass, asked, gradient, true);
  const auto normRope = [&](const Tensor& dx, const Parameter& norm, const Tensor& dout, const Tensor& x, const Tensor& rstd,
                            const int32_t* positions) {
    pass.backend.normRopeBackward(dx, norm.gradient, dout, x, rstd, norm.value, pass.rope, positions);
  };
  normRope(gradient.query, *weights.queryNorm, dquery, saved.projected.query, saved.queryRstd, placesOf(pass, asked));
  normRope(gradient.key, *weights.keyNorm, dkey, saved.projected.key, saved.keyRstd, pass.positions);
}

/// What attention reads or writes of queries or keys: with QK-norm a tensor of its own.
Tensor takeTurned(const Pass& pass, const LayerWeights& weights, const Tensor& projected) {
  return weights.queryNorm ? pass.arena.take(projected.rows, projected.cols, pass.dtype) : projected;
}

/// The rows asked about of x.
Tensor choose(const Pass& pass, const Asked& asked, const Tensor& x) {
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
  const LinearGroup& group = groupOf(weights, asked);
  const Projected& projected = saved.projected = takeProjected(pass, weights, asked);
  saved.low = reserve(pass, group, n);
  saved.queryLow = asked ? reserve(pass, alone(weights.query), m) : SavedLinear{};
  saved.query = takeTurned(pass, weights, projected.query);
  saved.key = takeTurned(pass, weights, projected.key);
  if (weights.queryNorm) {
    saved.queryRstd = arena.take(m * pass.config.heads, 1);
    saved.keyRstd = arena.take(n * pass.config.kvHeads, 1);
  }
  saved.out = takeBeside(pass, weights.output, m, saved.query.cols);
  saved.outputLow = reserve(pass, alone(weights.output), m);
  saved.lse = pass.cached ? Tensor{} : arena.take(m, pass.config.heads);
  {
    const ArenaScope scope(arena);
    const Tensor normed = takeBeside(pass, group[0], n, input.cols), rstd = arena.take(n, 1);
    backend.rmsNorm(normed, rstd, input, weights.inputNorm->value, pass.config.normEpsilon);
    linear(pass, group, projected.products, normed, saved.low);
    if (asked) linear(pass, alone(weights.query), {projected.query}, choose(pass, asked, normed), saved.queryLow);
  }
  turn(pass, weights, asked, saved);
  const AttentionShape shape = shapeOf(pass, layer);
  if (pass.caches) {
    const KeyValueCache& cache = (*pass.caches)[static_cast<size_t>(layer)];
    backend.cacheStore(cache, saved.key, projected.value, pass.slots, pass.positions);
    if (pass.cached) {
      backend.attentionCached(saved.out, saved.query, cache, asked ? asked.slots : pass.slots, placesOf(pass, asked), shape);
    }
  }
  if (!pass.cached) {
    backend.attention(saved.out, saved.lse, saved.query, saved.key, projected.value, shape, pass.sequences, asked.queries);
  }
  if (asked) backend.gatherRows(result, input, asked.rows);
  linear(pass, alone(weights.output), {result}, saved.out, saved.outputLow, asked ? result : input);
  return result;
}

void attentionBlockBackward(const Pass& pass, const LayerWeights& weights, int32_t layer, const Asked& asked, const StreamGradient& dresult,
                            const StreamGradient& dstream, bool needInput, const SavedAttention& saved) {
  Backend& backend = pass.backend;
  Arena& arena = pass.arena;
  const ArenaScope scope(arena);
  const int64_t n = pass.tokens;
  const Tensor& dx = dstream.exact;
  const Projected gradient = takeProjected(pass, weights, asked);
  {
    const ArenaScope attention(arena);
    const Tensor dquery = takeTurned(pass, weights, gradient.query), dkey = takeTurned(pass, weights, gradient.key);
    const Tensor dout = arena.take(saved.out.rows, saved.out.cols, pass.dtype);
    linearBackward(pass, alone(weights.output), dout, {(asked ? dresult : dstream).operand}, saved.out, saved.outputLow);
    backend.attentionBackward(dquery, dkey, gradient.value, dout, saved.out, saved.lse, saved.query, saved.key, saved.projected.value,
                              shapeOf(pass, layer), pass.sequences, asked.queries);
    turnBackward(pass, weights, asked, gradient, dquery, dkey, saved);
  }
  const Tensor normed = arena.take(n, dx.cols, pass.dtype), rstd = arena.take(n, 1);
  backend.rmsNorm(normed, rstd, saved.input, weights.inputNorm->value, pass.config.normEpsilon);
  const Tensor dnormed = needInput ? arena.take(n, dx.cols) : Tensor{};
  linearBackward(pass, groupOf(weights, asked), dnormed, gradient.products, normed, saved.low);
  if (asked) {
    const ArenaScope chosen(arena);
    const Tensor dchosen = needInput ? arena.take(asked.count, dx.cols) : Tensor{};
    linearBackward(pass, alone(weights.query), dchosen, {gradient.query}, choose(pass, asked, normed), saved.queryLow);
    if (needInput) backend.gatherRowsBackward(dnormed, dchosen, asked.rows);
  }
  if (!needInput) return;
  if (asked) {
    backend.zero(dx);
    backend.gatherRowsBackward(dx, dresult.exact, asked.rows);
  }
  backend.rmsNormBackward(dx, weights.inputNorm->gradient, dnormed, saved.input, rstd, weights.inputNorm->value,
                          dstream.rounded());
}

}  // namespace sftlab
