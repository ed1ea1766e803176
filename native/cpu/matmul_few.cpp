// x W^T for few rows of x: what generation does for each token.
//
// Both sides lie along the inner dimension, so an element is a dot product of two contiguous rows, and the weights need no packing,
// which would cost as much as the product itself here. They stream through once: a group of weight rows stays in the first-level
// cache while it meets all rows of x, and meanwhile the next group is fetched, a line with every vector, so that memory and
// arithmetic overlap. x is small; its rows are interleaved in the order in which tiles read them, so that they arrive as one stream.
//
// Why a row's result does not depend on its neighbours: an element is summed over the same lanes in the same order whatever tile it
// stands in, its lanes are added by the same tree, and the inner dimension is cut at fixed places.

#include "cpu/matmul_few.h"

#include <algorithm>
#include <cstring>

#include "cpu/number.h"
#include "cpu/vector.h"

namespace sftlab {

namespace {

// Sums of a tile, the weights' vectors of one step and one of x fill the vector registers.
constexpr int kTileRows = kLanes == 16 ? 4 : 2, kTileCols = kLanes == 16 ? 6 : 4;
constexpr int64_t kDepth = 1024;   ///< of the inner dimension: a group of weights stays in the first-level cache
constexpr int64_t kPieceGroups = 8;  ///< of weight rows in a piece at most

constexpr int64_t roundUp(int64_t size) { return (size + kLanes - 1) / kLanes * kLanes; }

/// The first `count` numbers, zeros after them.
Vec loadPart(const float* from, int64_t count) {
  alignas(64) float part[kLanes] = {};
  std::memcpy(part, from, static_cast<size_t>(count) * sizeof(float));
  return load(part);
}

/// Sums over the lanes of `count` vectors into sums[0...].
template <int count>
inline void addLanes(const Vec* vectors, float* sums) {
  for (int first = 0; first < count; first += kLanes) {
    Vec square[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) square[i] = first + i < count ? vectors[first + i] : Vec{};
    store(sums + first, sumLanes(square));
  }
}

/// Keeps the compiler from reading memory again for each use: that makes loads, not products, the bound (1.5 times slower).
inline void inRegister([[maybe_unused]] Vec& value) {
#if defined(__x86_64__)
  asm("" : "+v"(value));
#endif
}

/// Rows of weights that meet x together.
struct Group {
  const float* weights[kTileCols];
  int64_t ahead;  ///< from a weight to that of the next group
  int64_t depth;
  int cols;       ///< that are stored
};

typedef uint16_t HalfVec __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));

/// bf16 numbers made f32, which is exact; the next group's are fetched meanwhile.
void widen(float* to, const Bf16* from, int64_t ahead, int64_t count) {
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes) {
    __builtin_prefetch(from + ahead + k, 0, 2);
    const auto bits = __builtin_convertvector(*reinterpret_cast<const HalfVec*>(from + k), BitVec) << 16;
    store(to + k, std::bit_cast<Vec>(bits));
  }
  for (; k < count; ++k) to[k] = get(from[k]);
}

/// R interleaved rows of x by a group of weight rows. Fetches the next group's rows [fetch, fetch + F). Not inlined: among others of its
/// kind the compiler keeps the sums in memory, which halves the rate.
template <int R, int F>
[[gnu::noinline]] void tile(const float* x, const Group& group, int fetch, float* out, int64_t outStride, float alpha, bool add) {
  Vec sums[R * kTileCols]{};
  const float* weights[kTileCols];
  const float* next[F + 1];
#pragma GCC unroll 16
  for (int c = 0; c < kTileCols; ++c) weights[c] = group.weights[c];
#pragma GCC unroll 16
  for (int f = 0; f < F; ++f) next[f] = group.weights[std::min(fetch + f, kTileCols - 1)] + group.ahead;
  const int64_t whole = group.depth / kLanes * kLanes;
  int64_t k = 0;
  for (; k < whole; k += kLanes, x += R * kLanes) {
    Vec right[kTileCols];
#pragma GCC unroll 16
    for (int c = 0; c < kTileCols; ++c) {
      right[c] = load(weights[c] + k);
      inRegister(right[c]);
    }
#pragma GCC unroll 16
    for (int f = 0; f < F; ++f) __builtin_prefetch(next[f] + k, 0, 2);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec left = load(x + r * kLanes);
#pragma GCC unroll 16
      for (int c = 0; c < kTileCols; ++c) sums[r * kTileCols + c] += left * right[c];
    }
  }
  if (k < group.depth) {
    for (int c = 0; c < kTileCols; ++c) {
      const Vec right = loadPart(weights[c] + k, group.depth - k);
      for (int r = 0; r < R; ++r) sums[r * kTileCols + c] += load(x + r * kLanes) * right;
    }
  }
  float totals[(R * kTileCols + kLanes - 1) / kLanes * kLanes];
  addLanes<R * kTileCols>(sums, totals);
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < group.cols; ++c) {
      float& to = out[r * outStride + c];
      to = add ? to + alpha * totals[r * kTileCols + c] : alpha * totals[r * kTileCols + c];
    }
  }
}

