// Both gradients of a product with a low-rank matrix, out (n, c) += low (n, r) b (c, r)^T, of one reading of dout (n, c), which is all that there
// is to read: dlow = scale dout b, and db += dout^T low. Each warp of a block goes through a range of tokens, 16 at a time, in 64 columns of its
// own: it keeps its part of b and of db in registers, and its block's warps add up what they find of dlow. Blocks leave partial sums beside each
// other, and a second kernel adds them up. So the order of the sums depends on the shape, and on how many processors the card has.

#include <algorithm>

#include "cuda/cuda_backend_impl.h"
#include "cuda/fragments.h"

namespace sftlab::cuda {

namespace {

constexpr int kWarps = 8;    ///< of a block at most: so many times kWidth columns are a slab
constexpr int kWidth = 64;   ///< columns of a warp
constexpr int kTokens = 16;  ///< of a tile
constexpr int kLeast = 64;   ///< tokens of a range: with fewer, partial sums of db could be more than what is read
constexpr int kMostRank = 32;

/// A block's shared memory: `stages` tiles of low and of each warp's dout, and two tiles of what each warp finds of dlow, by fragments.
template <int rank>
struct Memory {
  using Low = Tile<rank, kTokens>;
  using Dout = Tile<kWidth, kTokens>;
  static constexpr int stages = rank <= 16 ? 4 : 3, found = rank * kTokens / 2;  // pairs that a warp finds
  int warps;
  Bf16* const base = sharedMemory<Bf16>();

