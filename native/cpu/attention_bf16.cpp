// Attention of bf16 queries, keys and values: the blocks, pieces and sums of cpu/attention.cpp, with products of pairs
// (cpu/bf16_kernels.h) and everything between them in fp32. Probabilities are rounded to bf16 before they meet the values,
// as in other implementations.
//
// Pairs run along whatever a product sums over. Scores are made with keys (forward) or queries (backward) as rows, so that
// two neighbouring rows interleaved are at once the left-hand side of the next product, where keys or queries are summed over.

#include <cmath>

#include "cpu/attention_blocks.h"
#include "cpu/bf16_kernels.h"
#include "cpu/cpu_backend_impl.h"

namespace sftlab {

namespace {

using bf16::Pair;

/// A block of rows interleaved by pairs, read as the left-hand side whose rows are its columns.
bf16::Left columnsOf(const Pair* pairs) { return {pairs, 1, kBlock, bf16::kRows}; }

const Bf16* rowsAt(const Tensor& x, int64_t row, int64_t col) { return at<Bf16>(x, row, col); }

bf16::Left leftRows(const Bf16* x, int64_t stride) { return bf16::rowsOf(reinterpret_cast<const bf16::Number*>(x), stride); }

/// Pairs of (ceil(inner / 2), size) for a product whose columns are the head's numbers: panels of at most kPanel of these.
void packHead(Pair* out, const Bf16* x, int64_t stride, int size, int inner) {
  const int64_t depth = (inner + 1) / 2;
  for (int c = 0; c < size; c += bf16::kPanel) {
    bf16::packRight(out + c * depth, {x + c, stride, true}, false, std::min(bf16::kPanel, size - c), inner);
  }
}

/// out (rows, size) f32 += left * head, `head` as `packHead` makes it.
void addProduct(float* out, int64_t stride, const bf16::Left& left, const Pair* head, int rows, int size, int inner) {
  const int64_t depth = (inner + 1) / 2;
  for (int c = 0; c < size; c += bf16::kPanel) {
    bf16::product(left, head + c * depth, rows, std::min(bf16::kPanel, size - c), depth,
                  {out + c, stride, false, true, 1.0f, nullptr, 0});
  }
}

/// scores (rows, kBlock) f32 = alpha * left * columns, both along the head's numbers.
void scoreProduct(float* scores, const bf16::Left& left, const Pair* columns, int rows, int count, int size, float alpha) {
  bf16::product(left, columns, rows, count, size / 2, {scores, kBlock, false, false, alpha, nullptr, 0});
}

}  // namespace

void CpuBackend::attentionBf16(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                               const AttentionShape& shape, const Sequences& sequences, const Queries& asked) {
  requireF32(lse);
  requireSame(out, q, k, v);
  const int size = shape.headSize, group = shape.heads / shape.kvHeads, wide = roundUp(size, bf16::kLane);
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

    float* const sums = scratch(thread).floats(static_cast<size_t>(kBlock) * (size + size / 2 + kBlock + kBlock / 2 + wide / 2));
    float* const scores = sums + kBlock * size;
    auto* const queriesP = reinterpret_cast<Pair*>(scores + kBlock * kBlock);
    Pair* const weightsP = queriesP + kBlock * size / 2;
    Pair* const valuesP = weightsP + kBlock * kBlock / 2;
    alignas(64) OnlineSoftmax state;
    std::fill(state.high, state.high + kBlock, kMasked);
    std::fill(state.sum, state.sum + kBlock, 0.0f);
    std::fill(sums, sums + kBlock * size, 0.0f);
    bf16::packRight(queriesP, {rowsAt(q, row0, head * size), q.stride, true}, true, queries, size);

    const int firstKey = visible(shape, places.at(0), length).first / kBlock * kBlock;
    const int endKey = visible(shape, places.last(), length).end;
    for (int key = firstKey; key < endKey; key += kBlock) {
      const int keys = std::min(kBlock, endKey - key);
      scoreProduct(scores, leftRows(rowsAt(k, begin + key, head / group * size), k.stride), queriesP, keys, queries, size,
                   shape.scale);
      for (int j = 0; j < keys; ++j) std::fill(scores + j * kBlock + queries, scores + j * kBlock + columns, 0.0f);
      if (!allVisible(shape, places, key, keys, length)) {
        for (int j = 0; j < keys; ++j) {
          const Visible seen = seenBy(shape, places, key + j);
          std::fill(scores + j * kBlock, scores + j * kBlock + seen.first, kMasked);
          std::fill(scores + j * kBlock + seen.end, scores + j * kBlock + columns, kMasked);
        }
      }
      softmaxBlock(state, scores, keys, columns, false);
      if (key > firstKey) {
        for (int i = 0; i < queries; ++i) {
          const float keep = state.keep[i];
          if (keep == 1.0f) continue;
          float* const row = sums + i * size;
#pragma omp simd
          for (int c = 0; c < size; ++c) row[c] *= keep;
        }
      }
      // Columns up to kBlock, so that a row of pairs is kBlock long whatever the number of queries.
      bf16::packRight(weightsP, {scores, kBlock, false}, false, kBlock, keys);
      packHead(valuesP, rowsAt(v, begin + key, head / group * size), v.stride, size, keys);
      addProduct(sums, size, columnsOf(weightsP), valuesP, queries, size, keys);
    }
    for (int i = 0; i < queries; ++i) {
      const float inverse = 1.0f / state.sum[i];
      const float* const from = sums + i * size;
      Bf16* const to = at<Bf16>(out, row0 + i, head * size);
#pragma omp simd
      for (int c = 0; c < size; ++c) put(to[c], from[c] * inverse);
      *at(lse, row0 + i, head) = state.high[i] + std::log(state.sum[i]);
    }
  });
}

