// Matrix products through oneDNN's sgemm, which needs no packing or primitive per shape: weights change every step, so there is
// nothing to keep. Column sums for biases split columns over threads: each sum is made by one thread, in row order.

#include <dnnl.hpp>

#include <string>

#include "cpu/cpu_backend_impl.h"
#include "io/error.h"

namespace sftlab {

void CpuBackend::matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha,
                        float beta) {
  const int64_t inner = ta == Transpose::no ? a.cols : a.rows;
  if (out.rows == 0 || out.cols == 0) return;
  omp_set_num_threads(threadsFor(out.rows * out.cols * inner / 8));
  const dnnl_status_t status =
      dnnl_sgemm(ta == Transpose::no ? 'N' : 'T', tb == Transpose::no ? 'N' : 'T', out.rows, out.cols, inner, alpha, a.f32(),
                 a.stride, b.f32(), b.stride, beta, out.f32(), out.stride);
  if (status != dnnl_success) throw Error("oneDNN refused a matrix product: status " + std::to_string(status));
}

void CpuBackend::addBias(const Tensor& x, const Tensor& bias) {
  const float* const b = bias.f32();
#pragma omp parallel for num_threads(threadsFor(x.size())) schedule(static)
  for (int64_t row = 0; row < x.rows; ++row) {
    float* const to = x.slice(row, 1).f32();
#pragma omp simd
    for (int64_t c = 0; c < x.cols; ++c) to[c] += b[c];
  }
}

void CpuBackend::addBiasBackward(const Tensor& dbias, const Tensor& dout) {
  constexpr int64_t block = 64;
#pragma omp parallel for num_threads(threadsFor(dout.size())) schedule(static)
  for (int64_t first = 0; first < dout.cols; first += block) {
    const int64_t count = first + block < dout.cols ? block : dout.cols - first;
    float sums[block] = {};
    for (int64_t row = 0; row < dout.rows; ++row) {
      const float* const from = dout.f32() + row * dout.stride + first;
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) sums[c] += from[c];
    }
    for (int64_t c = 0; c < count; ++c) dbias.f32()[first + c] += sums[c];
  }
}

}  // namespace sftlab