  static constexpr size_t bytes(int warps) {
    return static_cast<size_t>(stages * (Low::numbers + warps * Dout::numbers)) * sizeof(Bf16) + static_cast<size_t>(2 * warps * found) * sizeof(Two);
  }
  DEVICE Low low(int tile) const { return {base + tile % stages * Low::numbers}; }
  DEVICE Dout dout(int tile, int warp) const { return {base + stages * Low::numbers + (tile % stages * warps + warp) * Dout::numbers}; }
  DEVICE Two* dlow(int tile, int warp) const {
    return reinterpret_cast<Two*>(base + stages * (Low::numbers + warps * Dout::numbers)) + (tile % 2 * warps + warp) * found;
  }
};

static_assert(std::max(Memory<16>::bytes(kWarps), Memory<kMostRank>::bytes(kWarps)) <= 99 << 10, "what a block can have on any card");

/// Blocks are slabs of columns by ranges of tokens. Ranks between are padded with zeros. `lowParts` (slabs, n, r) is none where one slab is all
/// columns: then dlow is whole; `upParts` (ranges, c, r) is none where db is not wanted.
template <int rank>
KERNEL BOUNDS(kWarps * 32, 1) void lowRankTiles(View<Bf16> dlow, float* lowParts, float* upParts, View<Bf16> dout, View<Bf16> b, View<Bf16> low,
                                                float scale, int64_t range) {
  constexpr int stages = Memory<rank>::stages, ranks = rank / 8, steps = kWidth / 16;
  const Self me = self();
  const auto warps = static_cast<int>(me.warps()), warp = static_cast<int>(me.warp()), lane = static_cast<int>(me.lane());
  const int group = lane / 4, pair = lane % 4 * 2;  // this lane's places in fragments
  const int64_t slab = static_cast<int64_t>(me.blockX) * warps * kWidth, column = slab + warp * kWidth;
  const int64_t begin = me.blockY * range;
  const auto tokens = static_cast<int>(begin + range < dout.rows ? range : dout.rows - begin), tiles = (tokens + kTokens - 1) / kTokens;
  const auto left = static_cast<int>((dout.cols - slab) / kWidth), working = left < warps ? left : warps, cols = static_cast<int>(b.cols);
  const Bf16 *const ownDout = dout.row(begin) + column, *const firstLow = low.row(begin);
  Bf16* const firstDlow = dlow.row(begin);
  float* const firstPart = lowParts ? lowParts + (me.blockX * dout.rows + begin) * cols : nullptr;
  const Memory<rank> memory{warps};

  const auto fill = [&](int tile) {
    const int first = tile * kTokens;
    if (tile < tiles && warp < working) {
      memory.dout(tile, warp).template fill<32>(ownDout + first * dout.stride, dout.stride, tokens - first, me.lane());
    }
    if (tile < tiles && upParts) {
      // By the last warps: the first ones have sums to add up.
      for (int i = static_cast<int>(me.threads - 1 - me.thread); i < kTokens * ranks; i += warps * 32) {
        const int row = i / ranks, col = i % ranks * 8;
        copyAsync(memory.low(tile).at(row, col), firstLow + (first + row) * low.stride + col, first + row < tokens && col < cols);
      }
    }
    endCopies();
  };
  const auto addWarps = [&](int tile) {
    for (int i = static_cast<int>(me.thread); i < Memory<rank>::found; i += warps * 32) {
      Two sum{0, 0};
      UNROLL for (int w = 0; w < kWarps; ++w) {
        if (w >= working) continue;
        const Two one = memory.dlow(tile, w)[i];
        sum.first += one.first;
        sum.second += one.second;
      }
      const int row = tile * kTokens + i / 32 % 2 * 8 + group, col = i / 64 * 8 + pair;
      if (row >= tokens || col >= cols) continue;
      if (firstPart) {
        putTwo(firstPart + row * cols + col, sum.first, sum.second);
      } else {
        putTwo(firstDlow + row * dlow.stride + col, sum.first * scale, sum.second * scale);
      }
    }
  };

  for (int tile = 0; tile < stages - 1; ++tile) fill(tile);
  FragmentB right[steps][ranks] = {};
  FragmentC up[steps][ranks];
  if (warp < working) {
    UNROLL for (int k = 0; k < steps; ++k) {
      UNROLL for (int n = 0; n < ranks; ++n) {
        UNROLL for (int half = 0; half < 2; ++half) {
          const int64_t row = column + k * 16 + half * 8 + pair;
          if (n * 8 < cols) right[k][n].r[half] = pairOf(b(row, n * 8 + group), b(row + 1, n * 8 + group));
        }
      }
    }
  }
  for (int tile = 0; tile < tiles; ++tile) {
    awaitCopies<stages - 2>();
    syncBlock();  // this tile is there, all of dlow's last one too, and nobody reads that one's stage any more
    fill(tile + stages - 1);
    if (tile > 0) addWarps(tile - 1);
    if (warp >= working) continue;
    const auto own = memory.dout(tile, warp);
    FragmentC found[ranks];
    UNROLL for (int k = 0; k < steps; ++k) {
      const FragmentA a = own.left(0, k * 16);
      UNROLL for (int n = 0; n < ranks; ++n) multiplyAdd(found[n], a, right[k][n]);
    }
    Two* const to = memory.dlow(tile, warp) + lane;
    UNROLL for (int n = 0; n < ranks; ++n) {
      UNROLL for (int half = 0; half < 2; ++half) to[n * 64 + half * 32] = {found[n].r[2 * half], found[n].r[2 * half + 1]};
    }
    if (!upParts) continue;
    FragmentB factors[ranks / 2][2];
    UNROLL for (int n = 0; n < ranks / 2; ++n) memory.low(tile).right(factors[n], 0, n * 16);
    UNROLL for (int k = 0; k < steps; ++k) {
      const FragmentA a = own.leftTurned(0, k * 16);
      UNROLL for (int n = 0; n < ranks; ++n) multiplyAdd(up[k][n], a, factors[n / 2][n % 2]);
    }
  }
  syncBlock();
  addWarps(tiles - 1);
  if (!upParts || warp >= working) return;
  float* const to = upParts + (me.blockY * dout.cols + column) * cols;
  UNROLL for (int k = 0; k < steps; ++k) {
    UNROLL for (int half = 0; half < 2; ++half) {
      UNROLL for (int n = 0; n < ranks; ++n) {
        if (n * 8 < cols) putTwo(to + (k * 16 + half * 8 + group) * cols + n * 8 + pair, up[k][n].r[2 * half], up[k][n].r[2 * half + 1]);
      }
    }
  }
}

/// A block adds up four numbers a lane of `count` parts, each as large as out: its warps take every eighth, and body(to, sum) what they have.
template <typename T, typename Body>
DEVICE void addParts(const View<T>& out, const float* parts, int count, unsigned block, const Body& body) {
  const Self me = self();
  float* const sums = sharedMemory<float>();
  const int64_t first = (static_cast<int64_t>(block) * 32 + me.lane()) * 4, size = out.rows * out.cols;
  float sum[4] = {}, one[4];
  for (int part = static_cast<int>(me.warp()); first < size && part < count; part += kWarps) {
    load(one, parts + part * size + first);
    UNROLL for (int i = 0; i < 4; ++i) sum[i] += one[i];
  }
  store(sums + me.thread * 4, sum);
  syncBlock();
  if (me.warp() > 0 || first >= size) return;
  for (int w = 1; w < kWarps; ++w) {
    load(one, sums + (w * 32 + me.lane()) * 4);
    UNROLL for (int i = 0; i < 4; ++i) sum[i] += one[i];
  }
  body(&out(first / out.cols, first % out.cols), sum);
}

/// The first `lowBlocks` blocks add up dlow, those after them db.
KERNEL BOUNDS(kWarps * 32, 1) void addLowRank(View<Bf16> dlow, const float* lowParts, int slabs, unsigned lowBlocks, float scale, View<float> db,
                                              const float* upParts, int ranges) {
  const Self me = self();
  if (me.blockX < lowBlocks) {
    addParts(dlow, lowParts, slabs, me.blockX, [&](Bf16* to, float (&sum)[4]) {
      UNROLL for (float& number : sum) number *= scale;
      store(to, sum);
    });
  } else {
    addParts(db, upParts, ranges, me.blockX - lowBlocks, [&](float* to, float (&sum)[4]) {
      float before[4];
      load(before, to);
      UNROLL for (int i = 0; i < 4; ++i) sum[i] += before[i];
      store(to, sum);
    });
  }
}

}  // namespace

void CudaBackend::lowRankBackward(const Tensor& dlow, const Tensor& db, const Tensor& dout, const Tensor& b, const Tensor& low, float scale) {
  const int64_t n = dout.rows, c = dout.cols, rank = b.cols;
  const auto readable = [](const Tensor& x) { return x.dtype == DType::bf16 && inEights(x); };
  const bool fits = n > 0 && c > 0 && c % kWidth == 0 && rank > 0 && rank % 8 == 0 && rank <= kMostRank && readable(dout) && readable(dlow) &&
                    readable(b) && (!db || (readable(low) && inFours(db)));
  if (!fits) return Backend::lowRankBackward(dlow, db, dout, b, low, scale);
  requireF32(db);
  // One block for each processor: more would leave more partial sums.
  const int64_t columns = c / kWidth, slabs = blocksFor(columns, kWarps), warps = blocksFor(columns, slabs);
  const int64_t even = blocksFor(n, std::max<int64_t>(processors() / slabs, 1));
  const int64_t range = blocksFor(std::max<int64_t>(even, kLeast), kTokens) * kTokens;
  const int64_t ranges = blocksFor(n, range), lowSize = slabs > 1 ? n * rank : 0, upSize = db ? c * rank : 0;
  float* const parts = scratch<float>(static_cast<size_t>(slabs * lowSize + ranges * upSize));
  float *const lowParts = lowSize > 0 ? parts : nullptr, *const upParts = upSize > 0 ? parts + slabs * lowSize : nullptr;
  const auto start = [&]<int padded>() {
    launch(stream_, {static_cast<unsigned>(slabs), static_cast<unsigned>(ranges)}, static_cast<unsigned>(warps) * 32,
           Memory<padded>::bytes(static_cast<int>(warps)), lowRankTiles<padded>, view<Bf16>(dlow), lowParts, upParts, view<Bf16>(dout),
           view<Bf16>(b), view<Bf16>(low), scale, range);
  };
  if (rank <= 16) {
    start.template operator()<16>();
  } else {
    start.template operator()<kMostRank>();
  }
  const unsigned lowBlocks = blocksFor(lowSize, 128), upBlocks = blocksFor(upSize, 128);
  launch(stream_, {lowBlocks + upBlocks}, kWarps * 32, kWarps * 128 * sizeof(float), addLowRank, view<Bf16>(dlow), lowParts,
         static_cast<int>(slabs), lowBlocks, scale, view<float>(db), upParts, static_cast<int>(ranges));
}

}  // namespace sftlab::cuda