void CpuBackend::attentionBackwardBf16(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout,
                                       const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k,
                                       const Tensor& v, const AttentionShape& shape, const Sequences& sequences, const Queries& asked) {
  requireF32(lse);
  requireSame(dq, dk, dv, dout, out, q, k, v);
  const int size = shape.headSize, group = shape.heads / shape.kvHeads, wide = roundUp(size, bf16::kLane);
  const int64_t tokens = q.rows, width = q.cols, keyBlocks = (sequences.longest + kBlock - 1) / kBlock;
  const int64_t whole = static_cast<int64_t>(sequences.count) * shape.kvHeads;
  const int64_t parts = std::clamp<int64_t>((7 + whole) / whole, 1, std::max<int64_t>(1, keyBlocks));
  float* const deltas = shared_.floats(static_cast<size_t>(tokens * shape.heads + parts * tokens * width));
  float* const buffers = deltas + tokens * shape.heads;

  forRanges(tokens, width * 2, [&](int64_t first, int64_t end, int) {
    for (int64_t row = first; row < end; ++row) {
      for (int head = 0; head < shape.heads; ++head) {
        const Bf16* const a = at<Bf16>(dout, row, head * size);
        const Bf16* const b = at<Bf16>(out, row, head * size);
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int c = 0; c < size; ++c) sum += get(a[c]) * get(b[c]);
        deltas[row * shape.heads + head] = sum;
      }
      for (int64_t part = 0; part < parts; ++part) {
        float* const buffer = buffers + (part * tokens + row) * width;
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
    float* const dqs = buffers + (part * tokens + own.begin) * width;
    float* const p = scratch(thread).floats(
        static_cast<size_t>(kBlock) * (2 * kBlock + 2 * size + size + kBlock / 2 + wide / 2 + kBlock / 2 + wide / 2));
    float* const ds = p + kBlock * kBlock;
    float* const dks = ds + kBlock * kBlock;
    float* const dvs = dks + kBlock * size;
    auto* const keysP = reinterpret_cast<Pair*>(dvs + kBlock * size);  // along the head's numbers: (size / 2, keys)
    Pair* const valuesP = keysP + kBlock * size / 2;
    Pair* const keyRowsP = valuesP + kBlock * size / 2;  // along the keys: (keys / 2, size)
    Pair* const headP = keyRowsP + kBlock * wide / 2;    // queries or dout, along the queries: (queries / 2, size)
    Pair* const blockP = headP + kBlock * wide / 2;      // probabilities or their gradients
    Pair* const dsRows = blockP + kBlock * kBlock / 2;

    for (int key = part * kBlock; key < length; key += static_cast<int>(parts) * kBlock) {
      const int keys = std::min(kBlock, length - key), columns = roundUp(keys, kStrip);
      const Bf16* const ks = rowsAt(k, begin + key, kvHead * size);
      bf16::packRight(keysP, {ks, k.stride, true}, true, keys, size);
      bf16::packRight(valuesP, {rowsAt(v, begin + key, kvHead * size), v.stride, true}, true, keys, size);
      packHead(keyRowsP, ks, k.stride, size, keys);
      std::fill(dks, dks + 2 * kBlock * size, 0.0f);
      const int firstQuery = shape.causal ? all.before(key) : 0;
      const int endQuery = shape.causal && shape.window > 0
                               ? all.before(static_cast<int>(std::min<int64_t>(length, int64_t{key} + keys - 1 + shape.window)))
                               : own.count;
      for (int head = kvHead * group; head < (kvHead + 1) * group; ++head) {
        for (int query = firstQuery; query < endQuery; query += kBlock) {
          const int queries = std::min(kBlock, own.count - query), row0 = own.begin + query;
          const Places places = own.block(query, queries);
          const Bf16* const qs = rowsAt(q, row0, head * size);
          const Bf16* const d = rowsAt(dout, row0, head * size);
          const bool masked = !allVisible(shape, places, key, keys, length);
          scoreProduct(p, leftRows(qs, q.stride), keysP, queries, keys, size, shape.scale);
          scoreProduct(ds, leftRows(d, dout.stride), valuesP, queries, keys, size, 1);
          for (int r = 0; r < queries; ++r) {
            const float total = *at(lse, row0 + r, head);
            const float delta = deltas[(row0 + r) * shape.heads + head];
            float* const ps = p + r * kBlock;
            float* const dss = ds + r * kBlock;
            for (int c = 0; c < columns; c += kLanes) {
              const Vec e = fastExp(load(ps + c) - total);
              store(ps + c, e);
              store(dss + c, shape.scale * e * (load(dss + c) - delta));
            }
            int from = 0, end = keys;
            if (masked) {
              const Visible seen = visible(shape, places.at(r), length);
              from = std::clamp(seen.first - key, 0, keys);
              end = std::clamp(seen.end - key, from, keys);
            }
            std::fill(ps, ps + from, 0.0f);
            std::fill(dss, dss + from, 0.0f);
            std::fill(ps + end, ps + columns, 0.0f);
            std::fill(dss + end, dss + columns, 0.0f);
          }
          const int64_t keyPairs = (keys + 1) / 2;
          bf16::packLeftRows(dsRows, {ds, kBlock, false}, queries, keys);
          addProduct(dqs + query * width + head * size, width, bf16::rowsOf(reinterpret_cast<bf16::Number*>(dsRows), 2 * keyPairs),
                     keyRowsP, queries, size, keys);
          bf16::packRight(blockP, {p, kBlock, false}, false, kBlock, queries);
          packHead(headP, d, dout.stride, size, queries);
          addProduct(dvs, size, columnsOf(blockP), headP, keys, size, queries);
          bf16::packRight(blockP, {ds, kBlock, false}, false, kBlock, queries);
          packHead(headP, qs, q.stride, size, queries);
          addProduct(dks, size, columnsOf(blockP), headP, keys, size, queries);
        }
      }
      for (int j = 0; j < keys; ++j) {
        Bf16* const dkRow = at<Bf16>(dk, begin + key + j, kvHead * size);
        Bf16* const dvRow = at<Bf16>(dv, begin + key + j, kvHead * size);
#pragma omp simd
        for (int c = 0; c < size; ++c) {
          put(dkRow[c], dks[j * size + c]);
          put(dvRow[c], dvs[j * size + c]);
        }
      }
    }
  });

  forElements(tokens, width, dq.contiguous(), parts, [&](int64_t row, int64_t col, int64_t count) {
    Bf16* const to = at<Bf16>(dq, row, col);
    const float* const from = buffers + row * width + col;
    const int64_t apart = tokens * width;
    for (int64_t c = 0; c < count; ++c) {
      float sum = from[c];
      for (int64_t part = 1; part < parts; ++part) sum += from[part * apart + c];
      put(to[c], sum);
    }
  });
}

}  // namespace sftlab
