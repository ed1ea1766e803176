// AdamW and the global norm over all tensors in one launch each: a block works on one piece of one tensor, four numbers a thread at a time.
// See cpu/adamw.cpp for the formulas. The sum of squares is kept in double, piece by piece, and added in order.

#include <algorithm>
#include <cmath>

#include "cuda/cuda_backend_impl.h"
#include "cuda/philox.h"

namespace sftlab::cuda {

namespace {

constexpr int64_t kPiece = 8192;

/// One tensor's numbers. Pieces of all tensors count on from one to the next.
struct Run {
  float *value, *gradient;
  void *first, *second;
  Bf16* rounded;
  int32_t cols, gap;  ///< of a row of `rounded`, and the numbers from its end to the next one's beginning

  DEVICE Bf16* roundedAt(int64_t at) const {
    if (gap == 0) return rounded + at;
    return rounded + at + static_cast<int64_t>(static_cast<uint32_t>(at) / static_cast<uint32_t>(cols)) * gap;
  }

  int64_t size;
  int32_t start;  ///< its first piece
  bool decays, fours;
};

struct Runs {
  const Run* list;
  int32_t count;
};

/// The numbers [begin, end) of a run that a block works on, of which [begin, fours) are read four at a time.
struct Piece {
  Run run;
  int64_t begin, fours, end;
  int32_t place;  ///< of the run
};

/// The block's piece. Its run is the last of those that begin there or before.
DEVICE Piece pieceOf(const Runs& runs, int32_t* shared) {
  const Self me = self();
  const auto number = static_cast<int32_t>(me.blockX);
  int32_t begun = 0;
  for (auto t = static_cast<int32_t>(me.thread); t < runs.count; t += static_cast<int32_t>(me.threads)) begun += runs.list[t].start <= number;
  const int32_t place = blockSum(begun, shared) - 1;
  Piece piece{runs.list[place], 0, 0, 0, place};
  piece.begin = (number - piece.run.start) * kPiece;
  piece.end = piece.begin + kPiece < piece.run.size ? piece.begin + kPiece : piece.run.size;
  piece.fours = piece.run.fours ? piece.end / 4 * 4 : piece.begin;
  return piece;
}

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

/// Of the numbers from `at` on; none where nothing is rounded at random.
template <typename Moment, int width>
DEVICE void drawRandom(uint32_t (&to)[width], const Step& step, int32_t tensor, int64_t at) {
  if constexpr (sizeof(Moment) == 4) return;
  const RandomStream stream{step.rounding.seed, step.rounding.stream + static_cast<uint64_t>(tensor)};
  const Four four = philox(stream, static_cast<uint64_t>(at / 4));
  UNROLL for (int i = 0; i < width; ++i) {
    UNROLL for (int k = 0; k < 4; ++k) {
      if (at % 4 + i == k) to[i] = four.numbers[k];
    }
  }
}

template <typename Moment, int width>
DEVICE void storeMoments(Moment* to, const float (&moments)[width], const uint32_t (&random)[width], int shift) {
  Group<Moment, width> group;
  UNROLL for (int i = 0; i < width; ++i) putMoment(group.numbers[i], moments[i], random[i] >> shift);
  *reinterpret_cast<Group<Moment, width>*>(to) = group;
}

template <typename Moment, int width>
DEVICE void update(const Piece& piece, const Step& step, int64_t at) {
  const Run& run = piece.run;
  Moment *const first = static_cast<Moment*>(run.first) + at, *const second = static_cast<Moment*>(run.second) + at;
  const float keep = run.decays ? step.decayed : 1.0f;
  float value[width], gradient[width], m[width], v[width];
  load(value, run.value + at);
  load(gradient, run.gradient + at);
  load(m, first);
  load(v, second);
  uint32_t random[width] = {};
  drawRandom<Moment>(random, step, piece.place, at);
  UNROLL for (int i = 0; i < width; ++i) {
    const float g = gradient[i] * step.scale;
    m[i] += step.take1 * (g - m[i]);
    v[i] = step.keep2 * v[i] + step.take2 * g * g;
    value[i] = value[i] * keep - step.stepSize * m[i] / (sqrtf(v[i]) * step.root + step.epsilon);
  }
  store(run.value + at, value);
  storeMoments(first, m, random, 0);
  storeMoments(second, v, random, 16);
  if (run.rounded) store(run.roundedAt(at), value);
}

template <typename Moment>
KERNEL BOUNDS(kThreads, 1) void adamPieces(Runs runs, Step step) {
  const Self me = self();
  const Piece piece = pieceOf(runs, sharedMemory<int32_t>());
  for (int64_t i = piece.begin + 4 * me.thread; i < piece.fours; i += 4 * me.threads) update<Moment, 4>(piece, step, i);
  for (int64_t i = piece.fours + me.thread; i < piece.end; i += me.threads) update<Moment, 1>(piece, step, i);
}

/// All fours of a piece are asked for at once, and added to four sums: one alone would wait for each addition.
KERNEL BOUNDS(kThreads, 1) void squarePieces(double* sums, Runs runs) {
  const Self me = self();
  const Piece piece = pieceOf(runs, sharedMemory<int32_t>());
  constexpr int each = kPiece / (4 * kThreads);
  float numbers[each][4] = {};
  UNROLL for (int i = 0; i < each; ++i) {
    const int64_t at = piece.begin + 4 * (i * kThreads + me.thread);
    if (at < piece.fours) load(numbers[i], piece.run.gradient + at);
  }
  double own[4] = {0, 0, 0, 0};
  const auto add = [&](double& sum, float number) { sum += static_cast<double>(number) * number; };
  UNROLL for (int i = 0; i < 4 * each; ++i) add(own[i % 4], numbers[i / 4][i % 4]);
  for (int64_t i = piece.fours + me.thread; i < piece.end; i += me.threads) add(own[0], piece.run.gradient[i]);
  const double sum = blockSum((own[0] + own[1]) + (own[2] + own[3]), sharedMemory<double>());
  if (me.thread == 0) sums[me.blockX] = sum;
}

/// One block.
KERNEL BOUNDS(1024, 1) void addSquares(double* out, const double* sums, int32_t count) {
  const Self me = self();
  double sum = 0;
  for (auto i = static_cast<int32_t>(me.thread); i < count; i += static_cast<int32_t>(me.threads)) sum += sums[i];
  sum = blockSum(sum, sharedMemory<double>());
  if (me.thread == 0) *out = sum;
}

/// The tensors as the host lists them.
struct Listed {
  std::vector<Run> list;
  int32_t pieces = 0;

