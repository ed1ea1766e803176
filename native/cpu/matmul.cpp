// Matrix products and biases.
//
// A product is cut into tiles by its shape alone, and each tile is one call of oneDNN's sgemm on one thread. So the
// bits of a result do not depend on the number of threads, a thread that is put aside delays one tile, and there is no
// primitive to make or keep for each new number of tokens. On one core sgemm reaches 100 to 117 GFLOP/s on the tiles
// chosen here, whatever the shape and the transposition, as oneDNN does at 2048 cubed (native/README.md).

#include <omp.h>

#include <dnnl.hpp>
#include <string>
#include <vector>

#include "cpu/bf16_kernels.h"
#include "cpu/cpu_backend_impl.h"
#include "cpu/matmul_few.h"
#include "cpu/vector.h"
#include "io/error.h"
#include "system/processor.h"

namespace sftlab {

namespace {

/// From so many rows on, a transposed right-hand side of up to so many numbers (20 MB) is turned around first.
constexpr int64_t kManyRows = 256, kMostTurned = 5'000'000;

struct Tiles {
  int64_t rows, cols;
};

/// Tiles of at least some 10 us each, sixteen or more of them if the product is large. sgemm packs both operands for
/// every tile: with a transposed right-hand side that costs most, so tiles stay larger there.
Tiles tilesFor(int64_t rows, int64_t cols, int64_t inner, Transpose tb) {
  constexpr int64_t most = 16, leastWork = 500'000;
  const int64_t leastRows = tb == Transpose::yes ? 96 : 48, leastCols = tb == Transpose::yes ? 192 : 96;
  const int64_t wanted = std::clamp<int64_t>(rows * cols * inner / leastWork, 1, most);
  int64_t rowTiles = (rows + 511) / 512, colTiles = (cols + 1023) / 1024;
  while (rowTiles * colTiles < wanted) {
    const int64_t height = rows / rowTiles, width = cols / colTiles;
    const bool rowsCan = height >= 2 * leastRows, colsCan = width >= 2 * leastCols;
    if (!rowsCan && !colsCan) break;
    if (rowsCan && (height >= width || !colsCan)) {
      ++rowTiles;
    } else {
      ++colTiles;
    }
  }
  // sgemm's kernels take 48 columns and 8 rows at a time.
  const auto extent = [](int64_t size, int64_t tiles, int64_t unit) {
    return tiles == 1 ? size : ((size + tiles - 1) / tiles + unit - 1) / unit * unit;
  };
  return {extent(rows, rowTiles, 8), extent(cols, colTiles, 48)};
}

}  // namespace

void prepareCpu() {
  omp_set_num_threads(1);
  // Below and above the size from which operands are packed.
  for (const dnnl_dim_t size : {4, 64}) {
    const std::vector<float> operand(static_cast<size_t>(size * size));
    std::vector<float> out(operand.size());
    for (const char ta : {'N', 'T'}) {
      for (const char tb : {'N', 'T'}) {
        // A refusal would be told by the first product that is needed.
        dnnl_sgemm(ta, tb, size, size, size, 1, operand.data(), size, operand.data(), size, 0, out.data(), size);
      }
    }
  }
}

bool bf16::supported() {
  static const bool does = system::processor().has("avx512_bf16") && system::processor().has("avx512bw") && system::processor().has("avx512vl");
  return does;
}

bool CpuBackend::multiplies(DType dtype) const { return dtype == DType::f32 || bf16::supported(); }

void CpuBackend::matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha,
                        float beta) {
  if (out.rows == 0 || out.cols == 0) return;
  if (ta == Transpose::no && tb == Transpose::yes && out.rows <= kFewRows && out.dtype == DType::f32 && a.dtype == DType::f32) {
    float* const packed = shared_.floats(static_cast<size_t>(fewRowsScratch(a.rows, a.cols)));
    return matmulFew(pool_, out, a, b, alpha, beta, packed);
  }
  if (out.dtype == DType::bf16 || a.dtype == DType::bf16 || b.dtype == DType::bf16) {
    return matmulBf16(out, a, ta, b, tb, alpha, beta, Tensor{});
  }
  const int64_t inner = ta == Transpose::no ? a.cols : a.rows;
  if (tb == Transpose::yes && out.rows >= kManyRows && b.size() <= kMostTurned) {
    // sgemm would gather the transposed operand slowly, and again for every tile: 95 to 108 GFLOP/s instead of 114.
    const int64_t stride = (b.rows + kLanes - 1) / kLanes * kLanes + kLanes;  // not a power of two
    const Tensor turned{shared_.floats(static_cast<size_t>(stride * inner)), inner, b.rows, stride, DType::f32};
    constexpr int64_t strip = 64;
    forRanges((b.rows + strip - 1) / strip, strip * inner, [&](int64_t first, int64_t end, int) {
      const int64_t from = first * strip, rows = std::min(b.rows, end * strip) - from;
      transpose(at(turned, 0, from), stride, at(b, from), b.stride, static_cast<int>(rows), static_cast<int>(inner));
    });
    matmul(out, a, ta, turned, Transpose::no, alpha, beta);
    return;
  }
  const auto [height, width] = tilesFor(out.rows, out.cols, inner, tb);
  const int64_t across = (out.cols + width - 1) / width, down = (out.rows + height - 1) / height;
  pool_.run(across * down, [&](int64_t tile, int) {
    const int64_t row = tile / across * height, col = tile % across * width;
    omp_set_num_threads(1);  // of this thread: the tile is all that it shall share
    const dnnl_status_t status = dnnl_sgemm(
        ta == Transpose::no ? 'N' : 'T', tb == Transpose::no ? 'N' : 'T', std::min(height, out.rows - row),
        std::min(width, out.cols - col), inner, alpha, ta == Transpose::no ? at(a, row) : at(a, 0, row), a.stride,
        tb == Transpose::no ? at(b, 0, col) : at(b, col), b.stride, beta, at(out, row, col), out.stride);
    if (status != dnnl_success) throw Error("oneDNN refused a matrix product: status " + std::to_string(status));
  });
}

