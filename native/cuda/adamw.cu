// AdamW and the global norm over all tensors in one launch each: a block works on one piece of one tensor. See cpu/adamw.cpp for the
// formulas. The sum of squares is kept in double, piece by piece, and added in order.

#include <algorithm>
#include <cmath>

#include "cuda/cuda_backend_impl.h"
#include "cuda/philox.h"

namespace sftlab::cuda {

namespace {

constexpr int64_t kPiece = 16'384;

/// A run of numbers of one tensor, which begins at its element `at`.
struct Piece {
  float *value, *gradient;
  void *first, *second;  ///< where the tensor's moments begin
  Bf16* rounded;
  int64_t at;
  int32_t count, tensor;
  bool decays;
};

struct Step {
  float stepSize, root, decayed, take1, take2, keep2, epsilon, scale;
  RandomStream rounding;
};

DEVICE void putMoment(float& to, float value, uint32_t) { to = value; }
/// Up or down at random, as far as the value lies from either: the mean is the value.
DEVICE void putMoment(Bf16& to, float value, uint32_t random) {
#ifdef __CUDA_ARCH__
  const uint32_t bits = __float_as_uint(value);
#else
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
#endif
  to = {static_cast<uint16_t>((bits + (random & 0xFFFFu)) >> 16)};
}

/// The numbers of a piece's elements; none where nothing is rounded at random.
template <typename Moment>
DEVICE uint32_t randomOf(const Step& step, const Piece& piece, int64_t element) {
  if constexpr (sizeof(Moment) == 4) return 0;
  const RandomStream stream{step.rounding.seed, step.rounding.stream + static_cast<uint64_t>(piece.tensor)};
  return philox(stream, static_cast<uint64_t>(element / 4)).numbers[element % 4];
}

template <typename Moment>
KERNEL void adamPieces(const Piece* pieces, Step step) {
  const Self me = self();
  const Piece piece = pieces[me.blockX];
  Moment* const first = static_cast<Moment*>(piece.first) + piece.at;
  Moment* const second = static_cast<Moment*>(piece.second) + piece.at;
  const float keep = piece.decays ? step.decayed : 1.0f;
  for (int32_t i = static_cast<int32_t>(me.thread); i < piece.count; i += static_cast<int32_t>(me.threads)) {
    const float gradient = piece.gradient[i] * step.scale;
    const float m = get(first[i]) + step.take1 * (gradient - get(first[i]));
    const float v = step.keep2 * get(second[i]) + step.take2 * gradient * gradient;
    const uint32_t random = randomOf<Moment>(step, piece, piece.at + i);
    putMoment(first[i], m, random);
    putMoment(second[i], v, random >> 16);
    const float value = piece.value[i] * keep - step.stepSize * m / (sqrtf(v) * step.root + step.epsilon);
    piece.value[i] = value;
    if (piece.rounded) put(piece.rounded[i], value);
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

/// Cuts a tensor into pieces.
void cut(std::vector<Piece>& pieces, const AdamParameter& p, int32_t tensor) {
  for (int64_t at = 0; at < p.gradient.size(); at += kPiece) {
    const auto count = static_cast<int32_t>(std::min(kPiece, p.gradient.size() - at));
    auto* const rounded = static_cast<Bf16*>(p.rounded.data);
    pieces.push_back({p.value ? p.value.f32() + at : nullptr, p.gradient.f32() + at, p.first.data, p.second.data, rounded ? rounded + at : nullptr,
                      at, count, tensor, p.decay});
  }
}

}  // namespace

double CudaBackend::squaredNorm(const std::vector<Tensor>& gradients) {
  std::vector<Piece> pieces;
  for (const Tensor& gradient : gradients) {
    requireF32(gradient);
    cut(pieces, {.value = {}, .gradient = gradient, .first = {}, .second = {}}, 0);
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
    requireF32(p.value, p.gradient);
    requireSame(parameters.front().first, p.first, p.second);
    cut(pieces, p, static_cast<int32_t>(&p - parameters.data()));
  }
  if (pieces.empty()) return;
  const double correction1 = 1 - std::pow(options.beta1, static_cast<double>(options.step));
  const double correction2 = 1 - std::pow(options.beta2, static_cast<double>(options.step));
  const Step step{static_cast<float>(options.learningRate / correction1), static_cast<float>(1 / std::sqrt(correction2)),
                  static_cast<float>(1 - options.learningRate * options.weightDecay), static_cast<float>(1 - options.beta1),
                  static_cast<float>(1 - options.beta2), static_cast<float>(options.beta2), static_cast<float>(options.epsilon),
                  static_cast<float>(options.gradientScale), options.rounding};
  auto* const list = scratch<Piece>(pieces.size());
  upload(list, pieces.data(), pieces.size() * sizeof(Piece));
  withNumbers(parameters.front().first.dtype, [&]<typename Moment>() {
    launch(stream_, {static_cast<unsigned>(pieces.size())}, kThreads, 0, adamPieces<Moment>, static_cast<const Piece*>(list), step);
  });
}

}  // namespace sftlab::cuda
