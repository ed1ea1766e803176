// Attention over the cache of keys and values, for generation. A block works on one key head and a few of its queries; its warps take the
// cache's keys in turn and have sums of their own, which are joined in the order of the warps. Which warp takes which keys depends on their
// places in the sequence alone: a query's result does not depend on what else is in its pass.
//
// In bf16, by tensor cores (fragments.h), all heads of a group are multiplied with a key that is read once, and nothing goes through shared
// memory before the sums are whole: the numbers of a head may stand in any order within a product, if they do so on both sides, and those of
// a result in any columns. So a lane's share of keys and values is what 16 bytes at a time bring it.

#include <algorithm>

#include "cuda/cuda_backend_impl.h"
#include "cuda/fragments.h"

namespace sftlab::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kMostQueries = 16;     ///< of a block: rows of a fragment
constexpr int kTileKeys = 16, kExactKeys = 8;  ///< that a warp takes at a time
constexpr int64_t kManyRows = 256;   ///< from here on blocks fill the card though each has several rows

/// Where a row's keys are.
struct Cached {
  int32_t capacity;
  const int32_t *slots, *positions;
  AttentionShape shape;
  DEVICE int64_t start(int64_t row) const { return static_cast<int64_t>(slots[row]) * capacity; }
  DEVICE int32_t end(int64_t row) const { return positions[row] + 1; }
  DEVICE int32_t first(int64_t row) const { return shape.window > 0 && end(row) > shape.window ? end(row) - shape.window : 0; }
};

/// The first tile of a warp's own, from the one that key `first` is in.
DEVICE int32_t ownTile(int32_t first, int32_t keys) {
  const int32_t tile = first / keys;
  return tile + (static_cast<int32_t>(self().warp()) + kWarps - tile % kWarps) % kWarps;
}

/// What a warp has found of one query, in shared memory: the largest score, the sum of e^(score - that), then the values' weighted sums.
constexpr int32_t kHead = 4;  ///< numbers before those: rows begin at 16 bytes, and in different banks
DEVICE void write(float* part, float best, float total) {
  part[0] = best;
  part[1] = total;
}
/// The result of all warps, whose parts are `stride` apart.
DEVICE float joined(const float* parts, int64_t stride, int32_t col) {
  float best = -INFINITY, total = 0, sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) best = fmaxf(best, parts[warp * stride]);
  for (int warp = 0; warp < kWarps; ++warp) {
    const float* const part = parts + warp * stride;
    const float weight = expf(part[0] - best);
    total += weight * part[1];
    sum += weight * part[kHead + col];
  }
  return sum / total;
}

// ---- bf16 --------------------------------------------------------------------------------------------------------------

/// Eight bf16 numbers in one access.
struct alignas(16) Eight {
  uint32_t pairs[4];
};
DEVICE Eight eightAt(const Bf16* from, bool there) { return there ? *reinterpret_cast<const Eight*>(from) : Eight{{0, 0, 0, 0}}; }

/// Of two rows' neighbours number `which`, one above the other.
DEVICE uint32_t pick(uint32_t upper, uint32_t lower, int which) {
  return which ? upper >> 16 | (lower & 0xFFFF0000u) : (upper & 0xFFFFu) | lower << 16;
}

/// One of a lane's two rows of scores: masked keys have the weight 0. Returns what sums so far are to be scaled by.
DEVICE float weigh(FragmentC (&scores)[2], int half, float scale, int32_t key, int32_t first, int32_t end, float& best, float& total) {
  float most = best;
  UNROLL for (int i = 0; i < 4; ++i) {
    float& score = scores[i / 2].r[half * 2 + i % 2];
    const int32_t at = key + i / 2 * 8 + i % 2;
    score = at >= first && at < end ? score * scale : -INFINITY;
    most = fmaxf(most, score);
  }
  for (unsigned mask = 1; mask < 4; mask *= 2) most = fmaxf(most, shuffleXor(most, mask));
  const float from = most == -INFINITY ? 0.0f : most, keep = expf(best - from);
  total *= keep;
  UNROLL for (int i = 0; i < 4; ++i) {
    float& score = scores[i / 2].r[half * 2 + i % 2];
    score = expf(score - from);
    total += score;
  }
  best = most;
  return keep;
}

