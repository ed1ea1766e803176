// Attention by blocks with an online softmax (Dao et al. 2022): no S x S matrix is ever held, and nothing is computed
// across the borders of sequences. The backward pass makes each block's probabilities again from the log-sum-exp that
// the forward kept:
//   P = exp(scale * Q K^T - lse),  dV = P^T dO,  dS = scale * P * (dO V^T - rowsum(dO * O)),  dQ = dS K,  dK = dS^T Q.
//
// Forward pieces are (sequence, head, block of queries). Their scores are held transposed, (keys, queries): then the
// block's queries are transposed once for all its keys, and maxima and sums over keys go down the lanes of vectors,
// with nothing to reduce across them.
//
// Backward pieces are (sequence, key-value head, part), a part being every `parts`-th block of keys. A piece owns the
// gradients of its keys and values, and adds them up over the heads of its group and the blocks of queries in that
// order. Its share of dQ goes into dQ itself for the first part and into a buffer for each other one; the buffers are
// added in order at the end. The number of parts follows from the shape alone, as the pieces do, so no bit of the
// result depends on the threads.
//
// On the diagonal of a causal block, strips of 16 queries or keys skip what no query of theirs sees: short sequences
// are all diagonal.

#include <cmath>

#include "cpu/attention_blocks.h"
#include "cpu/block_gemm.h"
#include "cpu/cpu_backend_impl.h"

