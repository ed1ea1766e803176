// AdamW (Loshchilov and Hutter 2019), step for step as torch.optim.AdamW: decoupled decay first, then
//   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  x -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + epsilon).
// All tensors are cut into pieces of one list, so that one parallel loop covers them whatever their sizes. The sum of squares
// adds the same pieces in the same order whatever the thread count.

#include <algorithm>
#include <cmath>

#include "cpu/cpu_backend_impl.h"

namespace sftlab {

namespace {

constexpr int64_t kPiece = 16'384;

struct Piece {
  size_t tensor;
  int64_t first, count;
};

template <typename Sizes>
std::vector<Piece> cut(size_t tensors, Sizes sizeOfTensor) {
  std::vector<Piece> pieces;
  for (size_t t = 0; t < tensors; ++t) {
    for (int64_t first = 0; first < sizeOfTensor(t); first += kPiece) {
      pieces.push_back({t, first, std::min(kPiece, sizeOfTensor(t) - first)});
    }
  }
  return pieces;
}

}  // namespace

double CpuBackend::squaredNorm(const std::vector<Tensor>& gradients) {
  const auto pieces = cut(gradients.size(), [&](size_t t) { return gradients[t].size(); });
  std::vector<double> sums(pieces.size());
#pragma omp parallel for num_threads(threads_) schedule(static)
  for (size_t p = 0; p < pieces.size(); ++p) {
    const float* const g = gradients[pieces[p].tensor].f32() + pieces[p].first;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < pieces[p].count; ++i) sum += static_cast<double>(g[i]) * g[i];
    sums[p] = sum;
  }
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

void CpuBackend::adamw(const std::vector<AdamParameter>& parameters, const AdamOptions& options) {
  const auto pieces = cut(parameters.size(), [&](size_t t) { return parameters[t].value.size(); });
  const double correction1 = 1 - std::pow(static_cast<double>(options.beta1), static_cast<double>(options.step));
  const double correction2 = 1 - std::pow(static_cast<double>(options.beta2), static_cast<double>(options.step));
  const float stepSize = static_cast<float>(options.learningRate / correction1);
  const float root = static_cast<float>(1 / std::sqrt(correction2));
  const float b1 = options.beta1, b2 = options.beta2, epsilon = options.epsilon, scale = options.gradientScale;
#pragma omp parallel for num_threads(threads_) schedule(static)
  for (size_t p = 0; p < pieces.size(); ++p) {
    const AdamParameter& parameter = parameters[pieces[p].tensor];
    float* const x = parameter.value.f32() + pieces[p].first;
    const float* const g = parameter.gradient.f32() + pieces[p].first;
    float* const m = parameter.first.f32() + pieces[p].first;
    float* const v = parameter.second.f32() + pieces[p].first;
    const float keep = parameter.decay ? 1 - options.learningRate * options.weightDecay : 1.0f;
#pragma omp simd
    for (int64_t i = 0; i < pieces[p].count; ++i) {
      const float gradient = g[i] * scale;
      m[i] += (1 - b1) * (gradient - m[i]);
      v[i] = b2 * v[i] + (1 - b2) * gradient * gradient;
      x[i] = x[i] * keep - stepSize * m[i] / (std::sqrt(v[i]) * root + epsilon);
    }
  }
}

}  // namespace sftlab
