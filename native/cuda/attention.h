#pragma once

// What the two forms of attention share.

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

/// Where a query or key stands, and whom it sees.
struct Places {
  AttentionShape shape;
  const int32_t* offsets;       ///< of sequences, in tokens
  const int32_t* queryOffsets;  ///< of sequences, in rows of queries
  const int32_t* positions;     ///< of queries in their sequences; none: all are there
  int32_t sequences;

  /// The sequence that entry `index` of these offsets belongs to.
  DEVICE int32_t find(const int32_t* of, int64_t index) const {
    int32_t low = 0, high = sequences - 1;
    while (low < high) {
      const int32_t middle = (low + high + 1) / 2;
      if (of[middle] <= index) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
  DEVICE int32_t place(int64_t row, int32_t sequence) const {
    return positions ? positions[row] : static_cast<int32_t>(row - queryOffsets[sequence]);
  }
  /// Keys [first, end) of the sequence that a query at `place` sees.
  DEVICE int32_t firstKey(int32_t place) const { return shape.window > 0 && place >= shape.window ? place - shape.window + 1 : 0; }
  DEVICE int32_t endKey(int32_t place, int32_t length) const { return shape.causal ? place + 1 : length; }
};

inline Places placesOf(const AttentionShape& shape, const Sequences& sequences, const Queries& queries) {
  if (shape.headSize > 128) throw std::logic_error("attention heads have at most 128 numbers here");
  return {shape, sequences.device, queries ? queries.device : sequences.device, queries ? queries.positions : nullptr, sequences.count};
}

/// The most queries of one sequence.
inline int32_t most(const Sequences& sequences, const Queries& queries) { return queries ? queries.most : sequences.longest; }

template <typename T>
DEVICE float dot(const T* a, const T* b, int32_t size) {
  float sum = 0;
  for (int32_t c = 0; c < size; ++c) sum += get(a[c]) * get(b[c]);
  return sum;
}

/// delta (rows, heads) = dout . out of each head: what the softmax takes from every score's gradient.
template <typename T>
struct Delta {
  View<float> delta;
  View<T> dout, out;
  int32_t size;
  DEVICE void operator()(int64_t row, int64_t head) const { delta(row, head) = dot(dout.row(row) + head * size, out.row(row) + head * size, size); }
};

/// Whether tensor cores take these: bf16, heads of whole fragments, rows that 16 bytes at a time can be read from.
inline bool tilesTake(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape) {
  const auto aligned = [](const Tensor& x) { return x.stride % 8 == 0 && reinterpret_cast<uintptr_t>(x.data) % 16 == 0; };
  return q.dtype == DType::bf16 && shape.headSize % 16 == 0 && aligned(q) && aligned(k) && aligned(v);
}

void attentionTiles(Stream stream, const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                    const Places& places, int32_t mostQueries);
void attentionTilesBackward(Stream stream, const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& lse,
                            const View<float>& delta, const Tensor& q, const Tensor& k, const Tensor& v, const Places& places,
                            int32_t mostQueries, int32_t longest);

}  // namespace sftlab::cuda
