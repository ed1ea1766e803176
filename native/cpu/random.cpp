// Dropout and initial weights. Element i takes number i % 4 of the stream's block i / 4, so the result depends on
// nothing but the stream and the element: the backward pass of dropout is the same call on the gradient. Numbers are
// made in runs of 64, which start at multiples of 64 of the element's index whatever the rows' length.

#include <cmath>
#include <numbers>

#include "cpu/cpu_backend_impl.h"
#include "cpu/philox.h"

namespace sftlab {

namespace {

/// body(element, offset in [0, count), bits) for `count` elements from `first` on.
template <typename Body>
void withBits(RandomStream stream, int64_t first, int64_t count, const Body& body) {
  alignas(64) uint32_t bits[kPhiloxRun];
  for (int64_t run = first / kPhiloxRun; run * kPhiloxRun < first + count; ++run) {
    philoxRun(stream, static_cast<uint64_t>(run), bits);
    const int64_t start = run * kPhiloxRun;
    const int64_t from = std::max(first, start), end = std::min(first + count, start + kPhiloxRun);
#pragma omp simd
    for (int64_t i = from; i < end; ++i) body(i - first, bits[i - start]);
  }
}

}  // namespace

void CpuBackend::dropout(const Tensor& out, const Tensor& x, float p, RandomStream stream) {
  requireSame(out, x);
  const float scale = p < 1 ? 1.0f / (1.0f - p) : 0.0f;
  const bool flat = out.contiguous() && x.contiguous();
  withNumbers(x.dtype, [&]<typename T>() {
    forElements(x.rows, x.cols, flat, 8, [&](int64_t row, int64_t col, int64_t count) {
      const T* const from = at<T>(x, row, col);
      T* const to = at<T>(out, row, col);
      withBits(stream, row * x.cols + col, count,
               [=](int64_t i, uint32_t bits) { put(to[i], unitFloat(bits) < p ? 0.0f : get(from[i]) * scale); });
    });
  });
}

void CpuBackend::fillUniform(const Tensor& out, float bound, RandomStream stream) {
  requireF32(out);
  forElements(out.rows, out.cols, out.contiguous(), 8, [&](int64_t row, int64_t col, int64_t count) {
    float* const to = at(out, row, col);
    withBits(stream, row * out.cols + col, count,
             [=](int64_t i, uint32_t bits) { to[i] = bound * (2 * unitFloat(bits) - 1); });
  });
}

void CpuBackend::fillNormal(const Tensor& out, float deviation, RandomStream stream) {
  requireF32(out);
  // Box and Muller (1958): numbers 2j and 2j + 1 of the stream give normal ones 2j and 2j + 1. Half a unit of the last
  // place keeps the first away from log(0).
  forElements(out.rows, out.cols, out.contiguous(), 64, [&](int64_t row, int64_t col, int64_t count) {
    const int64_t first = row * out.cols + col;
    std::array<uint32_t, 4> bits{};
    for (int64_t i = first; i < first + count; ++i) {
      if (i == first || i % 4 == 0) bits = philox(stream, static_cast<uint64_t>(i / 4));
      const auto pair = static_cast<size_t>(i % 4 / 2 * 2);
      const double radius = std::sqrt(-2 * std::log(static_cast<double>(unitFloat(bits[pair])) + 0x1p-25));
      const double angle = 2 * std::numbers::pi * unitFloat(bits[pair + 1]);
      *at(out, row, col + i - first) =
          deviation * static_cast<float>(radius * (i % 2 ? std::sin(angle) : std::cos(angle)));
    }
  });
}

}  // namespace sftlab
