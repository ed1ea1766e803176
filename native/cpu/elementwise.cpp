// Residual additions and SwiGLU (Shazeer 2020): out = silu(gate) * up with silu(x) = x * sigmoid(x).
// The backward pass reads gate and up of an element before it writes that element, so their memory may take the
// gradients.

#include "cpu/cpu_backend_impl.h"
#include "cpu/vector.h"

namespace sftlab {

void CpuBackend::add(const Tensor& out, const Tensor& x) {
  requireF32(out, x);
  const bool flat = out.contiguous() && x.contiguous();
  forElements(x.rows, x.cols, flat, 1, [&](int64_t row, int64_t col, int64_t count) {
    float* const to = at(out, row, col);
    const float* const from = at(x, row, col);
#pragma omp simd
    for (int64_t c = 0; c < count; ++c) to[c] += from[c];
  });
}

void CpuBackend::swiglu(const Tensor& out, const Tensor& gate, const Tensor& up) {
  requireF32(out, gate, up);
  const bool flat = out.contiguous() && gate.contiguous() && up.contiguous();
  forElements(out.rows, out.cols, flat, 8, [&](int64_t row, int64_t col, int64_t count) {
    float* const to = at(out, row, col);
    const float* const g = at(gate, row, col);
    const float* const u = at(up, row, col);
#pragma omp simd
    for (int64_t c = 0; c < count; ++c) to[c] = g[c] * sigmoid(g[c]) * u[c];
  });
}

void CpuBackend::swigluBackward(const Tensor& dgate, const Tensor& dup, const Tensor& dout, const Tensor& gate,
                                const Tensor& up) {
  requireF32(dgate, dup, dout, gate, up);
  const bool flat = dgate.contiguous() && dup.contiguous() && dout.contiguous() && gate.contiguous() && up.contiguous();
  forElements(dout.rows, dout.cols, flat, 12, [&](int64_t row, int64_t col, int64_t count) {
    float* const dg = at(dgate, row, col);
    float* const du = at(dup, row, col);
    const float* const d = at(dout, row, col);
    const float* const g = at(gate, row, col);
    const float* const u = at(up, row, col);
#pragma omp simd
    for (int64_t c = 0; c < count; ++c) {
      const float x = g[c], y = u[c], s = sigmoid(x);
      dg[c] = d[c] * y * s * (1.0f + x * (1.0f - s));
      du[c] = d[c] * x * s;
    }
  });
}

}  // namespace sftlab
