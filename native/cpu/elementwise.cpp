// Residual additions and SwiGLU (Shazeer 2020): out = silu(gate) * up with silu(x) = x * sigmoid(x).
// The backward pass reads gate and up of an element before it writes that element, so their memory may take the gradients.

#include "cpu/cpu_backend_impl.h"
#include "cpu/vector.h"

namespace sftlab {

void CpuBackend::add(const Tensor& out, const Tensor& x) {
#pragma omp parallel for num_threads(threadsFor(x.size())) schedule(static)
  for (int64_t row = 0; row < x.rows; ++row) {
    float* const to = out.slice(row, 1).f32();
    const float* const from = x.slice(row, 1).f32();
#pragma omp simd
    for (int64_t c = 0; c < x.cols; ++c) to[c] += from[c];
  }
}

void CpuBackend::swiglu(const Tensor& out, const Tensor& gate, const Tensor& up) {
#pragma omp parallel for num_threads(threadsFor(out.size() * 8)) schedule(static)
  for (int64_t row = 0; row < out.rows; ++row) {
    float* const to = out.slice(row, 1).f32();
    const float* const g = gate.slice(row, 1).f32();
    const float* const u = up.slice(row, 1).f32();
#pragma omp simd
    for (int64_t c = 0; c < out.cols; ++c) to[c] = g[c] * sigmoid(g[c]) * u[c];
  }
}

void CpuBackend::swigluBackward(const Tensor& dgate, const Tensor& dup, const Tensor& dout, const Tensor& gate,
                                const Tensor& up) {
#pragma omp parallel for num_threads(threadsFor(dout.size() * 8)) schedule(static)
  for (int64_t row = 0; row < dout.rows; ++row) {
    float* const dg = dgate.slice(row, 1).f32();
    float* const du = dup.slice(row, 1).f32();
    const float* const d = dout.slice(row, 1).f32();
    const float* const g = gate.slice(row, 1).f32();
    const float* const u = up.slice(row, 1).f32();
#pragma omp simd
    for (int64_t c = 0; c < dout.cols; ++c) {
      const float x = g[c], y = u[c], s = sigmoid(x);
      dg[c] = d[c] * y * s * (1.0f + x * (1.0f - s));
      du[c] = d[c] * x * s;
    }
  }
}

}  // namespace sftlab