  void add(const AdamParameter& p) {
    const auto even = [](const Tensor& x) { return reinterpret_cast<uintptr_t>(x.data) % (4 * sizeOf(x.dtype)) == 0; };
    const auto cols = static_cast<int32_t>(p.rounded.cols), gap = static_cast<int32_t>(p.rounded.stride - p.rounded.cols);
    if (gap != 0 && p.gradient.size() > UINT32_MAX) throw std::logic_error("a rounded copy of so many numbers has to be contiguous");
    const bool fours = even(p.value) && even(p.gradient) && even(p.first) && even(p.second) && (gap == 0 ? even(p.rounded) : inFours(p.rounded));
    list.push_back({p.value.f32(), p.gradient.f32(), p.first.data, p.second.data, static_cast<Bf16*>(p.rounded.data), cols, gap, p.gradient.size(),
                    pieces, p.decay, fours});
    pieces += static_cast<int32_t>((p.gradient.size() + kPiece - 1) / kPiece);
  }
  size_t bytes() const { return list.size() * sizeof(Run); }
  Runs put(Backend& backend, void* memory) const {
    backend.upload(memory, list.data(), bytes());
    return {static_cast<const Run*>(memory), static_cast<int32_t>(list.size())};
  }
};

}  // namespace

double CudaBackend::squaredNorm(const std::vector<Tensor>& gradients) {
  Listed listed;
  for (const Tensor& gradient : gradients) {
    requireF32(gradient);
    listed.add({.value = {}, .gradient = gradient, .first = {}, .second = {}});
  }
  if (listed.pieces == 0) return 0;
  const auto pieces = static_cast<unsigned>(listed.pieces);
  auto* const total = static_cast<double*>(scratchBytes((1 + pieces) * sizeof(double) + listed.bytes()));
  double* const sums = total + 1;
  launch(stream_, {pieces}, kThreads, kThreads / 32 * sizeof(double), squarePieces, sums, listed.put(*this, sums + pieces));
  launch(stream_, {1}, 32 * std::min(32u, blocksFor(pieces, 32)), 32 * sizeof(double), addSquares, total, static_cast<const double*>(sums),
         listed.pieces);
  double result = 0;
  download(&result, total, sizeof result);
  return result;
}

void CudaBackend::adamw(const std::vector<AdamParameter>& parameters, const AdamOptions& options) {
  Listed listed;
  for (const AdamParameter& p : parameters) {
    requireF32(p.value, p.gradient);
    requireSame(parameters.front().first, p.first, p.second);
    listed.add(p);
  }
  if (listed.pieces == 0) return;
  const double correction1 = 1 - std::pow(options.beta1, static_cast<double>(options.step));
  const double correction2 = 1 - std::pow(options.beta2, static_cast<double>(options.step));
  const Step step{static_cast<float>(options.learningRate / correction1), static_cast<float>(1 / std::sqrt(correction2)),
                  static_cast<float>(1 - options.learningRate * options.weightDecay), static_cast<float>(1 - options.beta1),
                  static_cast<float>(1 - options.beta2), static_cast<float>(options.beta2), static_cast<float>(options.epsilon),
                  static_cast<float>(options.gradientScale), options.rounding};
  const Runs runs = listed.put(*this, scratchBytes(listed.bytes()));
  withNumbers(parameters.front().first.dtype, [&]<typename Moment>() {
    launch(stream_, {static_cast<unsigned>(listed.pieces)}, kThreads, kThreads / 32 * sizeof(int32_t), adamPieces<Moment>, runs, step);
  });
}

}  // namespace sftlab::cuda
