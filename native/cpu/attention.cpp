// Attention by blocks with an online softmax (Dao et al. 2022): no S x S matrix is ever held, and nothing is computed across
// the borders of sequences. The backward pass makes each block's probabilities again from the log-sum-exp that the forward kept:
//   P = exp(scale * Q K^T - lse),  dV = P^T dO,  dS = scale * P * (dO V^T - rowsum(dO * O)),  dQ = dS K,  dK = dS^T Q.
//
// Forward work is cut into (sequence, head, block of queries), backward into (sequence, key-value head). Each piece is computed
// whole by one thread in a fixed order and writes what no other piece writes, so the result does not depend on who takes which.
// Keys and values of a block are transposed once into scratch, where columns beyond the block are zero.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cpu/block_gemm.h"
#include "cpu/cpu_backend_impl.h"

namespace sftlab {

namespace {

constexpr int kBlock = 64;  ///< queries and keys of a block: its scores fill half a first-level cache
constexpr float kMasked = -std::numeric_limits<float>::infinity();

/// out (cols, kBlock) = x (rows, cols) transposed, zero beyond `rows`.
void transposeBlock(float* out, const float* x, int64_t stride, int rows, int cols) {
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < cols; ++c) out[c * kBlock + r] = x[r * stride + c];
  }
  if (rows == kBlock) return;
  for (int c = 0; c < cols; ++c) std::fill(out + c * kBlock + rows, out + (c + 1) * kBlock, 0.0f);
}

/// Keys that query `position` sees are [first, end).
struct Visible {
  int first, end;
};

Visible visible(const AttentionShape& shape, int position, int length) {
  if (!shape.causal) return {0, length};
  return {shape.window > 0 ? std::max(0, position - shape.window + 1) : 0, position + 1};
}

/// Sets the scores of unseen keys to minus infinity and scales the others. scores (queries, kBlock).
void scaleAndMask(float* scores, const AttentionShape& shape, int query, int queries, int key, int keys, int length) {
  for (int i = 0; i < queries; ++i) {
    float* const row = scores + i * kBlock;
    const Visible seen = visible(shape, query + i, length);
    const int first = std::clamp(seen.first - key, 0, keys), end = std::clamp(seen.end - key, first, keys);
    std::fill(row, row + first, kMasked);
#pragma omp simd
    for (int j = first; j < end; ++j) row[j] *= shape.scale;
    std::fill(row + end, row + kBlock, kMasked);
  }
}

}  // namespace