void CpuBackend::matmulAdd(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b,
                           Transpose tb) {
  // A result in bf16 is rounded once, with the bias in it.
  if (out.dtype != DType::bf16 || !bias) return Backend::matmulAdd(out, addend, bias, a, ta, b, tb);
  if (addend && addend.data != out.data) copy(out, addend);
  if (out.size() > 0) matmulBf16(out, a, ta, b, tb, 1, addend ? 1 : 0, bias);
}

void CpuBackend::addBias(const Tensor& x, const Tensor& bias) {
  requireF32(bias);
  withNumbers(x.dtype, [&]<typename T>() {
    forElements(x.rows, x.cols, false, 1, [&](int64_t row, int64_t col, int64_t count) {
      T* const to = at<T>(x, row, col);
      const float* const b = bias.f32() + col;
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) put(to[c], get(to[c]) + b[c]);
    });
  });
}

void CpuBackend::addBiasBackward(const Tensor& dbias, const Tensor& dout) {
  requireF32(dbias);
  constexpr int64_t block = 64;  // each block of columns is summed by one thread, in row order
  withNumbers(dout.dtype, [&]<typename T>() {
    pool_.run((dout.cols + block - 1) / block, [&](int64_t piece, int) {
      const int64_t first = piece * block, count = std::min(block, dout.cols - first);
      float sums[block] = {};
      for (int64_t row = 0; row < dout.rows; ++row) {
        const T* const from = at<T>(dout, row, first);
#pragma omp simd
        for (int64_t c = 0; c < count; ++c) sums[c] += get(from[c]);
      }
      for (int64_t c = 0; c < count; ++c) dbias.f32()[first + c] += sums[c];
    });
  });
}

}  // namespace sftlab
