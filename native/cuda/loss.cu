// Cross-entropy, entropy and token accuracy, a block a row of logits; see cpu/cross_entropy.cpp for the formulas.
//
// A row of a large vocabulary (608 KB of 151,936 logits) is walked twice: for its sums, then for its gradient. The first walk goes from the
// end to the beginning and keeps the end in shared memory, as much as fits; the second goes forward. So it begins with what was read last,
// which the L2 cache still has, and ends with what was kept: little is read from memory twice. The gradient may lie in the memory of the
// logits, in smaller numbers, and would not let the second walk go the other way.

#include <algorithm>

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

namespace {

constexpr int kLossThreads = 1024;
constexpr int kEach = 4;  ///< accesses that a thread has under way
constexpr float kLowest = -3e38f, kFarBelow = -1e30f;

/// What a row is found to be so far: its largest logit and the lowest place of it, and the sums of e^(x - best) and of
/// e^(x - best) (x - best). One walk over the row is enough: where a larger logit is met, the sums are scaled down to it.
struct RowSums {
  float best = kLowest, sum = 0, weighted = 0;
  int32_t place = INT32_MAX;

  DEVICE void scaleTo(float larger) {
    const float down = fmaxf(best - larger, kFarBelow), factor = fastExp2(down * kLog2e);
    weighted = factor * (weighted + sum * down);
    sum *= factor;
    best = larger;
  }
  /// Groups of numbers from place `first` on, `apart` from each other; before all that was added.
  template <int width>
  DEVICE void add(const float (&x)[kEach][width], int32_t first, int32_t apart) {
    float most = x[0][0];
    UNROLL for (int i = 0; i < kEach * width; ++i) most = fmaxf(most, x[i / width][i % width]);
    if (most >= best) {
      scaleTo(most);
      UNROLL for (int i = kEach * width - 1; i >= 0; --i) {
        if (x[i / width][i % width] == most) place = first + i / width * apart + i % width;
      }
    }
    UNROLL for (int i = 0; i < kEach * width; ++i) {
      const float shifted = x[i / width][i % width] - best, e = fastExp2(shifted * kLog2e);
      sum += e;
      weighted += e * fmaxf(shifted, kFarBelow);  // 0 * -infinity is 0 here
    }
  }
  DEVICE void join(RowSums other) {
    if (other.best > best || (other.best == best && other.place < place)) place = other.place;
    const float larger = fmaxf(best, other.best);
    scaleTo(larger);
    other.scaleTo(larger);
    sum += other.sum;
    weighted += other.weighted;
  }
  /// Lane 0 has all lanes'.
  DEVICE void joinWarp() {
    for (unsigned mask = 16; mask > 0; mask /= 2) {
      RowSums other;
      other.best = shuffleXor(best, mask);
      other.sum = shuffleXor(sum, mask);
      other.weighted = shuffleXor(weighted, mask);
      other.place = shuffleXor(place, mask);
      join(other);
    }
  }
  /// The whole block's, the same bits in all threads. `shared` has room for one a warp.
  DEVICE void joinBlock(RowSums* shared) {
    const Self me = self();
    joinWarp();
    if (me.lane() == 0) shared[me.warp()] = *this;
    syncBlock();
    *this = me.lane() < me.warps() ? shared[me.lane()] : RowSums{};
    joinWarp();
    best = shuffle(best, 0);
    sum = shuffle(sum, 0);
  }
};

/// Of each row the last `kept` logits, whole groups, are kept in shared memory.
template <typename T, int width>
KERNEL BOUNDS(kLossThreads, 1) void lossRows(View<float> logits, const int32_t* targets, const float* weights, float* loss, float* entropy,
                                           uint8_t* correct, View<T> gradient, int32_t kept) {
  const Self me = self();
  const int64_t row = me.blockX;
  const auto cols = static_cast<int32_t>(logits.cols), apart = static_cast<int32_t>(me.threads) * width, stretch = apart * kEach;
  const int32_t mine = static_cast<int32_t>(me.thread) * width, end = cols - kept;
  const float* const x = logits.row(row);
  RowSums* const parts = sharedMemory<RowSums>();
  float* const keep = reinterpret_cast<float*>(parts + kLossThreads / 32);

  RowSums sums;
  for (int32_t first = (cols - 1) / stretch * stretch; first >= 0; first -= stretch) {
    float held[kEach][width];
    UNROLL for (int i = 0; i < kEach; ++i) {
      const int32_t c = first + i * apart + mine;
      UNROLL for (int k = 0; k < width; ++k) held[i][k] = -INFINITY;
      if (c < end) load(held[i], x + c);
      if (c >= end && c < cols) loadLast(held[i], x + c);
    }
    UNROLL for (int i = 0; i < kEach; ++i) {
      const int32_t c = first + i * apart + mine;
      if (c >= end && c < cols) store(keep + (c - end), held[i]);
    }
    sums.add(held, first + mine, apart);
  }
  sums.joinBlock(parts);
  const int32_t target = targets[row];
  if (me.thread == 0) {
    const float logSum = logf(sums.sum);
    loss[row] = logSum - (x[target] - sums.best);
    entropy[row] = logSum - sums.weighted / sums.sum;
    correct[row] = sums.place == target;  // the lowest id wins ties
  }
  if (!gradient.data) return;

  // Of stretch n the gradient takes, where it lies in the logits' memory, the place of stretch n / 2 or more: all have to have read so far
  // before any thread writes. So they wait for each other at stretch 0, 2, 6, 14, ...: what was read there is enough for twice as many.
  const float weight = weights[row], scale = weight / sums.sum;
  T* const to = gradient.row(row);
  for (int32_t first = 0, n = 0, wait = 0; first < cols; first += stretch, ++n) {
    float held[kEach][width] = {};
    UNROLL for (int i = 0; i < kEach; ++i) {
      const int32_t c = first + i * apart + mine;
      if (c < end) loadLast(held[i], x + c);
      if (c >= end && c < cols) load(held[i], keep + (c - end));
    }
    UNROLL for (int i = 0; i < kEach; ++i) {
      const int32_t c = first + i * apart + mine;
      UNROLL for (int k = 0; k < width; ++k) {
        held[i][k] = fastExp2((held[i][k] - sums.best) * kLog2e) * scale - (c + k == target ? weight : 0.0f);
      }
    }
    if (n == wait) {
      syncBlock();
      wait = 2 * wait + 2;
    }
    UNROLL for (int i = 0; i < kEach; ++i) {
      const int32_t c = first + i * apart + mine;
      if (c < cols) store(to + c, held[i]);
    }
  }
}

}  // namespace

void CudaBackend::crossEntropy(const Tensor& logits, const int32_t* targets, const float* weights, float* loss, float* entropy,
                               uint8_t* correct, const Tensor& gradient) {
  requireF32(logits);
  if (logits.size() == 0) return;
  const auto start = [&]<typename T, int width>() {
    const int64_t groups = std::min<int64_t>((logits.cols / width + 31) / 32 * 32, kLossThreads);
    const size_t sums = kLossThreads / 32 * sizeof(RowSums), room = (mostShared() - sums) / sizeof(float);
    const int64_t kept = gradient ? std::min(logits.cols, static_cast<int64_t>(room / width * width)) : 0;
    launch(stream_, {static_cast<unsigned>(logits.rows)}, static_cast<unsigned>(groups), sums + static_cast<size_t>(kept) * sizeof(float),
           lossRows<T, width>, view<float>(logits), targets, weights, loss, entropy, correct, view<T>(gradient), static_cast<int32_t>(kept));
  };
  withNumbers(gradient.dtype, [&]<typename T>() {
    if (inFours(logits) && (!gradient || inFours(gradient))) {
      start.template operator()<T, 4>();
    } else {
      start.template operator()<T, 1>();
    }
  });
}

}  // namespace sftlab::cuda