namespace sftlab {

namespace {

/// out (cols, kBlock) = x (rows, cols) transposed, zero beyond `rows` up to whole strips.
void transposeBlock(float* out, const float* x, int64_t stride, int rows, int cols) {
  transpose(out, kBlock, x, stride, rows, cols);
  if constexpr (kLanes == kStrip) return;
  for (int first = roundUp(rows, kLanes); first < roundUp(rows, kStrip); first += kLanes) {
    for (int c = 0; c < cols; ++c) store(out + c * kBlock + first, Vec{});
  }
}

float dot(const float* a, const float* b, int count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

void scaleRow(float* x, int count, float by) {
#pragma omp simd
  for (int i = 0; i < count; ++i) x[i] *= by;
}

}  // namespace

void CpuBackend::attention(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                           const AttentionShape& shape, const Sequences& sequences, const Queries& asked) {
  if (q.dtype == DType::bf16) return attentionBf16(out, lse, q, k, v, shape, sequences, asked);
  requireF32(out, lse, q, k, v);
  const int size = shape.headSize, group = shape.heads / shape.kvHeads;
  const int64_t blocks = queryBlocks(sequences, asked);
  pool_.run(sequences.count * blocks * shape.heads, [&](int64_t piece, int thread) {
    const auto sequence = static_cast<int>(piece / (blocks * shape.heads));
    const auto query = static_cast<int>(piece / shape.heads % blocks) * kBlock,
               head = static_cast<int>(piece % shape.heads);
    const int begin = sequences.host[sequence], length = sequences.host[sequence + 1] - begin;
    const SequenceQueries own(sequences, asked, sequence);
    if (query >= own.count) return;
    const int queries = std::min(kBlock, own.count - query), columns = roundUp(queries, kStrip);
    const Places places = own.block(query, queries);
    const int row0 = own.begin + query;

    float* const queriesT = scratch(thread).floats(static_cast<size_t>(kBlock) * (size + kBlock));
    float* const scores = queriesT + kBlock * size;
    alignas(64) OnlineSoftmax state;
    std::fill(state.high, state.high + kBlock, kMasked);
    std::fill(state.sum, state.sum + kBlock, 0.0f);
    transposeBlock(queriesT, at(q, row0, head * size), q.stride, queries, size);
    for (int c = 0; c < size; ++c) scaleRow(queriesT + c * kBlock, columns, shape.scale);

    const int firstKey = visible(shape, places.at(0), length).first / kBlock * kBlock;
    const int endKey = visible(shape, places.last(), length).end;
    for (int key = firstKey; key < endKey; key += kBlock) {
      const int keys = std::min(kBlock, endKey - key);
      const float* const ks = at(k, begin + key, head / group * size);
      const float* const vs = at(v, begin + key, head / group * size);
      const bool diagonal = shape.causal && !places.positions && key == query;
      for (int j = 0; j < keys; j += kStrip) {
        const int skip = diagonal ? j : 0;
        blockGemm<false>(std::min(kStrip, keys - j), columns - skip, size, ks + j * k.stride, k.stride, queriesT + skip,
                         kBlock, scores + j * kBlock + skip, kBlock, false);
      }
      if (!allVisible(shape, places, key, keys, length)) {
        for (int j = 0; j < keys; ++j) {
          const Visible seen = seenBy(shape, places, key + j);
          std::fill(scores + j * kBlock, scores + j * kBlock + seen.first, kMasked);
          std::fill(scores + j * kBlock + seen.end, scores + j * kBlock + columns, kMasked);
        }
      }
      softmaxBlock(state, scores, keys, columns, diagonal);
      if (key > firstKey) {
        for (int i = 0; i < queries; ++i) {
          if (state.keep[i] != 1.0f) scaleRow(at(out, row0 + i, head * size), size, state.keep[i]);
        }
      }
      for (int i = 0; i < queries; i += kStrip) {
        blockGemm<true>(std::min(kStrip, queries - i), size, diagonal ? std::min(keys, i + kStrip) : keys, scores + i,
                        kBlock, vs, v.stride, at(out, row0 + i, head * size), out.stride, key > firstKey);
      }
    }
    for (int i = 0; i < queries; ++i) {
      scaleRow(at(out, row0 + i, head * size), size, 1.0f / state.sum[i]);
      *at(lse, row0 + i, head) = state.high[i] + std::log(state.sum[i]);
    }
  });
}

void CpuBackend::attentionBackward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout,
                                   const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k,
                                   const Tensor& v, const AttentionShape& shape, const Sequences& sequences, const Queries& asked) {
  if (sequences.count == 0) return;
  if (q.dtype == DType::bf16) return attentionBackwardBf16(dq, dk, dv, dout, out, lse, q, k, v, shape, sequences, asked);
  requireF32(dq, dk, dv, dout, out, lse, q, k, v);
  const int size = shape.headSize, group = shape.heads / shape.kvHeads;
  const int64_t tokens = q.rows, width = q.cols, keyBlocks = (sequences.longest + kBlock - 1) / kBlock;
  // Eight pieces or more, so that a few threads are kept busy by a single sequence too.
  const int64_t whole = static_cast<int64_t>(sequences.count) * shape.kvHeads;
  const int64_t parts = std::clamp<int64_t>((7 + whole) / whole, 1, std::max<int64_t>(1, keyBlocks));
  float* const deltas = shared_.floats(static_cast<size_t>(tokens * shape.heads + (parts - 1) * tokens * width));
  float* const buffers = deltas + tokens * shape.heads;

  // rowsum(dO * O), (tokens, heads); and dQ, which the pieces add to, starts from zero.
  forRanges(tokens, width * 2, [&](int64_t first, int64_t end, int) {
    for (int64_t row = first; row < end; ++row) {
      for (int head = 0; head < shape.heads; ++head) {
        deltas[row * shape.heads + head] = dot(at(dout, row, head * size), at(out, row, head * size), size);
      }
      std::fill(at(dq, row), at(dq, row) + width, 0.0f);
      for (int64_t part = 1; part < parts; ++part) {
        float* const buffer = buffers + ((part - 1) * tokens + row) * width;
        std::fill(buffer, buffer + width, 0.0f);
      }
    }
  });

  pool_.run(whole * parts, [&](int64_t piece, int thread) {
    const auto sequence = static_cast<int>(piece / (shape.kvHeads * parts));
    const auto kvHead = static_cast<int>(piece / parts % shape.kvHeads), part = static_cast<int>(piece % parts);
    const int begin = sequences.host[sequence], length = sequences.host[sequence + 1] - begin;
    const SequenceQueries own(sequences, asked, sequence);
    const Places all = own.block(0, own.count);
    float* const dqs = part == 0 ? at(dq, own.begin) : buffers + ((part - 1) * tokens + own.begin) * width;
    const int64_t dqStride = part == 0 ? dq.stride : width;
    float* const keysT = scratch(thread).floats(static_cast<size_t>(kBlock) * (2 * size + 2 * kBlock));
    float* const valuesT = keysT + kBlock * size;
    float* const p = valuesT + kBlock * size;
    float* const ds = p + kBlock * kBlock;

    for (int key = part * kBlock; key < length; key += static_cast<int>(parts) * kBlock) {
      const int keys = std::min(kBlock, length - key), columns = roundUp(keys, kStrip);
      const float* const ks = at(k, begin + key, kvHead * size);
      float* const dks = at(dk, begin + key, kvHead * size);
      float* const dvs = at(dv, begin + key, kvHead * size);
      transposeBlock(keysT, ks, k.stride, keys, size);
      transposeBlock(valuesT, at(v, begin + key, kvHead * size), v.stride, keys, size);
      bool first = true;  // the first block of queries overwrites dk and dv
      // Queries that see a key of this block: from the block itself on if causal, up to the window's end.
      const int firstQuery = shape.causal ? all.before(key) : 0;
      const int endQuery = shape.causal && shape.window > 0
                               ? all.before(static_cast<int>(std::min<int64_t>(length, int64_t{key} + keys - 1 + shape.window)))
                               : own.count;
      for (int head = kvHead * group; head < (kvHead + 1) * group; ++head) {
        for (int query = firstQuery; query < endQuery; query += kBlock) {
          const int queries = std::min(kBlock, own.count - query), row0 = own.begin + query;
          const Places places = own.block(query, queries);
          const float* const qs = at(q, row0, head * size);
          const float* const d = at(dout, row0, head * size);
          const bool diagonal = shape.causal && !places.positions && key == query;
          const bool masked = !allVisible(shape, places, key, keys, length);
          for (int i = 0; i < queries; i += kStrip) {
            const int rows = std::min(kStrip, queries - i), cols = diagonal ? std::min(columns, i + kStrip) : columns;
            blockGemm<false>(rows, cols, size, qs + i * q.stride, q.stride, keysT, kBlock, p + i * kBlock, kBlock,
                             false);
            blockGemm<false>(rows, cols, size, d + i * dout.stride, dout.stride, valuesT, kBlock, ds + i * kBlock,
                             kBlock, false);
            for (int r = i; r < i + rows; ++r) {
              const float total = *at(lse, row0 + r, head);
              const float delta = deltas[(row0 + r) * shape.heads + head];
              float* const ps = p + r * kBlock;
              float* const dss = ds + r * kBlock;
              for (int c = 0; c < cols; c += kLanes) {
                const Vec e = fastExp(load(ps + c) * shape.scale - total);
                store(ps + c, e);
                store(dss + c, shape.scale * e * (load(dss + c) - delta));
              }
              if (!masked) continue;
              const Visible seen = visible(shape, places.at(r), length);
              const int from = std::clamp(seen.first - key, 0, cols), end = std::clamp(seen.end - key, from, cols);
              std::fill(ps, ps + from, 0.0f);
              std::fill(dss, dss + from, 0.0f);
              std::fill(ps + end, ps + cols, 0.0f);
              std::fill(dss + end, dss + cols, 0.0f);
            }
            blockGemm<false>(rows, size, std::min(keys, cols), ds + i * kBlock, kBlock, ks, k.stride,
                             dqs + (query + i) * dqStride + head * size, dqStride, true);
          }
          for (int j = 0; j < keys; j += kStrip) {
            const int rows = std::min(kStrip, keys - j), skip = diagonal ? std::min(j, queries) : 0;
            blockGemm<true>(rows, size, queries - skip, p + skip * kBlock + j, kBlock, d + skip * dout.stride,
                            dout.stride, dvs + j * dv.stride, dv.stride, !first);
            blockGemm<true>(rows, size, queries - skip, ds + skip * kBlock + j, kBlock, qs + skip * q.stride, q.stride,
                            dks + j * dk.stride, dk.stride, !first);
          }
          first = false;
        }
      }
      for (int j = 0; first && j < keys; ++j) {  // no query that is asked about sees these keys
        std::fill(dks + j * dk.stride, dks + j * dk.stride + size, 0.0f);
        std::fill(dvs + j * dv.stride, dvs + j * dv.stride + size, 0.0f);
      }
    }
  });

  if (parts == 1) return;
  forElements(tokens, width, dq.contiguous(), parts, [&](int64_t row, int64_t col, int64_t count) {
    float* const to = at(dq, row, col);
    for (int64_t part = 1; part < parts; ++part) {
      const float* const from = buffers + ((part - 1) * tokens + row) * width + col;
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) to[c] += from[c];
    }
  });
}

}  // namespace sftlab