/// Block (x, key head, z): rows from x * rowsEach on, heads of the group from z * kMostQueries on. Query m of a block is head m % headsEach
/// of row m / headsEach.
template <int size>
KERNEL void cachedTiles(View<Bf16> out, View<Bf16> q, View<Bf16> keys, View<Bf16> values, Cached cached, int32_t rowsEach, int32_t headsEach) {
  constexpr int32_t stride = size + kHead;
  const Self me = self();
  const int32_t g = static_cast<int32_t>(me.lane()) / 4, t = static_cast<int32_t>(me.lane()) % 4;
  const int32_t group = cached.shape.heads / cached.shape.kvHeads, headsBefore = static_cast<int32_t>(me.blockZ) * kMostQueries;
  const int32_t heads = group - headsBefore < headsEach ? group - headsBefore : headsEach;
  const int32_t firstHead = static_cast<int32_t>(me.blockY) * group + headsBefore;
  const int64_t firstRow = static_cast<int64_t>(me.blockX) * rowsEach;
  const auto rows = static_cast<int32_t>(q.rows - firstRow < rowsEach ? q.rows - firstRow : rowsEach);
  const int32_t queries = rowsEach * headsEach;
  float* const parts = sharedMemory<float>();  // (warps, queries, stride)
  float* const own = parts + static_cast<int32_t>(me.warp()) * queries * stride;
  // A lane's two queries, g and g + 8.
  int32_t rowOf[2];
  Eight query[2][size / 32];
  UNROLL for (int half = 0; half < 2; ++half) {
    const int32_t m = g + half * 8, head = m % headsEach;
    rowOf[half] = head < heads && m / headsEach < rows ? m / headsEach : -1;
    const Bf16* const from = q.row(firstRow + (rowOf[half] < 0 ? 0 : rowOf[half])) + (firstHead + head) * size;
    UNROLL for (int i = 0; i < size / 32; ++i) query[half][i] = eightAt(from + i * 32 + t * 8, rowOf[half] >= 0);
  }
  // Rows of one slot meet its keys together.
  for (int32_t run = 0, next = 0; run < rows; run = next) {
    const int64_t start = cached.start(firstRow + run);
    int32_t low = INT32_MAX, high = 0;
    for (next = run; next < rows && cached.start(firstRow + next) == start; ++next) {
      const int32_t first = cached.first(firstRow + next), end = cached.end(firstRow + next);
      low = first < low ? first : low;
      high = end > high ? end : high;
    }
    int32_t first[2], end[2];
    UNROLL for (int half = 0; half < 2; ++half) {
      const bool here = rowOf[half] >= run && rowOf[half] < next;
      first[half] = here ? cached.first(firstRow + rowOf[half]) : 0;
      end[half] = here ? cached.end(firstRow + rowOf[half]) : 0;
    }
    FragmentC sums[size / 8];
    float best[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};
    const Bf16* const keyHead = keys.row(start) + static_cast<int64_t>(me.blockY) * size;
    const Bf16* const valueHead = values.row(start) + static_cast<int64_t>(me.blockY) * size;
    for (int32_t tile = ownTile(low, kTileKeys); tile * kTileKeys < high; tile += kWarps) {
      Eight key[2][size / 32], value[4][size / 64];
      UNROLL for (int n = 0; n < 2; ++n) {
        const int32_t at = tile * kTileKeys + n * 8 + g;
        UNROLL for (int i = 0; i < size / 32; ++i) key[n][i] = eightAt(keyHead + at * keys.stride + i * 32 + t * 8, at < high);
      }
      UNROLL for (int k = 0; k < 4; ++k) {
        const int32_t at = tile * kTileKeys + k / 2 * 8 + 2 * t + k % 2;
        UNROLL for (int i = 0; i < size / 64; ++i) value[k][i] = eightAt(valueHead + at * values.stride + i * 64 + g * 8, at < high);
      }
      FragmentC scores[2];
      UNROLL for (int n = 0; n < 2; ++n) {
        UNROLL for (int i = 0; i < size / 32; ++i) {
          UNROLL for (int p = 0; p < 4; p += 2) {
            multiplyAdd(scores[n], {{query[0][i].pairs[p], query[1][i].pairs[p], query[0][i].pairs[p + 1], query[1][i].pairs[p + 1]}},
                        {{key[n][i].pairs[p], key[n][i].pairs[p + 1]}});
          }
        }
      }
      float keep[2];
      UNROLL for (int half = 0; half < 2; ++half) {
        keep[half] = weigh(scores, half, cached.shape.scale, tile * kTileKeys + 2 * t, first[half], end[half], best[half], total[half]);
      }
      const FragmentA weights = asLeft(scores[0], scores[1]);
      // Column n of tile j is number 8 n + j of the 64.
      UNROLL for (int i = 0; i < size / 64; ++i) {
        UNROLL for (int j = 0; j < 8; ++j) {
          FragmentC& sum = sums[i * 8 + j];
          UNROLL for (int r = 0; r < 4; ++r) sum.r[r] *= keep[r / 2];
          multiplyAdd(sum, weights, {{pick(value[0][i].pairs[j / 2], value[1][i].pairs[j / 2], j % 2),
                                      pick(value[2][i].pairs[j / 2], value[3][i].pairs[j / 2], j % 2)}});
        }
      }
    }
    syncBlock();  // the run before may still be read
    UNROLL for (int half = 0; half < 2; ++half) {
      for (unsigned mask = 1; mask < 4; mask *= 2) total[half] += shuffleXor(total[half], mask);
      if (end[half] == 0) continue;
      float* const part = own + (g + half * 8) * stride;
      if (t == 0) write(part, best[half], total[half]);
      UNROLL for (int i = 0; i < size / 64; ++i) {
        UNROLL for (int j = 0; j < 16; j += 4) {
          float four[4];
          UNROLL for (int k = 0; k < 4; ++k) four[k] = sums[i * 8 + (j + k) % 8].r[half * 2 + j / 8];
          store(part + kHead + i * 64 + t * 16 + j, four);
        }
      }
    }
    syncBlock();
    for (auto i = static_cast<int32_t>(me.thread); i < (next - run) * heads * size; i += static_cast<int32_t>(me.threads)) {
      const int32_t head = i / size % heads, row = run + i / size / heads, col = i % size;
      put(out(firstRow + row, (firstHead + head) * size + col), joined(parts + (row * headsEach + head) * stride, queries * stride, col));
    }
  }
}