void CpuBackend::attention(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                           const AttentionShape& shape, const Sequences& sequences) {
  const int size = shape.headSize, group = shape.heads / shape.kvHeads;
  const int64_t blocks = (sequences.longest + kBlock - 1) / kBlock;
  const int64_t pieces = static_cast<int64_t>(sequences.count) * shape.heads * blocks;
#pragma omp parallel for num_threads(threadsFor(q.size() * 64)) schedule(dynamic)
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int sequence = static_cast<int>(piece / (shape.heads * blocks));
    const int head = static_cast<int>(piece / blocks % shape.heads);
    const int query = static_cast<int>(piece % blocks) * kBlock;
    const int begin = sequences.host[sequence], length = sequences.host[sequence + 1] - begin;
    if (query >= length) continue;
    const int queries = std::min(kBlock, length - query);
    const float* const qs = q.f32() + (begin + query) * q.stride + head * size;
    const float* const ks = k.f32() + begin * k.stride + head / group * size;
    const float* const vs = v.f32() + begin * v.stride + head / group * size;
    float* const o = out.f32() + (begin + query) * out.stride + head * size;

    float* const keysT = scratch().floats(static_cast<size_t>(kBlock) * (size + kBlock) + 2 * kBlock);
    float* const scores = keysT + kBlock * size;
    float* const high = scores + kBlock * kBlock;
    float* const sum = high + kBlock;
    std::fill(high, high + queries, kMasked);
    std::fill(sum, sum + queries, 0.0f);
    for (int i = 0; i < queries; ++i) std::fill(o + i * out.stride, o + i * out.stride + size, 0.0f);

    const int firstKey = visible(shape, query, length).first / kBlock * kBlock;
    const int endKey = visible(shape, query + queries - 1, length).end;
    for (int key = firstKey; key < endKey; key += kBlock) {
      const int keys = std::min(kBlock, endKey - key);
      transposeBlock(keysT, ks + key * k.stride, k.stride, keys, size);
      blockGemm<false>(queries, kBlock, size, qs, q.stride, keysT, kBlock, scores, kBlock, false);
      scaleAndMask(scores, shape, query, queries, key, keys, length);
      for (int i = 0; i < queries; ++i) {
        float* const row = scores + i * kBlock;
        float best = high[i];
#pragma omp simd reduction(max : best)
        for (int j = 0; j < kBlock; ++j) best = row[j] > best ? row[j] : best;
        if (best == kMasked) {  // a windowed query sees no key of this block
          std::fill(row, row + kBlock, 0.0f);
          continue;
        }
        float total = 0;
#pragma omp simd reduction(+ : total)
        for (int j = 0; j < kBlock; ++j) {
          row[j] = fastExp(row[j] - best);
          total += row[j];
        }
        const float keep = fastExp(high[i] - best);
        sum[i] = sum[i] * keep + total;
        high[i] = best;
        if (keep != 1.0f) {
          float* const to = o + i * out.stride;
#pragma omp simd
          for (int c = 0; c < size; ++c) to[c] *= keep;
        }
      }
      blockGemm<false>(queries, size, keys, scores, kBlock, vs + key * v.stride, v.stride, o, out.stride, true);
    }
    for (int i = 0; i < queries; ++i) {
      const float scale = 1.0f / sum[i];
      float* const to = o + i * out.stride;
#pragma omp simd
      for (int c = 0; c < size; ++c) to[c] *= scale;
      lse.f32()[(begin + query + i) * lse.stride + head] = high[i] + std::log(sum[i]);
    }
  }
}

void CpuBackend::attentionBackward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout,
                                   const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k,
                                   const Tensor& v, const AttentionShape& shape, const Sequences& sequences) {
  const int size = shape.headSize, group = shape.heads / shape.kvHeads;
  const int64_t pieces = static_cast<int64_t>(sequences.count) * shape.kvHeads;
#pragma omp parallel for num_threads(threadsFor(q.size() * 64)) schedule(dynamic)
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int sequence = static_cast<int>(piece / shape.kvHeads), kvHead = static_cast<int>(piece % shape.kvHeads);
    const int begin = sequences.host[sequence], length = sequences.host[sequence + 1] - begin;
    float* const keysT = scratch().floats(static_cast<size_t>(kBlock) * (2 * size + 2 * kBlock) +
                                          static_cast<size_t>(length) * group);
    float* const valuesT = keysT + kBlock * size;
    float* const p = valuesT + kBlock * size;
    float* const ds = p + kBlock * kBlock;
    float* const delta = ds + kBlock * kBlock;  // rowsum(dO * O), (group, length)

    for (int g = 0; g < group; ++g) {
      const int64_t at = (kvHead * group + g) * size;
      for (int i = 0; i < length; ++i) {
        const float* const d = dout.f32() + (begin + i) * dout.stride + at;
        const float* const o = out.f32() + (begin + i) * out.stride + at;
        float dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int c = 0; c < size; ++c) dot += d[c] * o[c];
        delta[g * length + i] = dot;
        float* const to = dq.f32() + (begin + i) * dq.stride + at;
        std::fill(to, to + size, 0.0f);
      }
    }
    for (int key = 0; key < length; key += kBlock) {
      const int keys = std::min(kBlock, length - key);
      const float* const ks = k.f32() + (begin + key) * k.stride + kvHead * size;
      const float* const vs = v.f32() + (begin + key) * v.stride + kvHead * size;
      float* const dks = dk.f32() + (begin + key) * dk.stride + kvHead * size;
      float* const dvs = dv.f32() + (begin + key) * dv.stride + kvHead * size;
      transposeBlock(keysT, ks, k.stride, keys, size);
      transposeBlock(valuesT, vs, v.stride, keys, size);
      bool first = true;  // the first block of queries overwrites dk and dv
      // Queries that see a key of this block: from the block itself on if causal, up to the window's end.
      const int firstQuery = shape.causal ? key : 0;
      const int endQuery =
          shape.causal && shape.window > 0 ? std::min(length, key + keys - 1 + shape.window) : length;
      for (int g = 0; g < group; ++g) {
        const int head = kvHead * group + g;
        for (int query = firstQuery; query < endQuery; query += kBlock) {
          const int queries = std::min(kBlock, length - query);
          const float* const qs = q.f32() + (begin + query) * q.stride + head * size;
          const float* const d = dout.f32() + (begin + query) * dout.stride + head * size;
          blockGemm<false>(queries, kBlock, size, qs, q.stride, keysT, kBlock, p, kBlock, false);
          scaleAndMask(p, shape, query, queries, key, keys, length);
          blockGemm<false>(queries, kBlock, size, d, dout.stride, valuesT, kBlock, ds, kBlock, false);
          for (int i = 0; i < queries; ++i) {
            const float total = lse.f32()[(begin + query + i) * lse.stride + head];
            const float dot = delta[g * length + query + i];
            float* const ps = p + i * kBlock;
            float* const to = ds + i * kBlock;
#pragma omp simd
            for (int j = 0; j < kBlock; ++j) {
              ps[j] = fastExp(ps[j] - total);
              to[j] = shape.scale * ps[j] * (to[j] - dot);
            }
          }
          blockGemm<true>(keys, size, queries, p, kBlock, d, dout.stride, dvs, dv.stride, !first);
          blockGemm<true>(keys, size, queries, ds, kBlock, qs, q.stride, dks, dk.stride, !first);
          blockGemm<false>(queries, size, keys, ds, kBlock, ks, k.stride,
                           dq.f32() + (begin + query) * dq.stride + head * size, dq.stride, true);
          first = false;
        }
      }
    }
  }
}

