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

/// Whether tensor cores take these: bf16, heads of a size there are tiles for, rows that 16 bytes at a time can be read from.
template <typename... Tensors>
bool tilesTake(const AttentionShape& shape, const Tensors&... tensors) {
  const auto takes = [](const Tensor& x) { return x.dtype == DType::bf16 && inEights(x); };
  const int32_t size = shape.headSize;
  return (size == 16 || size == 32 || size == 64 || size == 80 || size == 96 || size == 128) && (takes(tensors) && ...);
}

void attentionTiles(const Caller& stream, const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                    const Places& places, int32_t mostQueries);
/// delta is made on the way. `parts` has room for `partsOfKeys` of `atOnce` key heads: what each of their query heads adds to dk and dv.
void attentionTilesBackward(const Caller& stream, const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                            const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v, const Places& places, int32_t mostQueries,
                            int32_t longest, const View<float>& delta, float* parts, int32_t atOnce);
size_t partsOfKeys(const Tensor& k, const AttentionShape& shape, int32_t kvHeads);

}  // namespace sftlab::cuda
