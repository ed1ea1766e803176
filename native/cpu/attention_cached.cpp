// Attention of single queries over the key-value cache, for generation. A piece is (row, key-value head): the heads of
// a group read the same keys and values while they are in the cache.

#include <cmath>
#include <cstring>
#include <limits>

#include "cpu/cpu_backend_impl.h"
#include "cpu/vector.h"

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

/// scores[i] = scale * query . key i, four keys at a time so that their sums are under way together.
void scoreKeys(float* scores, const float* query, const float* keys, int64_t stride, int64_t count, int size,
               float scale) {
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const float* const a = keys + i * stride;
    const float *const b = a + stride, *const c = b + stride, *const d = c + stride;
    float sumA = 0, sumB = 0, sumC = 0, sumD = 0;
#pragma omp simd reduction(+ : sumA, sumB, sumC, sumD)
    for (int j = 0; j < size; ++j) {
      sumA += query[j] * a[j];
      sumB += query[j] * b[j];
      sumC += query[j] * c[j];
      sumD += query[j] * d[j];
    }
    scores[i] = sumA * scale;
    scores[i + 1] = sumB * scale;
    scores[i + 2] = sumC * scale;
    scores[i + 3] = sumD * scale;
  }
  for (; i < count; ++i) {
    const float* const a = keys + i * stride;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < size; ++j) sum += query[j] * a[j];
    scores[i] = sum * scale;
  }
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
    float* const scores = scratch(thread).floats(static_cast<size_t>(count));
    for (int64_t head = kvHead * group; head < (kvHead + 1) * group; ++head) {
      scoreKeys(scores, at(q, row, head * size), keys, cache.keys.stride, count, size, shape.scale);
      float best = -std::numeric_limits<float>::infinity(), total = 0;
#pragma omp simd reduction(max : best)
      for (int64_t i = 0; i < count; ++i) best = scores[i] > best ? scores[i] : best;
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < count; ++i) {
        scores[i] = fastExp(scores[i] - best);
        total += scores[i];
      }
      float* const to = at(out, row, head * size);
      std::fill(to, to + size, 0.0f);
      int64_t i = 0;
      for (; i + 4 <= count; i += 4) {
        const float* const a = values + i * cache.values.stride;
        const float *const b = a + cache.values.stride, *const c = b + cache.values.stride,
                           *const d = c + cache.values.stride;
        const float wa = scores[i], wb = scores[i + 1], wc = scores[i + 2], wd = scores[i + 3];
#pragma omp simd
        for (int j = 0; j < size; ++j) to[j] += wa * a[j] + wb * b[j] + (wc * c[j] + wd * d[j]);
      }
      for (; i < count; ++i) {
        const float* const a = values + i * cache.values.stride;
#pragma omp simd
        for (int j = 0; j < size; ++j) to[j] += scores[i] * a[j];
      }
      const float inverse = 1.0f / total;
#pragma omp simd
      for (int j = 0; j < size; ++j) to[j] *= inverse;
    }
  });
}

}  // namespace sftlab
