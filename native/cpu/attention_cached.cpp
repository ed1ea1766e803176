// Attention over the key-value cache, for generation. A piece is a few rows by one key-value head; those of its rows that stand in one slot, one
// after the other, and all heads of the group meet the same keys and values together.
//
// Why a row's result does not depend on its neighbours: a score is summed over the head's numbers in their order, a softmax over lanes that
// are given by absolute positions, and an output over positions in their order; what other rows of the piece see beyond a row's own keys
// reaches it with a weight of exactly 0.

#include <algorithm>
#include <cstring>
#include <limits>

#include "cpu/block_gemm.h"
#include "cpu/cpu_backend_impl.h"

namespace sftlab {

void CpuBackend::cacheStore(const KeyValueCache& cache, const Tensor& k, const Tensor& v, const int32_t* slots,
                            const int32_t* positions) {
  requireF32(cache.keys, cache.values, k, v);
  const auto bytes = static_cast<size_t>(k.cols) * sizeof(float);
  forRanges(k.rows, k.cols * 2, [&](int64_t first, int64_t end, int) {
    for (int64_t row = first; row < end; ++row) {
      const int64_t place = static_cast<int64_t>(slots[row]) * cache.capacity + positions[row];
      std::memcpy(at(cache.keys, place), at(k, row), bytes);
      std::memcpy(at(cache.values, place), at(v, row), bytes);
    }
  });
}

namespace {

constexpr int64_t kKeyBlock = 4 * kLanes;      ///< keys that are turned around at a time
constexpr int64_t kMostScores = 64 * 1024;     ///< of a run of rows: they stay in the second-level cache

constexpr int64_t down(int64_t position) { return position / kLanes * kLanes; }
constexpr int64_t up(int64_t position) { return down(position + kLanes - 1); }

/// Turns scores[first, end) into e^(score - largest) over their sum, and all others of [0, size) into 0. `scores` stands for positions from a
/// multiple of kLanes on; `size` is another.
void softmax(float* scores, int64_t first, int64_t end, int64_t size) {
  constexpr float none = -std::numeric_limits<float>::infinity();
  const int64_t from = down(first), to = up(end);
  std::fill(scores + from, scores + first, none);
  std::fill(scores + end, scores + to, none);
  Vec best = splat(none);
  for (int64_t i = from; i < to; i += kLanes) {
    const Vec x = load(scores + i);
    best = x > best ? x : best;
  }
  float largest = none;
  for (int i = 0; i < kLanes; ++i) largest = best[i] > largest ? best[i] : largest;
  Vec sums{};
  for (int64_t i = from; i < to; i += kLanes) {
    const Vec e = fastExp(load(scores + i) - largest);
    sums += e;
    store(scores + i, e);
  }
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += sums[i];
  const Vec inverse = splat(1.0f / sum);
  for (int64_t i = from; i < to; i += kLanes) store(scores + i, load(scores + i) * inverse);
  std::fill(scores, scores + from, 0.0f);
  std::fill(scores + to, scores + size, 0.0f);
}

/// Rows of one slot at positions that rise by one, and one key-value head.
struct Run {
  const Tensor &out, &q;
  const KeyValueCache& cache;
  const AttentionShape& shape;
  int64_t row, rows, slot, position, kvHead;

  int64_t first(int64_t r) const {
    const int64_t end = position + r + 1;
    return shape.causal && shape.window > 0 ? std::max<int64_t>(0, end - shape.window) : 0;
  }
};

void attend(const Run& run, Scratch& scratch) {
  const AttentionShape& shape = run.shape;
  const int64_t size = shape.headSize, group = shape.heads / shape.kvHeads, n = run.rows * group;
  const int64_t base = down(run.first(0)), end = run.position + run.rows, padded = up(end - base);
  const int64_t cacheRow = run.slot * run.cache.capacity, col = run.kvHead * size, wide = up(size);
  const bool whole = size == wide;
  float* const queries = scratch.floats(
      static_cast<size_t>(2 * n * wide + wide * kKeyBlock + n * padded + (whole ? 0 : (end - base) * wide)));
  float* const outs = queries + n * wide;
  float* const keys = outs + n * wide;
  float* const scores = keys + wide * kKeyBlock;
  for (int64_t i = 0; i < n; ++i) {
    const float* const from = at(run.q, run.row + i / group, (run.kvHead * group + i % group) * size);
    for (int64_t c = 0; c < size; ++c) queries[i * size + c] = from[c] * shape.scale;
  }
  for (int64_t key = base; key < end; key += kKeyBlock) {
    const int64_t count = std::min(kKeyBlock, end - key);
    transpose(keys, kKeyBlock, at(run.cache.keys, cacheRow + key, col), run.cache.keys.stride, static_cast<int>(count),
              static_cast<int>(size));
    blockGemm<false>(static_cast<int>(n), static_cast<int>(up(count)), static_cast<int>(size), queries, size, keys, kKeyBlock,
                     scores + key - base, padded, false);
  }
  for (int64_t i = 0; i < n; ++i) {
    const int64_t r = i / group;
    softmax(scores + i * padded, run.first(r) - base, run.position + r + 1 - base, padded);
  }
  const float* values = at(run.cache.values, cacheRow + base, col);
  int64_t stride = run.cache.values.stride;
  if (!whole) {
    // Columns that fill no vector are summed by scalars, which the compiler groups by how many positions there are: copied, they fill one.
    float* const copy = scores + n * padded;
    for (int64_t key = 0; key < end - base; ++key) {
      std::memcpy(copy + key * wide, values + key * stride, static_cast<size_t>(size) * sizeof(float));
      std::fill(copy + key * wide + size, copy + (key + 1) * wide, 0.0f);
    }
    values = copy;
    stride = wide;
  }
  blockGemm<false>(static_cast<int>(n), static_cast<int>(wide), static_cast<int>(end - base), scores, padded, values, stride, outs,
                   wide, false);
  for (int64_t i = 0; i < n; ++i) {
    std::memcpy(at(run.out, run.row + i / group, (run.kvHead * group + i % group) * size), outs + i * wide,
                static_cast<size_t>(size) * sizeof(float));
  }
}

}  // namespace

void CpuBackend::attentionCached(const Tensor& out, const Tensor& q, const KeyValueCache& cache, const int32_t* slots,
                                 const int32_t* positions, const AttentionShape& shape) {
  requireF32(out, q, cache.keys, cache.values);
  const int64_t group = shape.heads / shape.kvHeads;
  const int64_t share = q.rows > 64 ? 8 : 2;  // of rows, in a piece
  const int64_t shares = (q.rows + share - 1) / share;
  pool_.run(shares * shape.kvHeads, [&](int64_t piece, int thread) {
    const int64_t first = piece / shape.kvHeads * share, last = std::min(q.rows, first + share);
    for (int64_t row = first; row < last;) {
      Run run{out, q, cache, shape, row, 1, slots[row], positions[row], piece % shape.kvHeads};
      const int64_t most = kMostScores / (group * up(positions[row] + share));
      while (row + run.rows < last && run.rows < most && slots[row + run.rows] == run.slot &&
             positions[row + run.rows] == run.position + run.rows) {
        ++run.rows;
      }
      attend(run, scratch(thread));
      row += run.rows;
    }
  });
}

}  // namespace sftlab
