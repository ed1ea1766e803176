// Attention over flat batches: a warp works on one query of one head (forward, and the gradient of queries) or on one key of one
// key head (the gradients of keys and values), 32 partners at a time, each lane one of them. No S x S matrix exists; sequences
// never see each other; sums have a fixed order.
//
// This is the exact form, for f32 and for head sizes that tensor cores do not take; attention_tiles.cu has the other one.

#include <algorithm>

#include "cuda/attention.h"

namespace sftlab::cuda {

namespace {

constexpr int kMostParts = 4;  ///< head sizes up to 128: a lane keeps size / 32 sums

/// What a warp's lanes hold of one row of `size` numbers: number c in lane c % 32.
struct Sums {
  float part[kMostParts] = {0, 0, 0, 0};
  /// += weight of each of 32 rows, times the row; lane i knows the weight of row i.
  template <typename T>
  DEVICE void add(float weight, const T* rows, int64_t stride, int32_t count, int32_t size) {
    const unsigned lane = self().lane();
    for (int32_t i = 0; i < count; ++i) {
      const float w = shuffle(weight, static_cast<unsigned>(i));
      for (int p = 0; p < kMostParts; ++p) {
        const int32_t c = p * 32 + static_cast<int32_t>(lane);
        if (c < size) part[p] += w * get(rows[i * stride + c]);
      }
    }
  }
  DEVICE void scale(float by) {
    for (float& one : part) one *= by;
  }
  template <typename T>
  DEVICE void store(T* to, int32_t size) const {
    for (int p = 0; p < kMostParts; ++p) {
      const int32_t c = p * 32 + static_cast<int32_t>(self().lane());
      if (c < size) put(to[c], part[p]);
    }
  }
};

template <typename T>
KERNEL void forwardRows(View<T> out, View<float> lse, View<T> q, View<T> k, View<T> v, Places places) {
  const Self me = self();
  const int32_t size = places.shape.headSize, heads = places.shape.heads, group = heads / places.shape.kvHeads;
  const int64_t item = static_cast<int64_t>(me.blockX) * me.warps() + me.warp();
  if (item >= q.rows * heads) return;
  const int64_t row = item / heads;
  const auto head = static_cast<int32_t>(item % heads);
  const int32_t sequence = places.find(places.queryOffsets, row), start = places.offsets[sequence];
  const int32_t place = places.place(row, sequence), end = places.endKey(place, places.offsets[sequence + 1] - start);
  const T* const query = q.row(row) + head * size;
  const T* const keys = k.row(start) + head / group * size;
  const T* const values = v.row(start) + head / group * size;
  Sums sums;
  float best = -INFINITY, total = 0;
  for (int32_t first = places.firstKey(place); first < end; first += 32) {
    const int32_t key = first + static_cast<int32_t>(me.lane()), count = end - first < 32 ? end - first : 32;
    const float score = key < end ? dot(query, keys + key * k.stride, size) * places.shape.scale : -INFINITY;
    const float most = fmaxf(best, warpMax(score)), keep = expf(best - most);
    const float p = key < end ? expf(score - most) : 0.0f;
    total = total * keep + warpSum(p);
    sums.scale(keep);
    sums.add(p, values + first * v.stride, v.stride, count, size);
    best = most;
  }
  sums.scale(1.0f / total);
  sums.store(out.row(row) + head * size, size);
  if (me.lane() == 0) lse(row, head) = best + logf(total);
}

/// p and the gradient of the score, of one query and one key.
struct Score {
  float p, ds;
};
template <typename T>
DEVICE Score scoreOf(const T* query, const T* key, const T* dout, const T* value, int32_t size, float scale, float lse, float delta) {
  const float p = expf(dot(query, key, size) * scale - lse);
  return {p, p * (dot(dout, value, size) - delta) * scale};
}

template <typename T>
KERNEL void backwardQueries(View<T> dq, View<T> dout, View<float> lse, View<float> delta, View<T> q, View<T> k, View<T> v, Places places) {
  const Self me = self();
  const int32_t size = places.shape.headSize, heads = places.shape.heads, group = heads / places.shape.kvHeads;
  const int64_t item = static_cast<int64_t>(me.blockX) * me.warps() + me.warp();
  if (item >= q.rows * heads) return;
  const int64_t row = item / heads;
  const auto head = static_cast<int32_t>(item % heads);
  const int32_t sequence = places.find(places.queryOffsets, row), start = places.offsets[sequence];
  const int32_t place = places.place(row, sequence), end = places.endKey(place, places.offsets[sequence + 1] - start);
  const T* const keys = k.row(start) + head / group * size;
  const T* const values = v.row(start) + head / group * size;
  Sums sums;
  for (int32_t first = places.firstKey(place); first < end; first += 32) {
    const int32_t key = first + static_cast<int32_t>(me.lane()), count = end - first < 32 ? end - first : 32;
    float ds = 0;
    if (key < end) {
      ds = scoreOf(q.row(row) + head * size, keys + key * k.stride, dout.row(row) + head * size, values + key * v.stride, size,
                   places.shape.scale, lse(row, head), delta(row, head)).ds;
    }
    sums.add(ds, keys + first * k.stride, k.stride, count, size);
  }
  sums.store(dq.row(row) + head * size, size);
}

template <typename T>
KERNEL void backwardKeys(View<T> dk, View<T> dv, View<T> dout, View<float> lse, View<float> delta, View<T> q, View<T> k, View<T> v,
                         Places places) {
  const Self me = self();
  const int32_t size = places.shape.headSize, kvHeads = places.shape.kvHeads, group = places.shape.heads / kvHeads;
  const int64_t item = static_cast<int64_t>(me.blockX) * me.warps() + me.warp();
  if (item >= k.rows * kvHeads) return;
  const int64_t token = item / kvHeads;
  const auto kvHead = static_cast<int32_t>(item % kvHeads);
  const int32_t sequence = places.find(places.offsets, token), start = places.offsets[sequence];
  const auto place = static_cast<int32_t>(token - start);
  const int64_t firstRow = places.queryOffsets[sequence], endRow = places.queryOffsets[sequence + 1];
  const T* const key = k.row(token) + kvHead * size;
  const T* const value = v.row(token) + kvHead * size;
  Sums keySums, valueSums;
  for (int32_t head = kvHead * group; head < (kvHead + 1) * group; ++head) {
    for (int64_t first = firstRow; first < endRow; first += 32) {
      const int64_t row = first + me.lane();
      const auto count = static_cast<int32_t>(endRow - first < 32 ? endRow - first : 32);
      // Queries stand in rising order: the last of these tells whether any sees this key, the first whether any still does.
      if (places.shape.causal) {
        if (places.place(first + count - 1, sequence) < place) continue;
        if (places.shape.window > 0 && places.place(first, sequence) >= place + places.shape.window) break;
      }
      Score score{0, 0};
      if (row < endRow) {
        const int32_t at = places.place(row, sequence);
        if (place >= places.firstKey(at) && place < places.endKey(at, places.offsets[sequence + 1] - start)) {
          score = scoreOf(q.row(row) + head * size, key, dout.row(row) + head * size, value, size, places.shape.scale, lse(row, head),
                          delta(row, head));
        }
      }
      valueSums.add(score.p, dout.row(first) + head * size, dout.stride, count, size);
      keySums.add(score.ds, q.row(first) + head * size, q.stride, count, size);
    }
  }
  keySums.store(dk.row(token) + kvHead * size, size);
  valueSums.store(dv.row(token) + kvHead * size, size);
}

/// A warp an item, four to a block.
constexpr unsigned kWarps = 4;
Grid gridOf(int64_t items) { return {blocksFor(items, kWarps)}; }

}  // namespace

void CudaBackend::attention(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                            const AttentionShape& shape, const Sequences& sequences, const Queries& queries) {
  requireF32(lse);
  requireSame(out, q, k, v);
  const Places places = placesOf(shape, sequences, queries);
  if (tilesTake(shape, q, k, v, out)) return attentionTiles(stream_, out, lse, q, k, v, places, most(sequences, queries));
  withNumbers(q.dtype, [&]<typename T>() {
    launch(stream_, gridOf(q.rows * shape.heads), 32 * kWarps, 0, forwardRows<T>, view<T>(out), view<float>(lse), view<T>(q),
           view<T>(k), view<T>(v), places);
  });
}

void CudaBackend::attentionBackward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                                    const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape,
                                    const Sequences& sequences, const Queries& queries) {
  requireF32(lse);
  requireSame(q, dq, dk, dv, dout, out, k, v);
  const Places places = placesOf(shape, sequences, queries);
  const size_t deltas = static_cast<size_t>(q.rows * shape.heads);
  if (tilesTake(shape, q, k, v, dq, dk, dv, dout, out)) {
    // As many key heads at once as the scratch has room for, one at least.
    const size_t room = scratchSize_ / sizeof(float), each = partsOfKeys(k, shape, 1);
    const auto atOnce = static_cast<int32_t>(std::clamp<size_t>(deltas < room ? (room - deltas) / each : 0, 1, static_cast<size_t>(shape.kvHeads)));
    float* const parts = scratch<float>(deltas + static_cast<size_t>(atOnce) * each);
    const View<float> delta{parts + static_cast<size_t>(atOnce) * each, q.rows, shape.heads, shape.heads};
    return attentionTilesBackward(stream_, dq, dk, dv, dout, out, lse, q, k, v, places, most(sequences, queries), sequences.longest, delta, parts,
                                  atOnce);
  }
  const View<float> delta{scratch<float>(deltas), q.rows, shape.heads, shape.heads};
  withNumbers(q.dtype, [&]<typename T>() {
    launch(stream_, gridFor(q.rows * shape.heads), kThreads, 0, eachElement<Delta<T>>, q.rows, static_cast<int64_t>(shape.heads),
           Delta<T>{delta, view<T>(dout), view<T>(out), shape.headSize});
    launch(stream_, gridOf(q.rows * shape.heads), 32 * kWarps, 0, backwardQueries<T>, view<T>(dq), view<T>(dout), view<float>(lse), delta,
           view<T>(q), view<T>(k), view<T>(v), places);
    launch(stream_, gridOf(k.rows * shape.kvHeads), 32 * kWarps, 0, backwardKeys<T>, view<T>(dk), view<T>(dv), view<T>(dout),
           view<float>(lse), delta, view<T>(q), view<T>(k), view<T>(v), places);
  });
}

}  // namespace sftlab::cuda
