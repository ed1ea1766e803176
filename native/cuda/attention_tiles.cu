// Attention on tensor cores, after FlashAttention-2 (Dao 2023): a block of four warps works on 64 queries of one head of one sequence (or 64
// keys of one key head, for the gradients of keys and values), tile by tile of 64 partners; each warp on 16 rows of its own.
// Scores and probabilities never leave registers. Queries' and keys' gradients are two kernels, so that nothing is added by several
// blocks: sums have a fixed order.

#include "cuda/attention.h"
#include "cuda/fragments.h"

namespace sftlab::cuda {

namespace {

constexpr int kTile = 64, kWarps = kTile / 16, kColumns = kTile / 8;

/// Where a block stands: 64 rows from `first` on, of one sequence and head. `count` of them are there, 0 or less: none.
struct Block {
  int32_t sequence, head, first, count;
};
DEVICE Block blockOf(const int32_t* offsets) {
  const Self me = self();
  const auto sequence = static_cast<int32_t>(me.blockY), first = static_cast<int32_t>(me.blockX) * kTile;
  const int32_t length = offsets[sequence + 1] - offsets[sequence];
  return {sequence, static_cast<int32_t>(me.blockZ), first, length - first < kTile ? length - first : kTile};
}

/// This lane's two rows of its warp's sixteen, and its first column of each eight.
struct Lane {
  int rows[2], col;
};
DEVICE Lane laneOf() {
  const Self me = self();
  const int row = static_cast<int>(me.warp()) * 16 + static_cast<int>(me.lane()) / 4;
  return {{row, row + 8}, static_cast<int>(me.lane()) % 4 * 2};
}

/// What the lanes of one row have found together.
DEVICE float rowMax(float x) {
  x = fmaxf(x, shuffleXor(x, 1u));
  return fmaxf(x, shuffleXor(x, 2u));
}
DEVICE float rowSum(float x) {
  x += shuffleXor(x, 1u);
  return x + shuffleXor(x, 2u);
}

/// sums (16 of this warp's rows, 64) = rows of `left` times rows of `right`.
template <int size>
DEVICE void multiplyRows(FragmentC (&sums)[kColumns], const Tile<size>& left, const Tile<size>& right) {
  const int first = static_cast<int>(self().warp()) * 16;
  for (FragmentC& sum : sums) sum = {};
  for (int k = 0; k < size; k += 16) {
    const FragmentA a = left.left(first, k);
    UNROLL for (int n = 0; n < kColumns; ++n) multiplyAdd(sums[n], a, right.turned(n * 8, k));
  }
}

/// sums (16, size) += factors (16, 64) times `right` (64, size).
template <int size>
DEVICE void addProduct(FragmentC (&sums)[size / 8], const FragmentC (&factors)[kColumns], const Tile<size>& right) {
  UNROLL for (int k = 0; k < kColumns; k += 2) {
    const FragmentA a = asLeft(factors[k], factors[k + 1]);
    UNROLL for (int n = 0; n < size / 8; ++n) multiplyAdd(sums[n], a, right.right(k * 8, n * 8));
  }
}

/// Stores this warp's rows, as many as are there.
template <int size>
DEVICE void store(Bf16* to, int64_t stride, const FragmentC (&sums)[size / 8], int count, const float (&scale)[2]) {
  const Lane lane = laneOf();
  UNROLL for (int half = 0; half < 2; ++half) {
    const int row = lane.rows[half];
    if (row >= count) continue;
    UNROLL for (int n = 0; n < size / 8; ++n) {
      Bf16* const at = to + row * stride + n * 8 + lane.col;
      at[0] = toBf16(sums[n].r[2 * half] * scale[half]);
      at[1] = toBf16(sums[n].r[2 * half + 1] * scale[half]);
    }
  }
}

template <int size>
KERNEL void forwardTiles(View<Bf16> out, View<float> lse, View<Bf16> q, View<Bf16> k, View<Bf16> v, Places places) {
  const Block block = blockOf(places.queryOffsets);
  if (block.count <= 0) return;
  auto* const memory = sharedMemory<Bf16>();
  const Tile<size> queries{memory}, keys{memory + kTile * Tile<size>::stride}, values{memory + 2 * kTile * Tile<size>::stride};
  const int32_t start = places.offsets[block.sequence], length = places.offsets[block.sequence + 1] - start;
  const int64_t firstRow = places.queryOffsets[block.sequence] + block.first;
  const int32_t kvHead = block.head / (places.shape.heads / places.shape.kvHeads);
  const Lane lane = laneOf();
  queries.load(q.row(firstRow) + block.head * size, q.stride, kTile, block.count);
  int32_t place[2];
  UNROLL for (int half = 0; half < 2; ++half) {
    place[half] = lane.rows[half] < block.count ? places.place(firstRow + lane.rows[half], block.sequence) : -1;
  }
  // Queries stand in rising order: the first sees the earliest keys, the last the latest.
  const int32_t from = places.firstKey(places.place(firstRow, block.sequence)) / kTile * kTile;
  const int32_t end = places.endKey(places.place(firstRow + block.count - 1, block.sequence), length);

  FragmentC sums[size / 8];
  float best[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};
  for (int32_t first = from; first < end; first += kTile) {
    const int32_t count = length - first < kTile ? length - first : kTile;
    syncBlock();
    keys.load(k.row(start + first) + kvHead * size, k.stride, kTile, count);
    values.load(v.row(start + first) + kvHead * size, v.stride, kTile, count);
    syncBlock();
    FragmentC scores[kColumns];
    multiplyRows(scores, queries, keys);
    UNROLL for (int half = 0; half < 2; ++half) {
      const int32_t low = places.firstKey(place[half]), high = place[half] < 0 ? 0 : places.endKey(place[half], length);
      float most = best[half];
      UNROLL for (int n = 0; n < kColumns; ++n) {
        UNROLL for (int i = 0; i < 2; ++i) {
          float& score = scores[n].r[2 * half + i];
          const int32_t key = first + n * 8 + lane.col + i;
          score = key >= low && key < high ? score * places.shape.scale : -INFINITY;
          most = fmaxf(most, score);
        }
      }
      most = rowMax(most);
      const float base = most == -INFINITY ? 0.0f : most, keep = expf(best[half] - base);
      float sum = 0;
      UNROLL for (int n = 0; n < kColumns; ++n) {
        UNROLL for (int i = 0; i < 2; ++i) {
          float& score = scores[n].r[2 * half + i];
          score = expf(score - base);
          sum += score;
        }
      }
      total[half] = total[half] * keep + rowSum(sum);
      best[half] = most;
      UNROLL for (int n = 0; n < size / 8; ++n) {
        sums[n].r[2 * half] *= keep;
        sums[n].r[2 * half + 1] *= keep;
      }
    }
    addProduct<size>(sums, scores, values);
  }
  const float scale[2] = {1.0f / total[0], 1.0f / total[1]};
  store<size>(out.row(firstRow) + block.head * size, out.stride, sums, block.count, scale);
  UNROLL for (int half = 0; half < 2; ++half) {
    if (lane.rows[half] < block.count && lane.col == 0) {
      lse(firstRow + lane.rows[half], block.head) = best[half] + logf(total[half]);
    }
  }
}

template <int size>
KERNEL void backwardQueryTiles(View<Bf16> dq, View<Bf16> dout, View<float> lse, View<float> delta, View<Bf16> q, View<Bf16> k,
                               View<Bf16> v, Places places) {
  const Block block = blockOf(places.queryOffsets);
  if (block.count <= 0) return;
  auto* const memory = sharedMemory<Bf16>();
  constexpr int each = kTile * Tile<size>::stride;
  const Tile<size> queries{memory}, gradients{memory + each}, keys{memory + 2 * each}, values{memory + 3 * each};
  const int32_t start = places.offsets[block.sequence], length = places.offsets[block.sequence + 1] - start;
  const int64_t firstRow = places.queryOffsets[block.sequence] + block.first;
  const int32_t kvHead = block.head / (places.shape.heads / places.shape.kvHeads);
  const Lane lane = laneOf();
  queries.load(q.row(firstRow) + block.head * size, q.stride, kTile, block.count);
  gradients.load(dout.row(firstRow) + block.head * size, dout.stride, kTile, block.count);
  int32_t place[2];
  float logSum[2], mean[2];
  UNROLL for (int half = 0; half < 2; ++half) {
    const bool there = lane.rows[half] < block.count;
    const int64_t row = firstRow + lane.rows[half];
    place[half] = there ? places.place(row, block.sequence) : -1;
    logSum[half] = there ? lse(row, block.head) : 0.0f;
    mean[half] = there ? delta(row, block.head) : 0.0f;
  }
  const int32_t from = places.firstKey(places.place(firstRow, block.sequence)) / kTile * kTile;
  const int32_t end = places.endKey(places.place(firstRow + block.count - 1, block.sequence), length);
  FragmentC sums[size / 8];
  for (int32_t first = from; first < end; first += kTile) {
    const int32_t count = length - first < kTile ? length - first : kTile;
    syncBlock();
    keys.load(k.row(start + first) + kvHead * size, k.stride, kTile, count);
    values.load(v.row(start + first) + kvHead * size, v.stride, kTile, count);
    syncBlock();
    FragmentC scores[kColumns], dp[kColumns];
    multiplyRows(scores, queries, keys);
    multiplyRows(dp, gradients, values);
    UNROLL for (int half = 0; half < 2; ++half) {
      const int32_t low = places.firstKey(place[half]), high = place[half] < 0 ? 0 : places.endKey(place[half], length);
      UNROLL for (int n = 0; n < kColumns; ++n) {
        UNROLL for (int i = 0; i < 2; ++i) {
          const int32_t key = first + n * 8 + lane.col + i;
          float& score = scores[n].r[2 * half + i];
          const float p = key >= low && key < high ? expf(score * places.shape.scale - logSum[half]) : 0.0f;
          score = p * (dp[n].r[2 * half + i] - mean[half]) * places.shape.scale;
        }
      }
    }
    addProduct<size>(sums, scores, keys);
  }
  const float one[2] = {1, 1};
  store<size>(dq.row(firstRow) + block.head * size, dq.stride, sums, block.count, one);
}

template <int size>
KERNEL void backwardKeyTiles(View<Bf16> dk, View<Bf16> dv, View<Bf16> dout, View<float> lse, View<float> delta, View<Bf16> q,
                             View<Bf16> k, View<Bf16> v, Places places) {
  const Block block = blockOf(places.offsets);
  if (block.count <= 0) return;
  auto* const memory = sharedMemory<Bf16>();
  constexpr int each = kTile * Tile<size>::stride;
  const Tile<size> keys{memory}, values{memory + each}, queries{memory + 2 * each}, gradients{memory + 3 * each};
  const int32_t start = places.offsets[block.sequence], length = places.offsets[block.sequence + 1] - start;
  const int32_t group = places.shape.heads / places.shape.kvHeads;
  const int64_t firstRow = places.queryOffsets[block.sequence];
  const auto rows = static_cast<int32_t>(places.queryOffsets[block.sequence + 1] - firstRow);
  const Lane lane = laneOf();
  keys.load(k.row(start + block.first) + block.head * size, k.stride, kTile, block.count);
  values.load(v.row(start + block.first) + block.head * size, v.stride, kTile, block.count);
  FragmentC keySums[size / 8], valueSums[size / 8];
  for (int32_t head = block.head * group; head < (block.head + 1) * group; ++head) {
    for (int32_t first = 0; first < rows; first += kTile) {
      const int32_t count = rows - first < kTile ? rows - first : kTile;
      // The last of these queries tells whether any sees the first of these keys; the first whether any still sees the last.
      if (places.shape.causal) {
        if (places.place(firstRow + first + count - 1, block.sequence) < block.first) continue;
        if (places.firstKey(places.place(firstRow + first, block.sequence)) > block.first + block.count - 1) break;
      }
      syncBlock();
      queries.load(q.row(firstRow + first) + head * size, q.stride, kTile, count);
      gradients.load(dout.row(firstRow + first) + head * size, dout.stride, kTile, count);
      syncBlock();
      // Turned: rows are keys, columns are queries.
      FragmentC scores[kColumns], dp[kColumns];
      multiplyRows(scores, keys, queries);
      multiplyRows(dp, values, gradients);
      UNROLL for (int n = 0; n < kColumns; ++n) {
        UNROLL for (int i = 0; i < 2; ++i) {
          const int32_t column = first + n * 8 + lane.col + i;
          const bool there = column < rows;
          const int64_t row = firstRow + column;
          const int32_t place = there ? places.place(row, block.sequence) : -1;
          const float logSum = there ? lse(row, head) : 0.0f, mean = there ? delta(row, head) : 0.0f;
          UNROLL for (int half = 0; half < 2; ++half) {
            const int32_t key = block.first + lane.rows[half];
            const bool sees = there && key >= places.firstKey(place) && key < places.endKey(place, length);
            float& score = scores[n].r[2 * half + i];
            float& gradient = dp[n].r[2 * half + i];
            const float p = sees ? expf(score * places.shape.scale - logSum) : 0.0f;
            score = p;
            gradient = p * (gradient - mean) * places.shape.scale;
          }
        }
      }
      addProduct<size>(valueSums, scores, gradients);
      addProduct<size>(keySums, dp, queries);
    }
  }
  const float one[2] = {1, 1};
  store<size>(dk.row(start + block.first) + block.head * size, dk.stride, keySums, block.count, one);
  store<size>(dv.row(start + block.first) + block.head * size, dv.stride, valueSums, block.count, one);
}

/// Calls body<size>() for a head size of whole fragments.
template <typename Body>
void withSize(int32_t size, const Body& body) {
  switch (size) {
    case 16: return body.template operator()<16>();
    case 32: return body.template operator()<32>();
    case 48: return body.template operator()<48>();
    case 64: return body.template operator()<64>();
    case 80: return body.template operator()<80>();
    case 96: return body.template operator()<96>();
    case 112: return body.template operator()<112>();
    case 128: return body.template operator()<128>();
    default: throw std::logic_error("no tiles of this head size");
  }
}

template <int size>
constexpr size_t tileBytes(int tiles) {
  return static_cast<size_t>(tiles) * kTile * Tile<size>::stride * sizeof(Bf16);
}

Grid gridOf(int32_t longest, const Places& places, int32_t heads) {
  return {blocksFor(longest, kTile), static_cast<unsigned>(places.sequences), static_cast<unsigned>(heads)};
}

}  // namespace

void attentionTiles(Stream stream, const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                    const Places& places, int32_t mostQueries) {
  withSize(places.shape.headSize, [&]<int size>() {
    launch(stream, gridOf(mostQueries, places, places.shape.heads), 32 * kWarps, tileBytes<size>(3), forwardTiles<size>, view<Bf16>(out),
           view<float>(lse), view<Bf16>(q), view<Bf16>(k), view<Bf16>(v), places);
  });
}

void attentionTilesBackward(Stream stream, const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& lse,
                            const View<float>& delta, const Tensor& q, const Tensor& k, const Tensor& v, const Places& places,
                            int32_t mostQueries, int32_t longest) {
  withSize(places.shape.headSize, [&]<int size>() {
    launch(stream, gridOf(mostQueries, places, places.shape.heads), 32 * kWarps, tileBytes<size>(4), backwardQueryTiles<size>,
           view<Bf16>(dq), view<Bf16>(dout), view<float>(lse), delta, view<Bf16>(q), view<Bf16>(k), view<Bf16>(v), places);
    launch(stream, gridOf(longest, places, places.shape.kvHeads), 32 * kWarps, tileBytes<size>(4), backwardKeyTiles<size>, view<Bf16>(dk),
           view<Bf16>(dv), view<Bf16>(dout), view<float>(lse), delta, view<Bf16>(q), view<Bf16>(k), view<Bf16>(v), places);
  });
}

}  // namespace sftlab::cuda
