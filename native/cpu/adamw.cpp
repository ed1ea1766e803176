// AdamW (Loshchilov and Hutter 2019), step for step as torch.optim.AdamW: decoupled decay first, then
//   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  x -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + epsilon).
// All tensors are cut into pieces of one list, so that one parallel loop covers them whatever their sizes. The sum of
// squares adds the same pieces in the same order whatever the thread count.

#include <algorithm>
#include <bit>
#include <cmath>

#include "cpu/cpu_backend_impl.h"
#include "cpu/philox.h"

namespace sftlab {

namespace {

constexpr int64_t kPiece = 16'384;

int64_t piecesOf(const Tensor& x) { return (x.size() + kPiece - 1) / kPiece; }

/// Piece `piece` of a list of tensors: elements [first, first + count) of tensor `index`.
struct Piece {
  size_t index;
  int64_t first, count;
};

template <typename TensorAt>
Piece find(int64_t piece, TensorAt tensorAt) {
  size_t index = 0;
  while (piece >= piecesOf(tensorAt(index))) piece -= piecesOf(tensorAt(index++));
  return {index, piece * kPiece, std::min(kPiece, tensorAt(index).size() - piece * kPiece)};
}

/// A number in bf16, up or down at random, as far as the value lies from either: the mean is the value.
Bf16 atRandom(float value, uint32_t random) { return {static_cast<uint16_t>((std::bit_cast<uint32_t>(value) + random) >> 16)}; }

}  // namespace

double CpuBackend::squaredNorm(const std::vector<Tensor>& gradients) {
  int64_t pieces = 0;
  for (const Tensor& gradient : gradients) {
    requireF32(gradient);
    pieces += piecesOf(gradient);
  }
  sums_.resize(static_cast<size_t>(pieces));
  pool_.run(pieces, [&](int64_t piece, int) {
    const Piece part = find(piece, [&](size_t index) -> const Tensor& { return gradients[index]; });
    const float* const g = gradients[part.index].f32() + part.first;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < part.count; ++i) sum += static_cast<double>(g[i]) * g[i];
    sums_[static_cast<size_t>(piece)] = sum;
  });
  double total = 0;
  for (double sum : sums_) total += sum;
  return total;
}

void CpuBackend::adamw(const std::vector<AdamParameter>& parameters, const AdamOptions& options) {
  int64_t pieces = 0;
  for (const AdamParameter& parameter : parameters) {
    requireF32(parameter.value, parameter.gradient);
    requireSame(parameter.first, parameter.second);
    pieces += piecesOf(parameter.value);
  }
  const double correction1 = 1 - std::pow(options.beta1, static_cast<double>(options.step));
  const double correction2 = 1 - std::pow(options.beta2, static_cast<double>(options.step));
  const auto stepSize = static_cast<float>(options.learningRate / correction1);
  const auto root = static_cast<float>(1 / std::sqrt(correction2));
  const auto decayed = static_cast<float>(1 - options.learningRate * options.weightDecay);
  const auto take1 = static_cast<float>(1 - options.beta1), take2 = static_cast<float>(1 - options.beta2);
  const auto keep2 = static_cast<float>(options.beta2), epsilon = static_cast<float>(options.epsilon);
  const auto scale = static_cast<float>(options.gradientScale);
  pool_.run(pieces, [&, stepSize, root, decayed, take1, take2, keep2, epsilon, scale](int64_t piece, int) {
    const Piece part = find(piece, [&](size_t index) -> const Tensor& { return parameters[index].value; });
    const AdamParameter& parameter = parameters[part.index];
    float* const x = parameter.value.f32() + part.first;
    const float* const g = parameter.gradient.f32() + part.first;
    const float keep = parameter.decay ? decayed : 1.0f;
    if (parameter.first.dtype == DType::bf16) {
      auto* const m = static_cast<Bf16*>(parameter.first.data) + part.first;
      auto* const v = static_cast<Bf16*>(parameter.second.data) + part.first;
      const RandomStream stream{options.rounding.seed, options.rounding.stream + part.index};
      uint32_t random[kPhiloxRun];
      static_assert(kPiece % kPhiloxRun == 0);
      for (int64_t first = 0; first < part.count; first += kPhiloxRun) {
        philoxRun(stream, static_cast<uint64_t>((part.first + first) / kPhiloxRun), random);
        for (int64_t i = first; i < std::min(part.count, first + kPhiloxRun); ++i) {
          const float gradient = g[i] * scale, before = get(m[i]);
          const float newM = before + take1 * (gradient - before), newV = keep2 * get(v[i]) + take2 * gradient * gradient;
          m[i] = atRandom(newM, random[i - first] & 0xFFFF);
          v[i] = atRandom(newV, random[i - first] >> 16);
          x[i] = x[i] * keep - stepSize * newM / (std::sqrt(newV) * root + epsilon);
        }
      }
      return;
    }
    float* const m = parameter.first.f32() + part.first;
    float* const v = parameter.second.f32() + part.first;
#pragma omp simd
    for (int64_t i = 0; i < part.count; ++i) {
      const float gradient = g[i] * scale;
      m[i] += take1 * (gradient - m[i]);
      v[i] = keep2 * v[i] + take2 * gradient * gradient;
      x[i] = x[i] * keep - stepSize * m[i] / (std::sqrt(v[i]) * root + epsilon);
    }
  });
}

}  // namespace sftlab