void CpuBackend::cacheStore(const KeyValueCache& cache, const Tensor& k, const Tensor& v, const int32_t* slots,
                            const int32_t* positions) {
  for (int64_t row = 0; row < k.rows; ++row) {
    const int64_t at = static_cast<int64_t>(slots[row]) * cache.capacity + positions[row];
    std::memcpy(cache.keys.slice(at, 1).data, k.slice(row, 1).data, static_cast<size_t>(k.cols) * sizeof(float));
    std::memcpy(cache.values.slice(at, 1).data, v.slice(row, 1).data, static_cast<size_t>(v.cols) * sizeof(float));
  }
}

void CpuBackend::attentionCached(const Tensor& out, const Tensor& q, const KeyValueCache& cache, const int32_t* slots,
                                 const int32_t* positions, const AttentionShape& shape) {
  const int size = shape.headSize, group = shape.heads / shape.kvHeads;
  const int64_t pieces = q.rows * shape.heads;
#pragma omp parallel for num_threads(threadsFor(q.size() * 64)) schedule(dynamic)
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t row = piece / shape.heads, head = piece % shape.heads;
    const Visible seen = visible(shape, positions[row], positions[row] + 1);
    const int64_t base = static_cast<int64_t>(slots[row]) * cache.capacity;
    const float* const query = q.f32() + row * q.stride + head * size;
    const float* const ks = cache.keys.f32() + base * cache.keys.stride + head / group * size;
    const float* const vs = cache.values.f32() + base * cache.values.stride + head / group * size;
    float* const to = out.f32() + row * out.stride + head * size;
    float* const scores = scratch().floats(static_cast<size_t>(seen.end));
    float best = kMasked, total = 0;
    for (int i = seen.first; i < seen.end; ++i) {
      const float* const key = ks + i * cache.keys.stride;
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int c = 0; c < size; ++c) dot += query[c] * key[c];
      scores[i] = dot * shape.scale;
      best = scores[i] > best ? scores[i] : best;
    }
    std::fill(to, to + size, 0.0f);
    for (int i = seen.first; i < seen.end; ++i) {
      const float weight = fastExp(scores[i] - best);
      const float* const value = vs + i * cache.values.stride;
      total += weight;
#pragma omp simd
      for (int c = 0; c < size; ++c) to[c] += weight * value[c];
    }
    for (int c = 0; c < size; ++c) to[c] /= total;
  }
}

}  // namespace sftlab
