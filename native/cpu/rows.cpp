// Rows of a table: embedding, and the choice of rows that have a loss. In the backward pass a row may be hit many
// times; each piece owns a range of columns of the whole table and adds the rows in token order, so sums repeat and
// pieces are of one size however often a token occurs.

#include <cstring>

#include "cpu/cpu_backend_impl.h"

namespace sftlab {

void CpuBackend::gatherRows(const Tensor& out, const Tensor& table, const int32_t* ids) {
  requireF32(out, table);
  forRanges(out.rows, out.cols, [&](int64_t first, int64_t end, int) {
    for (int64_t row = first; row < end; ++row) {
      std::memcpy(at(out, row), at(table, ids[row]), static_cast<size_t>(out.cols) * sizeof(float));
    }
  });
}

void CpuBackend::gatherRowsBackward(const Tensor& dtable, const Tensor& dout, const int32_t* ids) {
  requireF32(dtable, dout);
  // Whole cache lines, at least two: a piece's stretch of a row is then read ahead well.
  const int64_t width = std::max<int64_t>(32, itemsPerPiece(2 * dout.rows) / 16 * 16);
  pool_.run((dout.cols + width - 1) / width, [&](int64_t piece, int) {
    const int64_t first = piece * width, count = std::min(width, dout.cols - first);
    for (int64_t row = 0; row < dout.rows; ++row) {
      float* const to = at(dtable, ids[row], first);
      const float* const from = at(dout, row, first);
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) to[c] += from[c];
    }
  });
}

}  // namespace sftlab
