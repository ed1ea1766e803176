#pragma once

// What the attention of f32 and of bf16 share: which keys a query sees, and the online softmax (Dao et al. 2022).

#include <algorithm>
#include <limits>

#include "cpu/vector.h"
#include "model/backend.h"

namespace sftlab {

constexpr int kBlock = 64;  ///< queries and keys of a block: its scores fill half a first-level cache
constexpr int kStrip = 16;
constexpr float kMasked = -std::numeric_limits<float>::infinity();

inline int roundUp(int value, int unit) { return (value + unit - 1) / unit * unit; }

/// Keys that query `position` sees are [first, end).
struct Visible {
  int first, end;
};

inline Visible visible(const AttentionShape& shape, int position, int length) {
  if (!shape.causal) return {0, length};
  return {shape.window > 0 ? std::max(0, position - shape.window + 1) : 0, position + 1};
}

/// Where the queries of a block stand in their sequence, rising.
struct Places {
  const int32_t* positions;  ///< or none: one after another from `first` on
  int first, count;

  int at(int row) const { return positions ? positions[row] : first + row; }
  int last() const { return at(count - 1); }
  /// Rows that stand before `position`.
  int before(int position) const {
    if (!positions) return std::clamp(position - first, 0, count);
    return static_cast<int>(std::lower_bound(positions, positions + count, position) - positions);
  }
};

/// Whether every query of a block sees every key of a block.
inline bool allVisible(const AttentionShape& shape, const Places& queries, int key, int keys, int length) {
  return visible(shape, queries.at(0), length).end >= key + keys && visible(shape, queries.last(), length).first <= key;
}

/// Queries of a block, [first, end) of its rows, that see `key`.
inline Visible seenBy(const AttentionShape& shape, const Places& queries, int key) {
  if (!shape.causal) return {0, queries.count};
  return {queries.before(key), shape.window > 0 ? queries.before(key + shape.window) : queries.count};
}

/// The queries of one sequence: rows [begin, begin + count) of q.
struct SequenceQueries {
  int begin, count;
  const int32_t* positions;  ///< of the sequence's rows, or none where all its tokens are asked about

  SequenceQueries(const Sequences& sequences, const Queries& asked, int sequence) {
    const int32_t* const offsets = asked ? asked.host : sequences.host;
    begin = offsets[sequence];
    count = offsets[sequence + 1] - begin;
    positions = asked ? asked.positions + begin : nullptr;
  }
  Places block(int first, int size) const { return {positions ? positions + first : nullptr, first, size}; }
};

inline int64_t queryBlocks(const Sequences& sequences, const Queries& asked) {
  return ((asked ? asked.most : sequences.longest) + kBlock - 1) / kBlock;
}

/// Sums of a block of queries on their way over the keys: a lane for each query.
struct OnlineSoftmax {
  float high[kBlock], sum[kBlock], keep[kBlock];
};

/// scores (keys, kBlock) become e^(score - high) with `high` raised to the new maximum; `keep` is what sums so far
/// shrink by. On the diagonal, what lies below a vector's last query is left as it is.
inline void softmaxBlock(OnlineSoftmax& state, float* scores, int allKeys, int columns, bool diagonal) {
  for (int col = 0; col < columns; col += kLanes) {
    const int keys = diagonal ? std::min(allKeys, col / kStrip * kStrip + kStrip) : allKeys;
    const Vec before = load(state.high + col);
    Vec high = before;
    for (int j = 0; j < keys; ++j) {
      const Vec score = load(scores + j * kBlock + col);
      high = score > high ? score : high;
    }
    // A query that has seen no key yet, as under a window, subtracts 0 from minus infinity.
    const Vec base = high == splat(kMasked) ? Vec{} : high;
    Vec total{};
    for (int j = 0; j < keys; ++j) {
      const Vec e = fastExp(load(scores + j * kBlock + col) - base);
      store(scores + j * kBlock + col, e);
      total += e;
    }
    const Vec keep = fastExp(before - base);
    store(state.keep + col, keep);
    store(state.sum + col, load(state.sum + col) * keep + total);
    store(state.high + col, high);
  }
}

}  // namespace sftlab
