// Residual additions and SwiGLU (Shazeer 2020): out = silu(gate) * up with silu(x) = x * sigmoid(x).
// The backward pass reads an element of gate, up and dout before it writes that element, so their memory may take what
// is written.

#include "cpu/cpu_backend_impl.h"
#include "cpu/vector.h"

namespace sftlab {

void CpuBackend::add(const Tensor& out, const Tensor& x) {
  requireF32(out);
  const bool flat = out.contiguous() && x.contiguous();
  withNumbers(x.dtype, [&]<typename T>() {
    forElements(x.rows, x.cols, flat, 1, [&](int64_t row, int64_t col, int64_t count) {
      float* const to = at(out, row, col);
      const T* const from = at<T>(x, row, col);
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) to[c] += get(from[c]);
    });
  });
}

void CpuBackend::swiglu(const Tensor& out, const Tensor& gate, const Tensor& up) {
  requireSame(out, gate, up);
  const bool flat = out.contiguous() && gate.contiguous() && up.contiguous();
  withNumbers(out.dtype, [&]<typename T>() {
    forElements(out.rows, out.cols, flat, 8, [&](int64_t row, int64_t col, int64_t count) {
      T* const to = at<T>(out, row, col);
      const T* const g = at<T>(gate, row, col);
      const T* const u = at<T>(up, row, col);
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) put(to[c], get(g[c]) * sigmoid(get(g[c])) * get(u[c]));
    });
  });
}

void CpuBackend::swigluBackward(const Tensor& dgate, const Tensor& dup, const Tensor& act, const Tensor& dout,
                                const Tensor& gate, const Tensor& up) {
  requireSame(dgate, dup, act, dout, gate, up);
  const bool flat = dgate.contiguous() && dup.contiguous() && dout.contiguous() && gate.contiguous() && up.contiguous() &&
                    (!act || act.contiguous());
  withNumbers(dgate.dtype, [&]<typename T>() {
    forElements(dout.rows, dout.cols, flat, 12, [&](int64_t row, int64_t col, int64_t count) {
      T* const dg = at<T>(dgate, row, col);
      T* const du = at<T>(dup, row, col);
      const T* const d = at<T>(dout, row, col);
      const T* const g = at<T>(gate, row, col);
      const T* const u = at<T>(up, row, col);
      T* const a = act ? at<T>(act, row, col) : nullptr;
      const auto each = [=](int64_t c, bool withAct) {
        const float x = get(g[c]), y = get(u[c]), z = get(d[c]), s = sigmoid(x), silu = x * s;
        put(dg[c], z * y * s * (1.0f + x * (1.0f - s)));
        put(du[c], z * silu);
        if (withAct) put(a[c], silu * y);
      };
      if (a) {
#pragma omp simd
        for (int64_t c = 0; c < count; ++c) each(c, true);
      } else {
#pragma omp simd
        for (int64_t c = 0; c < count; ++c) each(c, false);
      }
    });
  });
}

}  // namespace sftlab