template <int R>
void tileWith(int lines, const float* x, const Group& group, int fetch, float* out, int64_t outStride, float alpha, bool add) {
  if (lines <= 0) {
    tile<R, 0>(x, group, 0, out, outStride, alpha, add);
  } else if (lines == 1) {
    tile<R, 1>(x, group, fetch, out, outStride, alpha, add);
  } else if (lines <= 2) {
    tile<R, 2>(x, group, fetch, out, outStride, alpha, add);
  } else {
    tile<R, kTileCols>(x, group, fetch, out, outStride, alpha, add);
  }
}

/// Rows [first, first + count) of x, count <= kTileRows, vector by vector in turn.
void pack(float* to, const Tensor& x, int64_t first, int64_t count) {
  const int64_t whole = x.cols / kLanes * kLanes;
  for (int64_t r = 0; r < count; ++r) {
    const float* const from = x.f32() + (first + r) * x.stride;
    float* at = to + r * kLanes;
    int64_t k = 0;
    for (; k < whole; k += kLanes, at += count * kLanes) store(at, load(from + k));
    if (k < x.cols) store(at, loadPart(from + k, x.cols - k));
  }
}

}  // namespace

int64_t fewRowsScratch(int64_t rows, int64_t inner) { return rows * roundUp(inner); }

void matmulFew(ThreadPool& pool, const Tensor& out, const Tensor& x, const Tensor& w, float alpha, float beta, float* packed) {
  const int64_t inner = x.cols, rows = x.rows, padded = roundUp(inner);
  const int64_t rowTiles = (rows + kTileRows - 1) / kTileRows;
  pool.run(rowTiles, [&](int64_t t, int) {
    pack(packed + t * kTileRows * padded, x, t * kTileRows, std::min<int64_t>(kTileRows, rows - t * kTileRows));
  });
  const int64_t groups = (w.rows + kTileCols - 1) / kTileCols;
  const int64_t share = std::clamp<int64_t>(groups / (16 * pool.threads()), 1, kPieceGroups);
  const bool half = w.dtype == DType::bf16;
  const int lines = half ? 0 : static_cast<int>((kTileCols + rowTiles - 1) / std::max<int64_t>(1, rowTiles));
  pool.run((groups + share - 1) / share, [&](int64_t piece, int) {
    const int64_t firstGroup = piece * share, endGroup = std::min(groups, firstGroup + share);
    alignas(64) float wide[kTileCols * kDepth];
    for (int64_t first = 0; first < std::max<int64_t>(1, inner); first += kDepth) {
      const bool add = beta != 0 || first > 0;
      for (int64_t g = firstGroup; g < endGroup; ++g) {
        const int64_t col = g * kTileCols;
        Group group;
        group.cols = static_cast<int>(std::min<int64_t>(kTileCols, w.rows - col));
        group.depth = std::min(kDepth, inner - first);
        group.ahead = kTileCols * w.stride;
        for (int c = 0; c < kTileCols; ++c) {
          const int64_t row = col + std::min(c, group.cols - 1);
          if (half) widen(wide + c * kDepth, at<Bf16>(w, row, first), group.ahead, group.depth);
          group.weights[c] = half ? wide + c * kDepth : at<float>(w, row, first);
        }
        for (int64_t t = 0; t < rowTiles; ++t) {
          const int64_t row = t * kTileRows;
          const int64_t count = std::min<int64_t>(kTileRows, rows - row);
          const float* const from = packed + row * padded + first * count;
          float* const to = out.f32() + row * out.stride + col;
          const int fetch = static_cast<int>(t) * lines, left = t * lines < kTileCols ? lines : 0;
          switch (count) {
            case 1: tileWith<1>(left, from, group, fetch, to, out.stride, alpha, add); break;
            case 2: tileWith<2>(left, from, group, fetch, to, out.stride, alpha, add); break;
            case 3: tileWith<3>(left, from, group, fetch, to, out.stride, alpha, add); break;
            default: tileWith<kTileRows>(left, from, group, fetch, to, out.stride, alpha, add);
          }
        }
      }
    }
  });
}

}  // namespace sftlab
