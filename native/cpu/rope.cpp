// Rotary positions (Su et al. 2021), in the half-split pairing of Hugging Face: each pair (a, b) = (x[i], x[i +
// headSize / 2]) of a head is turned by its position's angle. Turning back is the backward pass, since a rotation's
// transpose is its inverse.

#include "cpu/cpu_backend_impl.h"

namespace sftlab {

void CpuBackend::rope(const Tensor& x, const Tensor& table, const int32_t* positions, int32_t headSize, bool inverse) {
  requireF32(table);
  const int64_t half = headSize / 2, heads = x.cols / headSize;
  const float sign = inverse ? -1.0f : 1.0f;
  withNumbers(x.dtype, [&]<typename T>() {
    forRanges(x.rows, x.cols * 2, [&, half, heads, sign](int64_t first, int64_t end, int) {
      for (int64_t row = first; row < end; ++row) {
        const float* const cosine = at(table, positions[row]);
        const float* const sine = cosine + half;
        for (int64_t head = 0; head < heads; ++head) {
          T* const a = at<T>(x, row, head * headSize);
          T* const b = a + half;
#pragma omp simd
          for (int64_t i = 0; i < half; ++i) {
            const float p = get(a[i]), q = get(b[i]), s = sign * sine[i];
            put(a[i], p * cosine[i] - q * s);
            put(b[i], q * cosine[i] + p * s);
          }
        }
      }
    });
  });
}

}  // namespace sftlab
