// RMSNorm (Zhang and Sennrich 2019).
//
// Backward, with y = x * r * w and r = 1 / sqrt(mean(x^2) + epsilon):
//   dx += r * (dy * w - x * r^2 * mean(dy * w * x)),   dw += sum over rows of dy * x * r.
// dw is summed over fixed blocks of rows into a buffer of its own for each block, and those are then added in order, so
// it does not depend on which thread took which block.

#include <cmath>

#include "cpu/cpu_backend_impl.h"

namespace sftlab {

void CpuBackend::rmsNorm(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon) {
  requireF32(rstd, weight);
  const auto norm = [&]<typename In, typename Out>() {
    forRanges(x.rows, x.cols * 2 + 16, [&](int64_t first, int64_t end, int) {
      const int64_t cols = x.cols;  // of this call: what is captured by reference keeps loops from vectorising well
      const float* const w = weight.f32();
      for (int64_t row = first; row < end; ++row) {
        const In* const from = at<In>(x, row);
        Out* const to = at<Out>(out, row);
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < cols; ++c) sum += get(from[c]) * get(from[c]);
        const float r = 1.0f / std::sqrt(sum / static_cast<float>(cols) + epsilon);
        *at(rstd, row) = r;
#pragma omp simd
        for (int64_t c = 0; c < cols; ++c) put(to[c], get(from[c]) * r * w[c]);
      }
    });
  };
  withNumbers(x.dtype, [&]<typename In>() {
    withNumbers(out.dtype, [&]<typename Out>() { norm.template operator()<In, Out>(); });
  });
}

void CpuBackend::rmsNormBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x,
                                 const Tensor& rstd, const Tensor& weight, const Tensor& rounded) {
  requireF32(dweight, rstd, weight);
  requireSame(dx, dout, x);
  const int64_t cols = x.cols, rows = x.rows;
  // At most 32 blocks, so that the buffers stay small beside x.
  const int64_t block = std::max(itemsPerPiece(cols * 4 + 16), (rows + 31) / 32), blocks = (rows + block - 1) / block;
  float* const partial = dweight ? shared_.floats(static_cast<size_t>(blocks * cols)) : nullptr;
  withNumbers(x.dtype, [&]<typename T>() {
    pool_.run(blocks, [&, cols](int64_t piece, int) {
      const float* const w = weight.f32();
      float* const dw = partial ? partial + piece * cols : nullptr;
      if (dw) std::fill(dw, dw + cols, 0.0f);
      for (int64_t row = piece * block; row < std::min(rows, (piece + 1) * block); ++row) {
        const T* const d = at<T>(dout, row);
        const T* const v = at<T>(x, row);
        T* const to = at<T>(dx, row);
        const float r = *at(rstd, row);
        float dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int64_t c = 0; c < cols; ++c) dot += get(d[c]) * w[c] * get(v[c]);
        const float scale = dot * r * r / static_cast<float>(cols);
        if (dw) {
#pragma omp simd
          for (int64_t c = 0; c < cols; ++c) dw[c] += get(d[c]) * get(v[c]) * r;
        }
#pragma omp simd
        for (int64_t c = 0; c < cols; ++c) put(to[c], get(to[c]) + r * (get(d[c]) * w[c] - get(v[c]) * scale));
        if (!rounded) continue;
        Bf16* const copy = at<Bf16>(rounded, row);
#pragma omp simd
        for (int64_t c = 0; c < cols; ++c) put(copy[c], get(to[c]));
      }
    });
  });
  if (!dweight || rows == 0) return;
  for (int64_t piece = 0; piece < blocks; ++piece) {
    const float* const dw = partial + piece * cols;
    float* const to = dweight.f32();
#pragma omp simd
    for (int64_t c = 0; c < cols; ++c) to[c] += dw[c];
  }
}

}  // namespace sftlab