// ---- f32, and heads of other sizes ---------------------------------------------------------------------------------------

/// Four numbers from column `col` on; those beyond `size` are 0.
template <typename T>
DEVICE void loadSome(float (&to)[4], const T* from, int32_t col, int32_t size, bool fours) {
  if (fours && col < size) return load(to, from + col);
  UNROLL for (int k = 0; k < 4; ++k) to[k] = col + k < size ? get(from[col + k]) : 0.0f;
}

/// Block (row, head). Of eight keys at a time each is four lanes' work, of their values each lane has four numbers.
template <typename T>
KERNEL void cachedRows(View<T> out, View<T> q, View<T> keys, View<T> values, Cached cached, bool fours) {
  const Self me = self();
  const int32_t size = cached.shape.headSize, group = cached.shape.heads / cached.shape.kvHeads, stride = 128 + kHead;
  const int32_t lane = static_cast<int32_t>(me.lane()), g = lane / 4, t = lane % 4;
  const int64_t row = me.blockX, head = me.blockY, start = cached.start(row);
  const int32_t begin = cached.first(row), end = cached.end(row);
  const T* const keyHead = keys.row(start) + head / group * size;
  const T* const valueHead = values.row(start) + head / group * size;
  float query[8][4];
  UNROLL for (int i = 0; i < 8; ++i) loadSome(query[i], q.row(row) + head * size, i * 16 + t * 4, size, fours);
  float sums[4] = {0, 0, 0, 0}, best = -INFINITY, total = 0;
  for (int32_t tile = ownTile(begin, kExactKeys); tile * kExactKeys < end; tile += kWarps) {
    const int32_t key = tile * kExactKeys + g;
    const bool seen = key >= begin && key < end;
    float score = 0;
    UNROLL for (int i = 0; i < 8; ++i) {
      if (!seen || i * 16 >= size) continue;
      float four[4];
      loadSome(four, keyHead + key * keys.stride, i * 16 + t * 4, size, fours);
      UNROLL for (int k = 0; k < 4; ++k) score += query[i][k] * four[k];
    }
    for (unsigned mask = 1; mask < 4; mask *= 2) score += shuffleXor(score, mask);
    score = seen ? score * cached.shape.scale : -INFINITY;
    const float most = fmaxf(best, warpMax(score)), keep = expf(best - most), weight = expf(score - most);
    total = total * keep + weight;
    UNROLL for (int k = 0; k < 4; ++k) sums[k] *= keep;
    UNROLL for (int other = 0; other < kExactKeys; ++other) {
      const float w = shuffle(weight, static_cast<unsigned>(other) * 4);
      const int32_t at = tile * kExactKeys + other;
      if (at < begin || at >= end) continue;
      float four[4];
      loadSome(four, valueHead + at * values.stride, lane * 4, size, fours);
      UNROLL for (int k = 0; k < 4; ++k) sums[k] += w * four[k];
    }
    best = most;
  }
  for (unsigned mask = 4; mask < 32; mask *= 2) total += shuffleXor(total, mask);
  float* const parts = sharedMemory<float>();  // (warps, stride)
  float* const part = parts + static_cast<int32_t>(me.warp()) * stride;
  if (lane == 0) write(part, best, total);
  store(part + kHead + lane * 4, sums);
  syncBlock();
  for (auto c = static_cast<int32_t>(me.thread); c < size; c += static_cast<int32_t>(me.threads)) {
    put(out(row, head * size + c), joined(parts, stride, c));
  }
}

