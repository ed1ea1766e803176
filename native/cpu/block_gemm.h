#pragma once

// Products of the small blocks that attention works on: at most a few hundred rows and columns, on one thread, with no
// packing. C (rows, cols) = or += op(A) * B, row-major. B and C are read and written along their rows in vectors; A one
// number at a time.

#include <cstdint>

#include "cpu/vector.h"

namespace sftlab {

/// `R` rows by `V` vectors of C are held in registers.
template <bool TransposeA, int R, int V>
inline void gemmTile(int inner, const float* a, int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc,
                     bool accumulate) {
  Vec sum[R][V];
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) sum[r][v] = accumulate ? load(c + r * ldc + v * kLanes) : Vec{};
  }
  for (int k = 0; k < inner; ++k) {
    Vec row[V];
    for (int v = 0; v < V; ++v) row[v] = load(b + k * ldb + v * kLanes);
    for (int r = 0; r < R; ++r) {
      const Vec x = splat(TransposeA ? a[k * lda + r] : a[r * lda + k]);
      for (int v = 0; v < V; ++v) sum[r][v] += x * row[v];
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) store(c + r * ldc + v * kLanes, sum[r][v]);
  }
}

/// One column of tiles, `V` vectors wide; `R` rows a tile, so that sums and operands fit the registers.
template <bool TransposeA, int R, int V>
inline void gemmColumn(int rows, int inner, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                       int64_t ldc, bool accumulate) {
  const int64_t step = TransposeA ? 1 : lda;
  int row = 0;
  for (; row + R <= rows; row += R) {
    gemmTile<TransposeA, R, V>(inner, a + row * step, lda, b, ldb, c + row * ldc, ldc, accumulate);
  }
  for (; row + 4 <= rows; row += 4) {
    gemmTile<TransposeA, 4, V>(inner, a + row * step, lda, b, ldb, c + row * ldc, ldc, accumulate);
  }
  for (; row < rows; ++row) {
    gemmTile<TransposeA, 1, V>(inner, a + row * step, lda, b, ldb, c + row * ldc, ldc, accumulate);
  }
}

template <bool TransposeA>
inline void blockGemm(int rows, int cols, int inner, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                      int64_t ldc, bool accumulate) {
  int col = 0;
  if constexpr (kLanes == 16) {  // 32 vector registers
    for (; col + 4 * kLanes <= cols; col += 4 * kLanes) {
      gemmColumn<TransposeA, 6, 4>(rows, inner, a, lda, b + col, ldb, c + col, ldc, accumulate);
    }
    for (; col + 2 * kLanes <= cols; col += 2 * kLanes) {
      gemmColumn<TransposeA, 8, 2>(rows, inner, a, lda, b + col, ldb, c + col, ldc, accumulate);
    }
    for (; col + kLanes <= cols; col += kLanes) {
      gemmColumn<TransposeA, 16, 1>(rows, inner, a, lda, b + col, ldb, c + col, ldc, accumulate);
    }
  } else {  // 16
    for (; col + 2 * kLanes <= cols; col += 2 * kLanes) {
      gemmColumn<TransposeA, 6, 2>(rows, inner, a, lda, b + col, ldb, c + col, ldc, accumulate);
    }
    for (; col + kLanes <= cols; col += kLanes) {
      gemmColumn<TransposeA, 8, 1>(rows, inner, a, lda, b + col, ldb, c + col, ldc, accumulate);
    }
  }
  for (; col < cols; ++col) {
    for (int row = 0; row < rows; ++row) {
      float sum = accumulate ? c[row * ldc + col] : 0.0f;
      for (int k = 0; k < inner; ++k) sum += (TransposeA ? a[k * lda + row] : a[row * lda + k]) * b[k * ldb + col];
      c[row * ldc + col] = sum;
    }
  }
}

}  // namespace sftlab
