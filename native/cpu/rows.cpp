// Rows of a table: embedding, and the choice of rows that have a loss. In the backward pass a row may be hit many
// times; each piece owns a range of columns of the whole table and adds the rows in token order, so sums repeat and
// pieces are of one size however often a token occurs.

#include "cpu/cpu_backend_impl.h"

namespace sftlab {

void CpuBackend::gatherRows(const Tensor& out, const Tensor& table, const int32_t* ids) {
  const auto gather = [&]<typename From, typename To>() {
    forRanges(out.rows, out.cols, [&](int64_t first, int64_t end, int) {
      const int64_t cols = out.cols;
      for (int64_t row = first; row < end; ++row) {
        To* const to = at<To>(out, row);
        const From* const from = at<From>(table, ids[row]);
#pragma omp simd
        for (int64_t c = 0; c < cols; ++c) put(to[c], get(from[c]));
      }
    });
  };
  withNumbers(table.dtype, [&]<typename From>() {
    withNumbers(out.dtype, [&]<typename To>() { gather.template operator()<From, To>(); });
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
