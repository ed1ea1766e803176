// AdamW and the global norm over all tensors in one launch each: a block works on one piece of one tensor. See cpu/adamw.cpp for the
// formulas. The sum of squares is kept in double, piece by piece, and added in order.

#include <cmath>

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

namespace {

constexpr int64_t kPiece = 16'384;

/// A run of numbers of one tensor.
struct Piece {
  float *value, *gradient, *first, *second;
  int32_t count;
  bool decays;
};

struct Step {
  float stepSize, root, decayed, take1, take2, keep2, epsilon, scale;
};

KERNEL void adamPieces(const Piece* pieces, Step step) {
  const Self me = self();
  const Piece piece = pieces[me.blockX];
  const float keep = piece.decays ? step.decayed : 1.0f;
  for (int32_t i = static_cast<int32_t>(me.thread); i < piece.count; i += static_cast<int32_t>(me.threads)) {
    const float gradient = piece.gradient[i] * step.scale;
    const float m = piece.first[i] + step.take1 * (gradient - piece.first[i]);
    const float v = step.keep2 * piece.second[i] + step.take2 * gradient * gradient;
    piece.first[i] = m;
    piece.second[i] = v;
    piece.value[i] = piece.value[i] * keep - step.stepSize * m / (sqrtf(v) * step.root + step.epsilon);
  }
}

KERNEL void squarePieces(double* sums, const Piece* pieces) {
  const Self me = self();
  const Piece piece = pieces[me.blockX];
  double sum = 0;
  for (int32_t i = static_cast<int32_t>(me.thread); i < piece.count; i += static_cast<int32_t>(me.threads)) {
    sum += static_cast<double>(piece.gradient[i]) * piece.gradient[i];
  }
  sum = blockSum(sum, sharedMemory<double>());
  if (me.thread == 0) sums[me.blockX] = sum;
}

/// Cuts a tensor's list entry into pieces.
void cut(std::vector<Piece>& pieces, float* value, float* gradient, float* first, float* second, int64_t size, bool decays) {
  for (int64_t at = 0; at < size; at += kPiece) {
    const auto count = static_cast<int32_t>(kPiece < size - at ? kPiece : size - at);
    pieces.push_back({value ? value + at : nullptr, gradient + at, first ? first + at : nullptr, second ? second + at : nullptr, count, decays});
  }
}

}  // namespace

double CudaBackend::squaredNorm(const std::vector<Tensor>& gradients) {
  std::vector<Piece> pieces;
  for (const Tensor& gradient : gradients) {
    requireF32(gradient);
    cut(pieces, nullptr, gradient.f32(), nullptr, nullptr, gradient.size(), false);
  }
  if (pieces.empty()) return 0;
  const size_t listBytes = pieces.size() * sizeof(Piece);
  auto* const list = static_cast<Piece*>(scratchBytes(listBytes + pieces.size() * sizeof(double)));
  auto* const sums = reinterpret_cast<double*>(list + pieces.size());
  upload(list, pieces.data(), listBytes);
  launch(stream_, {static_cast<unsigned>(pieces.size())}, kThreads, kThreads / 32 * sizeof(double), squarePieces, sums,
         static_cast<const Piece*>(list));
  std::vector<double> host(pieces.size());
  download(host.data(), sums, host.size() * sizeof(double));
  double total = 0;
  for (double sum : host) total += sum;
  return total;
}

void CudaBackend::adamw(const std::vector<AdamParameter>& parameters, const AdamOptions& options) {
  std::vector<Piece> pieces;
  for (const AdamParameter& p : parameters) {
    requireF32(p.value, p.gradient, p.first, p.second);
    cut(pieces, p.value.f32(), p.gradient.f32(), p.first.f32(), p.second.f32(), p.value.size(), p.decay);
  }
  weightsChanged(parameters);
  if (pieces.empty()) return;
  const double correction1 = 1 - std::pow(options.beta1, static_cast<double>(options.step));
  const double correction2 = 1 - std::pow(options.beta2, static_cast<double>(options.step));
  const Step step{static_cast<float>(options.learningRate / correction1), static_cast<float>(1 / std::sqrt(correction2)),
                  static_cast<float>(1 - options.learningRate * options.weightDecay), static_cast<float>(1 - options.beta1),
                  static_cast<float>(1 - options.beta2), static_cast<float>(options.beta2), static_cast<float>(options.epsilon),
                  static_cast<float>(options.gradientScale)};
  auto* const list = scratch<Piece>(pieces.size());
  upload(list, pieces.data(), pieces.size() * sizeof(Piece));
  launch(stream_, {static_cast<unsigned>(pieces.size())}, kThreads, 0, adamPieces, static_cast<const Piece*>(list), step);
}

}  // namespace sftlab::cuda
