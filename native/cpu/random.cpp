// Dropout and initial weights. Element i takes number i % 4 of the stream's block i / 4, so the result depends on nothing but the
// stream and the element: the backward pass of dropout is the same call on the gradient.

#include <cmath>

#include "cpu/cpu_backend_impl.h"
#include "cpu/philox.h"

namespace sftlab {

void CpuBackend::dropout(const Tensor& out, const Tensor& x, float p, RandomStream stream) {
  const float scale = 1.0f / (1.0f - p);
#pragma omp parallel for num_threads(threadsFor(x.size() * 8)) schedule(static)
  for (int64_t row = 0; row < x.rows; ++row) {
    const float* const from = x.slice(row, 1).f32();
    float* const to = out.slice(row, 1).f32();
    uint64_t block = UINT64_MAX;
    std::array<uint32_t, 4> bits{};
    for (int64_t c = 0; c < x.cols; ++c) {
      const auto i = static_cast<uint64_t>(row * x.cols + c);
      if (i / 4 != block) bits = philox(stream, block = i / 4);
      to[c] = unitFloat(bits[i % 4]) < p ? 0.0f : from[c] * scale;
    }
  }
}

void CpuBackend::fillUniform(const Tensor& out, float bound, RandomStream stream) {
  for (int64_t i = 0; i < out.size(); ++i) {
    out.f32()[i] = bound * (2 * unitFloat(philox(stream, static_cast<uint64_t>(i / 4))[static_cast<size_t>(i % 4)]) - 1);
  }
}

void CpuBackend::fillNormal(const Tensor& out, float deviation, RandomStream stream) {
  // Box and Muller (1958): each block's four numbers give four normal ones. The first of a pair is kept away from log(0).
#pragma omp parallel for num_threads(threadsFor(out.size() * 16)) schedule(static)
  for (int64_t block = 0; block < (out.size() + 3) / 4; ++block) {
    const auto bits = philox(stream, static_cast<uint64_t>(block));
    for (size_t pair = 0; pair < 2; ++pair) {
      const double radius = std::sqrt(-2 * std::log(unitFloat(bits[2 * pair]) + 0x1p-25));
      const double angle = 2 * 3.14159265358979323846 * unitFloat(bits[2 * pair + 1]);
      const int64_t i = block * 4 + static_cast<int64_t>(2 * pair);
      if (i < out.size()) out.f32()[i] = deviation * static_cast<float>(radius * std::cos(angle));
      if (i + 1 < out.size()) out.f32()[i + 1] = deviation * static_cast<float>(radius * std::sin(angle));
    }
  }
}

}  // namespace sftlab
