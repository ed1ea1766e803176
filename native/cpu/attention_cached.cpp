// Attention of single queries over the key-value cache, for generation. A piece is (row, key-value head): the heads of
// a group read the same keys and values while they are in the cache.

#include <cmath>
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

/// scores[i] = scale * query . key i, as many keys at a time as a vector has lanes. `scores` has room for whole
/// vectors.
void scoreKeys(float* scores, const float* query, const float* keys, int64_t stride, int64_t count, int size,
               float scale) {
  const int whole = size / kLanes * kLanes;
  for (int64_t first = 0; first < count; first += kLanes) {
    Vec sums[kLanes]{};
    for (int c = 0; c < whole; c += kLanes) {
      const Vec q = load(query + c);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) sums[i] += q * load(keys + std::min(first + i, count - 1) * stride + c);
    }
    Vec totals = sumLanes(sums);
    for (int c = whole; c < size; ++c) {
      for (int i = 0; i < kLanes; ++i) totals[i] += query[c] * keys[std::min(first + i, count - 1) * stride + c];
    }
    store(scores + first, totals * scale);
  }
}

/// scores become e^(score - largest) over their sum.
void softmax(float* scores, int64_t count) {
  float best = -std::numeric_limits<float>::infinity(), total = 0;
#pragma omp simd reduction(max : best)
  for (int64_t i = 0; i < count; ++i) best = scores[i] > best ? scores[i] : best;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) {
    scores[i] = fastExp(scores[i] - best);
    total += scores[i];
  }
  const float inverse = 1.0f / total;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) scores[i] *= inverse;
}

}  // namespace

void CpuBackend::attentionCached(const Tensor& out, const Tensor& q, const KeyValueCache& cache, const int32_t* slots,
                                 const int32_t* positions, const AttentionShape& shape) {
  requireF32(out, q, cache.keys, cache.values);
  const int size = shape.headSize, group = shape.heads / shape.kvHeads;
  pool_.run(q.rows * shape.kvHeads, [&](int64_t piece, int thread) {
    const int64_t row = piece / shape.kvHeads, kvHead = piece % shape.kvHeads;
    const int64_t end = positions[row] + 1;
    const int64_t first = shape.causal && shape.window > 0 ? std::max<int64_t>(0, end - shape.window) : 0;
    const int64_t count = end - first, base = static_cast<int64_t>(slots[row]) * cache.capacity + first;
    const float* const keys = at(cache.keys, base, kvHead * size);
    const float* const values = at(cache.values, base, kvHead * size);
    const int64_t padded = (count + kLanes - 1) / kLanes * kLanes;
    float* const scores = scratch(thread).floats(static_cast<size_t>(group * padded));
    for (int g = 0; g < group; ++g) {
      const float* const query = at(q, row, (kvHead * group + g) * size);
      scoreKeys(scores + g * padded, query, keys, cache.keys.stride, count, size, shape.scale);
      softmax(scores + g * padded, count);
    }
    // The heads of a group stand side by side in `out`, and so make the rows of one product.
    blockGemm<false>(group, size, static_cast<int>(count), scores, padded, values, cache.values.stride,
                     at(out, row, kvHead * group * size), size, false);
  });
}

}  // namespace sftlab
