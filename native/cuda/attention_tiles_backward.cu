// Attention's gradients on tensor cores. Those of queries and of keys are two kernels, and what the query heads of a group find for their
// keys is added up by a third, so that nothing is added by several blocks: sums have a fixed order.

#include <algorithm>
#include <utility>

#include "cuda/attention_tiles.h"

namespace sftlab::cuda {

namespace {

template <int size, int groups>
KERNEL BOUNDS(threadsOf(groups), size <= 64 ? 2 : 1) void backwardQueryTiles(View<Bf16> dq, View<Bf16> dout, View<float> lse, View<float> delta, View<Bf16> q,
                                                                           View<Bf16> k, View<Bf16> v, Places places, int32_t tiles) {
  if (!hasGroups<groups>()) return;
  const Block block = blockOf<groups>(places.queryOffsets, tiles - 1 - static_cast<int32_t>(self().blockZ));
  if (block.count <= 0) return;
  const Memory<size, groups> memory{2};
  const int64_t firstRow = places.queryOffsets[block.sequence] + block.first;
  const Lane lane = laneOf();
  memory.own(0).template fill<groups * 128>(q.row(firstRow) + block.head * size, q.stride, block.count);
  memory.own(1).template fill<groups * 128>(dout.row(firstRow) + block.head * size, dout.stride, block.count);
  const QueryPlaces place(places, block.sequence);
  const KeyTiles<size, groups> keys(memory, places, block, place, k, v);
  const QueryRows rows = queryRows(places, block, place, keys.length);
  float logSum[2], mean[2];
  UNROLL for (int half = 0; half < 2; ++half) {
    const bool there = lane.rows[half] < block.count;
    logSum[half] = there ? lse(firstRow + lane.rows[half], block.head) * kLog2e : 0.0f;
    mean[half] = there ? delta(firstRow + lane.rows[half], block.head) : 0.0f;
  }
  const float scale = places.shape.scale * kLog2e;
  FragmentC sums[size / 8];
  keys.each([&](int32_t first, int stage, const auto& next) {
    if (!rows.see(first)) return next();
    FragmentC scores[kColumns], dp[kColumns];
    multiplyRows(scores, memory.own(0), memory.partners(stage, 0));
    multiplyRows(dp, memory.own(1), memory.partners(stage, 1));
    next();
    awaitProducts<1>();
    mask(scores, places, rows, first, keys.length);
    UNROLL for (int n = 0; n < kColumns; ++n) {
      UNROLL for (int i = 0; i < 4; ++i) scores[n].r[i] = fastExp2(scores[n].r[i] * scale - logSum[i / 2]);
    }
    awaitProducts<0>();
    UNROLL for (int n = 0; n < kColumns; ++n) {
      UNROLL for (int i = 0; i < 4; ++i) scores[n].r[i] *= dp[n].r[i] - mean[i / 2];
    }
    addProduct<size>(sums, scores, memory.partners(stage, 0));
    awaitProducts<0>();
  });
  const float scales[2] = {places.shape.scale, places.shape.scale};
  store<size>(dq.row(firstRow) + block.head * size, dq.stride, sums, block.count, scales);
}

/// dk and dv (tokens, heads of this launch times size): the parts of query heads from `firstHead` on.
template <int size, int groups>
KERNEL BOUNDS(threadsOf(groups), 1) void backwardKeyTiles(View<float> dk, View<float> dv, int32_t firstHead, View<Bf16> dout, View<float> lse,
                                                          View<float> delta, View<Bf16> q, View<Bf16> k, View<Bf16> v, Places places) {
  if (!hasGroups<groups>()) return;
  const Block block = blockOf<groups>(places.offsets, static_cast<int32_t>(self().blockZ));  // the first keys are seen by the most queries
  if (block.count <= 0) return;
  const Memory<size, groups> memory{2};
  const int32_t start = places.offsets[block.sequence], length = places.offsets[block.sequence + 1] - start;
  const int32_t head = firstHead + block.head, kvHead = head / (places.shape.heads / places.shape.kvHeads);
  const int64_t firstRow = places.queryOffsets[block.sequence];
  const auto rows = static_cast<int32_t>(places.queryOffsets[block.sequence + 1] - firstRow);
  const QueryPlaces place(places, block.sequence);
  const auto lastOf = [&](int32_t first) { return (rows < first + kRows ? rows : first + kRows) - 1; };
  const Lane lane = laneOf();
  memory.own(0).template fill<groups * 128>(k.row(start + block.first) + kvHead * size, k.stride, block.count);
  memory.own(1).template fill<groups * 128>(v.row(start + block.first) + kvHead * size, v.stride, block.count);
  // Queries stand in rising order: those that see any of these keys are neighbours.
  int32_t from = 0, end = rows;
  if (places.shape.causal) {
    while (from < rows && place(lastOf(from)) < block.first) from += kRows;
    end = from;
    while (end < rows && places.firstKey(place(end)) < block.first + block.count) end += kRows;
  }
  const int32_t ownFirst = block.first + groupOfWarps() * kRows, ownLast = ownFirst + kRows - 1;
  const float scale = places.shape.scale * kLog2e;
  FragmentC keySums[size / 8], valueSums[size / 8];
  const auto fill = [&](int32_t first, int stage) {
    const int32_t count = rows - first < kRows ? rows - first : kRows;
    memory.partners(stage, 0).template fill<groups * 128>(q.row(firstRow + first) + head * size, q.stride, count);
    memory.partners(stage, 1).template fill<groups * 128>(dout.row(firstRow + first) + head * size, dout.stride, count);
    const auto row = static_cast<int32_t>(self().thread) % kRows, which = static_cast<int32_t>(self().thread) / kRows;
    if (which > 1) return;
    const int64_t at = (firstRow + first + (row < count ? row : 0)) * (which == 0 ? lse.stride : delta.stride) + head;
    copyAsync(memory.numbers(stage, which) + row, (which == 0 ? lse.data : delta.data) + at, row < count);
  };
  walk(from, end, fill, [&](int32_t first, int stage, const auto& next) {
    const int32_t low = place(first), high = place(lastOf(first));
    if (ownFirst >= block.first + block.count || places.firstKey(low) > ownLast || places.endKey(high, length) <= ownFirst) return next();
    // Turned: rows are keys, columns are queries. Those that are not there are zeros, and add nothing.
    FragmentC scores[kColumns], dp[kColumns];
    multiplyRows(scores, memory.own(0), memory.partners(stage, 0));
    multiplyRows(dp, memory.own(1), memory.partners(stage, 1));
    next();
    awaitProducts<1>();
    if (places.firstKey(high) > ownFirst || places.endKey(low, length) <= ownLast) {
      UNROLL for (int n = 0; n < kColumns; ++n) {
        UNROLL for (int i = 0; i < 2; ++i) {
          const int32_t column = first + n * 8 + lane.col + i;
          if (column >= rows) continue;
          const int32_t at = place(column), firstKey = places.firstKey(at), endKey = places.endKey(at, length);
          UNROLL for (int half = 0; half < 2; ++half) {
            const int32_t key = block.first + lane.rows[half];
            if (key < firstKey || key >= endKey) scores[n].r[2 * half + i] = -INFINITY;
          }
        }
      }
    }
    const float* const logSums = memory.numbers(stage, 0) + lane.col;
    const float* const means = memory.numbers(stage, 1) + lane.col;
    UNROLL for (int n = 0; n < kColumns; ++n) {
      UNROLL for (int i = 0; i < 4; ++i) scores[n].r[i] = fastExp2(scores[n].r[i] * scale - logSums[n * 8 + i % 2] * kLog2e);
    }
    awaitProducts<0>();
    addProduct<size>(valueSums, scores, memory.partners(stage, 1));
    UNROLL for (int n = 0; n < kColumns; ++n) {
      UNROLL for (int i = 0; i < 4; ++i) dp[n].r[i] = scores[n].r[i] * (dp[n].r[i] - means[n * 8 + i % 2]);
    }
    addProduct<size>(keySums, dp, memory.partners(stage, 0));
    awaitProducts<0>();
  });
  const float scales[2] = {places.shape.scale, places.shape.scale}, one[2] = {1, 1};
  store<size>(dk.row(start + block.first) + block.head * size, dk.stride, keySums, block.count, scales);
  store<size>(dv.row(start + block.first) + block.head * size, dv.stride, valueSums, block.count, one);
}

/// to = the sum of what each query head of a group has found, four numbers at a time.
struct SumHeads {
  View<Bf16> to;
  View<float> parts;
  int32_t size, group;
  DEVICE void four(int64_t row, int64_t col) const {
    const float* from = parts.row(row) + col / size * group * size + col % size;
    float sum[4], part[4];
    load(sum, from);
    for (int32_t head = 1; head < group; ++head) {
      load(part, from += size);
      UNROLL for (int i = 0; i < 4; ++i) sum[i] += part[i];
    }
    store(to.row(row) + col, sum);
  }
};

/// delta as in attention.h, by eight lanes for each row and head.
KERNEL void deltas(View<float> delta, View<Bf16> dout, View<Bf16> out, int32_t size) {
  const Self me = self();
  const int64_t item = me.index() / 8, row = item / delta.cols, head = item % delta.cols;
  const bool there = row < delta.rows;
  float sum = 0;
  for (int32_t col = static_cast<int32_t>(me.lane() % 8) * 4; there && col < size; col += 32) {
    float a[4], b[4];
    load(a, dout.row(row) + head * size + col);
    load(b, out.row(row) + head * size + col);
    UNROLL for (int i = 0; i < 4; ++i) sum += a[i] * b[i];
  }
  for (unsigned mask = 4; mask > 0; mask /= 2) sum += shuffleXor(sum, mask);
  if (there && me.lane() % 8 == 0) delta(row, head) = sum;
}

}  // namespace

size_t partsOfKeys(const Tensor& k, const AttentionShape& shape, int32_t kvHeads) {
  return static_cast<size_t>(k.rows) * static_cast<size_t>(kvHeads * (shape.heads / shape.kvHeads) * shape.headSize) * 2;
}

void attentionTilesBackward(const Caller& stream, const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                            const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v, const Places& places, int32_t mostQueries,
                            int32_t longest, const View<float>& delta, float* parts, int32_t atOnce) {
  const AttentionShape& shape = places.shape;
  const int32_t group = shape.heads / shape.kvHeads, size = shape.headSize;
  launch(stream, {blocksFor(q.rows * shape.heads * 8, kThreads)}, kThreads, 0, deltas, delta, view<Bf16>(dout), view<Bf16>(out), size);
  withSize(size, [&]<int headSize>() {
    withGroups<headSize, 2, 64 < headSize>([&]<int groups>() {
      const int32_t tiles = tilesOf(mostQueries, groups);
      launch(stream, gridOf(shape.heads, places, tiles), threadsOf(groups), Memory<headSize, groups>::bytes(2), backwardQueryTiles<headSize, groups>,
             view<Bf16>(dq), view<Bf16>(dout), view<float>(lse), delta, view<Bf16>(q), view<Bf16>(k), view<Bf16>(v), places, tiles);
    });
    for (int32_t first = 0; first < shape.kvHeads; first += atOnce) {
      const int32_t kvHeads = std::min(atOnce, shape.kvHeads - first), heads = kvHeads * group;
      const int64_t width = int64_t{heads} * size;
      const Tensor keyParts{parts, k.rows, width, width, DType::f32}, valueParts{parts + k.rows * width, k.rows, width, width, DType::f32};
      withGroups<headSize, 2, headSize <= 64>([&]<int groups>() {
        launch(stream, gridOf(heads, places, tilesOf(longest, groups)), threadsOf(groups), Memory<headSize, groups>::bytes(2),
               backwardKeyTiles<headSize, groups>, view<float>(keyParts), view<float>(valueParts), first * group, view<Bf16>(dout), view<float>(lse),
               delta, view<Bf16>(q), view<Bf16>(k), view<Bf16>(v), places);
      });
      for (const auto& [to, from] : {std::pair(dk, keyParts), std::pair(dv, valueParts)}) {
        const Tensor columns = to.columns(int64_t{first} * size, int64_t{kvHeads} * size);
        launch(stream, gridFor(columns.size() / 4), kThreads, 0, eachFour<SumHeads>, columns.rows, columns.cols,
               SumHeads{view<Bf16>(columns), view<float>(from), size, group});
      }
    }
  });
}

}  // namespace sftlab::cuda