/// Keys and values in their places.
template <typename T>
struct Store {
  View<T> keys, values, k, v;
  Cached cached;
  DEVICE int64_t place(int64_t row) const { return cached.start(row) + cached.positions[row]; }
  DEVICE void operator()(int64_t row, int64_t col) const {
    keys(place(row), col) = k(row, col);
    values(place(row), col) = v(row, col);
  }
  DEVICE void four(int64_t row, int64_t col) const {
    *reinterpret_cast<Group<T, 4>*>(&keys(place(row), col)) = *reinterpret_cast<const Group<T, 4>*>(&k(row, col));
    *reinterpret_cast<Group<T, 4>*>(&values(place(row), col)) = *reinterpret_cast<const Group<T, 4>*>(&v(row, col));
  }
};

template <int size>
void launchTiles(const Caller& stream, const Tensor& out, const Tensor& q, const KeyValueCache& cache, const Cached& cached) {
  const int32_t group = cached.shape.heads / cached.shape.kvHeads, headsEach = std::min(group, kMostQueries);
  const int32_t rowsEach = q.rows > kManyRows ? kMostQueries / headsEach : 1;
  const Grid grid{blocksFor(q.rows, rowsEach), static_cast<unsigned>(cached.shape.kvHeads), blocksFor(group, kMostQueries)};
  const auto shared = static_cast<size_t>(kWarps * rowsEach * headsEach * (size + kHead)) * sizeof(float);
  launch(stream, grid, 32 * kWarps, shared, cachedTiles<size>, view<Bf16>(out), view<Bf16>(q), view<Bf16>(cache.keys), view<Bf16>(cache.values),
         cached, rowsEach, headsEach);
}

}  // namespace

void CudaBackend::cacheStore(const KeyValueCache& cache, const Tensor& k, const Tensor& v, const int32_t* slots,
                             const int32_t* positions) {
  requireSame(cache.keys, cache.values, k, v);
  withNumbers(k.dtype, [&]<typename T>() {
    launchEach(stream_, k.rows, k.cols,
               Store<T>{view<T>(cache.keys), view<T>(cache.values), view<T>(k), view<T>(v), {cache.capacity, slots, positions, {}}}, cache.keys,
               cache.values, k, v);
  });
}

void CudaBackend::attentionCached(const Tensor& out, const Tensor& q, const KeyValueCache& cache, const int32_t* slots,
                                  const int32_t* positions, const AttentionShape& shape) {
  requireSame(out, q, cache.keys, cache.values);
  if (shape.headSize > 128) throw std::logic_error("attention heads have at most 128 numbers here");
  const Cached cached{cache.capacity, slots, positions, shape};
  if (q.dtype == DType::bf16 && inEights(q) && inEights(cache.keys) && inEights(cache.values)) {
    if (shape.headSize == 64) return launchTiles<64>(stream_, out, q, cache, cached);
    if (shape.headSize == 128) return launchTiles<128>(stream_, out, q, cache, cached);
  }
  withNumbers(q.dtype, [&]<typename T>() {
    launch(stream_, {static_cast<unsigned>(q.rows), static_cast<unsigned>(shape.heads)}, 32 * kWarps, kWarps * (128 + kHead) * sizeof(float),
           cachedRows<T>, view<T>(out), view<T>(q), view<T>(cache.keys), view<T>(cache.values), cached,
           shape.headSize % 4 == 0 && inFours(q, cache.keys, cache.values));
  });
}

}  // namespace sftlab::cuda
