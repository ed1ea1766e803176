// Attention's forward pass on tensor cores.

#include "cuda/attention_tiles.h"

namespace sftlab::cuda {

namespace {

template <int size, int groups>
KERNEL BOUNDS(threadsOf(groups), size <= 64 ? 2 : 1) void forwardTiles(View<Bf16> out, View<float> lse, View<Bf16> q, View<Bf16> k, View<Bf16> v,
                                                                        Places places, int32_t tiles) {
  if (!hasGroups<groups>()) return;
  const Block block = blockOf<groups>(places.queryOffsets, tiles - 1 - static_cast<int32_t>(self().blockZ));  // the dearest first
  if (block.count <= 0) return;
  const Memory<size, groups> memory{1};
  const int64_t firstRow = places.queryOffsets[block.sequence] + block.first;
  const Lane lane = laneOf();
  memory.own(0).template fill<groups * 128>(q.row(firstRow) + block.head * size, q.stride, block.count);
  const QueryPlaces place(places, block.sequence);
  const KeyTiles<size, groups> keys(memory, places, block, place, k, v);
  const QueryRows rows = queryRows(places, block, place, keys.length);
  const float scale = places.shape.scale * kLog2e;

  FragmentC sums[size / 8];
  float best[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};
  keys.each([&](int32_t first, int stage, const auto& next) {
    if (!rows.see(first)) return next();
    FragmentC scores[kColumns];
    multiplyRows(scores, memory.own(0), memory.partners(stage, 0));
    next();
    awaitProducts<0>();
    mask(scores, places, rows, first, keys.length);
    UNROLL for (int half = 0; half < 2; ++half) {
      float most = best[half];
      UNROLL for (int n = 0; n < kColumns; ++n) most = fmaxf(most, fmaxf(scores[n].r[2 * half], scores[n].r[2 * half + 1]));
      most = rowMax(most);
      const float base = most == -INFINITY ? 0.0f : most * scale, keep = fastExp2(best[half] * scale - base);
      float sum = 0;
      UNROLL for (int n = 0; n < kColumns; ++n) {
        UNROLL for (int i = 0; i < 2; ++i) {
          float& score = scores[n].r[2 * half + i];
          score = fastExp2(score * scale - base);
          sum += score;
        }
      }
      total[half] = total[half] * keep + sum;  // each lane its own columns: they are added up at the end
      best[half] = most;
      UNROLL for (int n = 0; n < size / 8; ++n) {
        sums[n].r[2 * half] *= keep;
        sums[n].r[2 * half + 1] *= keep;
      }
    }
    addProduct<size>(sums, scores, memory.partners(stage, 1));
    awaitProducts<0>();
  });
  UNROLL for (int half = 0; half < 2; ++half) total[half] = rowSum(total[half]);
  const float inverse[2] = {1.0f / total[0], 1.0f / total[1]};
  store<size>(out.row(firstRow) + block.head * size, out.stride, sums, block.count, inverse);
  UNROLL for (int half = 0; half < 2; ++half) {
    if (lane.rows[half] < block.count && lane.col == 0) {
      lse(firstRow + lane.rows[half], block.head) = best[half] * places.shape.scale + logf(total[half]);
    }
  }
}

}  // namespace

void attentionTiles(const Caller& stream, const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                    const Places& places, int32_t mostQueries) {
  withSize(places.shape.headSize, [&]<int size>() {
    withGroups<size, 1, 64 < size>([&]<int groups>() {
      const int32_t tiles = tilesOf(mostQueries, groups);
      launch(stream, gridOf(places.shape.heads, places, tiles), threadsOf(groups), Memory<size, groups>::bytes(1), forwardTiles<size, groups>,
             view<Bf16>(out), view<float>(lse), view<Bf16>(q), view<Bf16>(k), view<Bf16>(v), places, tiles);
    });
  });
}

}  // namespace sftlab::cuda
