// RMSNorm (Zhang and Sennrich 2019) and rotary positions (Su et al. 2021).
//
// Norm backward, with y = x * r * w and r = 1 / sqrt(mean(x^2) + epsilon):
//   dx += r * (dy * w - x * r^2 * mean(dy * w * x)),   dw += sum over rows of dy * x * r.
// dw is summed by each thread over its own fixed range of rows and then over threads in order, so a run repeats bitwise.

#include <cmath>
#include <cstring>

#include "cpu/cpu_backend_impl.h"

namespace sftlab {

void CpuBackend::rmsNorm(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon) {
  const int64_t cols = x.cols;
  const float* const w = weight.f32();
#pragma omp parallel for num_threads(threadsFor(x.size())) schedule(static)
  for (int64_t row = 0; row < x.rows; ++row) {
    const float* const from = x.slice(row, 1).f32();
    float* const to = out.slice(row, 1).f32();
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < cols; ++c) sum += from[c] * from[c];
    const float r = 1.0f / std::sqrt(sum / static_cast<float>(cols) + epsilon);
    rstd.f32()[row] = r;
#pragma omp simd
    for (int64_t c = 0; c < cols; ++c) to[c] = from[c] * r * w[c];
  }
}

void CpuBackend::rmsNormBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x,
                                 const Tensor& rstd, const Tensor& weight) {
  const int64_t cols = x.cols, rows = x.rows;
  const float* const w = weight.f32();
  const int threads = threadsFor(x.size());
#pragma omp parallel num_threads(threads)
  {
    const int64_t thread = omp_get_thread_num();
    float* const dw = scratch_[static_cast<size_t>(thread)].floats(static_cast<size_t>(cols));
    if (dweight) std::memset(dw, 0, static_cast<size_t>(cols) * sizeof(float));
    const int64_t first = rows * thread / threads, last = rows * (thread + 1) / threads;
    for (int64_t row = first; row < last; ++row) {
      const float* const d = dout.slice(row, 1).f32();
      const float* const v = x.slice(row, 1).f32();
      float* const to = dx.slice(row, 1).f32();
      const float r = rstd.f32()[row];
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t c = 0; c < cols; ++c) dot += d[c] * w[c] * v[c];
      const float scale = dot * r * r / static_cast<float>(cols);
      if (dweight) {
#pragma omp simd
        for (int64_t c = 0; c < cols; ++c) dw[c] += d[c] * v[c] * r;
      }
#pragma omp simd
      for (int64_t c = 0; c < cols; ++c) to[c] += r * (d[c] * w[c] - v[c] * scale);
    }
  }
  if (!dweight) return;
  for (int t = 0; t < threads; ++t) {
    const float* const dw = scratch_[static_cast<size_t>(t)].floats(static_cast<size_t>(cols));
    for (int64_t c = 0; c < cols; ++c) dweight.f32()[c] += dw[c];
  }
}

void CpuBackend::rope(const Tensor& x, const Tensor& table, const int32_t* positions, int32_t headSize, bool inverse) {
  const int64_t half = headSize / 2, heads = x.cols / headSize;
  const float sign = inverse ? -1.0f : 1.0f;
#pragma omp parallel for num_threads(threadsFor(x.size())) schedule(static)
  for (int64_t row = 0; row < x.rows; ++row) {
    const float* const cosine = table.f32() + positions[row] * table.stride;
    const float* const sine = cosine + half;
    for (int64_t head = 0; head < heads; ++head) {
      float* const a = x.f32() + row * x.stride + head * headSize;
      float* const b = a + half;
#pragma omp simd
      for (int64_t i = 0; i < half; ++i) {
        const float p = a[i], q = b[i], s = sign * sine[i];
        a[i] = p * cosine[i] - q * s;
        b[i] = q * cosine[i] + p * s;
      }
    }
  }
}

}  // namespace sftlab
