// Rows of a table: embedding, and the choice of rows that have a loss. In the backward pass a row may be hit many times; each thread
// owns the table rows whose id it divides evenly into its share and adds to them in token order, so sums repeat bitwise.

#include <cstring>

#include "cpu/cpu_backend_impl.h"

namespace sftlab {

void CpuBackend::gatherRows(const Tensor& out, const Tensor& table, const int32_t* ids) {
#pragma omp parallel for num_threads(threadsFor(out.size())) schedule(static)
  for (int64_t row = 0; row < out.rows; ++row) {
    std::memcpy(out.slice(row, 1).data, table.slice(ids[row], 1).data, static_cast<size_t>(out.cols) * sizeof(float));
  }
}

void CpuBackend::gatherRowsBackward(const Tensor& dtable, const Tensor& dout, const int32_t* ids) {
  const int threads = threadsFor(dout.size());
#pragma omp parallel num_threads(threads)
  {
    const int thread = omp_get_thread_num();
    for (int64_t row = 0; row < dout.rows; ++row) {
      if (ids[row] % threads != thread) continue;
      float* const to = dtable.slice(ids[row], 1).f32();
      const float* const from = dout.slice(row, 1).f32();
#pragma omp simd
      for (int64_t c = 0; c < dout.cols; ++c) to[c] += from[c];
    }
  }
}

}  // namespace sftlab
