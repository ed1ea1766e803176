// Cross-entropy, entropy and token accuracy, a block a row of logits; see cpu/cross_entropy.cpp for the formulas.

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

namespace {

/// What a row is found to be so far: its largest logit and the lowest place of it, and the sums of e^(x - best) and of
/// e^(x - best) (x - best). One walk over the row is enough: where a larger logit is met, the sums are scaled down to it.
struct RowSums {
  float best = -INFINITY, sum = 0, weighted = 0;
  int32_t place = INT32_MAX;

  DEVICE void scaleTo(float larger) {
    if (best == -INFINITY) {  // nothing was added yet, and infinity times nothing would be NaN
      best = larger;
      return;
    }
    const float down = best - larger, factor = expf(down);
    weighted = factor * (weighted + sum * down);
    sum *= factor;
    best = larger;
  }
  /// Numbers at places col, col + 1, ...; later than all before them.
  template <int count>
  DEVICE void add(const float (&x)[count], int64_t col) {
    float most = x[0];
    int32_t at = 0;
    UNROLL for (int i = 1; i < count; ++i) {
      if (x[i] > most) {
        most = x[i];
        at = i;
      }
    }
    if (most > best) {
      scaleTo(most);
      place = static_cast<int32_t>(col) + at;
    }
    UNROLL for (int i = 0; i < count; ++i) {
      const float shifted = x[i] - best, e = expf(shifted);
      sum += x[i] == -INFINITY ? 0.0f : e;  // also where all so far are
      weighted += e > 0.0f ? e * shifted : 0.0f;  // 0 * -infinity is 0 here
    }
  }
  DEVICE void join(RowSums other) {
    const float larger = best > other.best ? best : other.best;
    if (larger == -INFINITY) return;
    if (other.best > best || (other.best == best && other.place < place)) place = other.place;
    scaleTo(larger);
    other.scaleTo(larger);
    sum += other.sum;
    weighted += other.weighted;
  }
};

/// The whole row's, the same bits in all threads. `shared` has room for one a warp.
DEVICE RowSums sumRow(const float* x, int64_t cols, bool fours, RowSums* shared) {
  const Self me = self();
  RowSums sums;
  if (fours) {
    for (int64_t c = static_cast<int64_t>(me.thread) * 4; c < cols; c += static_cast<int64_t>(me.threads) * 4) {
      float four[4];
      load(four, x + c);
      sums.add(four, c);
    }
  } else {
    for (int64_t c = me.thread; c < cols; c += me.threads) {
      const float one[1] = {x[c]};
      sums.add(one, c);
    }
  }
  for (unsigned mask = 16; mask > 0; mask /= 2) {
    RowSums other;
    other.best = shuffleXor(sums.best, mask);
    other.sum = shuffleXor(sums.sum, mask);
    other.weighted = shuffleXor(sums.weighted, mask);
    other.place = shuffleXor(sums.place, mask);
    sums.join(other);
  }
  if (me.lane() == 0) shared[me.warp()] = sums;
  syncBlock();
  RowSums all = shared[0];
  for (unsigned warp = 1; warp < me.warps(); ++warp) all.join(shared[warp]);
  return all;
}

constexpr int kEach = 8;  ///< numbers that a thread holds between reading and writing a stretch

template <typename T>
KERNEL void lossRows(View<float> logits, const int32_t* targets, const float* weights, float* loss, float* entropy, uint8_t* correct,
                     View<T> gradient, bool fours) {
  const Self me = self();
  const int64_t row = me.blockX, cols = logits.cols;
  const int32_t target = targets[row];
  const float* const x = logits.row(row);
  const RowSums sums = sumRow(x, cols, fours, sharedMemory<RowSums>());
  const float own = x[target], logSum = logf(sums.sum);
  if (me.thread == 0) {
    loss[row] = logSum - (own - sums.best);
    entropy[row] = logSum - sums.weighted / sums.sum;
    correct[row] = sums.place == target;  // the lowest id wins ties
  }
  if (!gradient.data) return;
  // The gradient may lie in the memory of the logits, in smaller numbers: a stretch is read by all before any of it is written. What is
  // written lies before all that is still to be read.
  const float scale = weights[row] / sums.sum, weight = weights[row];
  T* const to = gradient.row(row);
  const auto value = [&](float logit, int64_t col) { return expf(logit - sums.best) * scale - (col == target ? weight : 0.0f); };
  if (fours) {
    for (int64_t first = 0; first < cols; first += static_cast<int64_t>(me.threads) * kEach) {
      float held[kEach / 4][4] = {};
      UNROLL for (int i = 0; i < kEach / 4; ++i) {
        const int64_t c = first + (static_cast<int64_t>(i) * me.threads + me.thread) * 4;
        if (c >= cols) continue;
        load(held[i], x + c);
        UNROLL for (int k = 0; k < 4; ++k) held[i][k] = value(held[i][k], c + k);
      }
      syncBlock();
      UNROLL for (int i = 0; i < kEach / 4; ++i) {
        const int64_t c = first + (static_cast<int64_t>(i) * me.threads + me.thread) * 4;
        if (c < cols) store(to + c, held[i]);
      }
    }
    return;
  }
  for (int64_t first = 0; first < cols; first += static_cast<int64_t>(me.threads) * kEach) {
    float held[kEach] = {};
    UNROLL for (int i = 0; i < kEach; ++i) {
      const int64_t c = first + static_cast<int64_t>(i) * me.threads + me.thread;
      if (c < cols) held[i] = value(x[c], c);
    }
    syncBlock();
    UNROLL for (int i = 0; i < kEach; ++i) {
      const int64_t c = first + static_cast<int64_t>(i) * me.threads + me.thread;
      if (c < cols) put(to[c], held[i]);
    }
  }
}

}  // namespace

void CudaBackend::crossEntropy(const Tensor& logits, const int32_t* targets, const float* weights, float* loss, float* entropy,
                               uint8_t* correct, const Tensor& gradient) {
  requireF32(logits);
  const bool fours = inFours(logits) && (!gradient || inFours(gradient));
  withNumbers(gradient.dtype, [&]<typename T>() {
    launch(stream_, {static_cast<unsigned>(logits.rows)}, threadsFor(logits.cols), kThreads / 32 * sizeof(RowSums), lossRows<T>, view<float>(logits),
           targets, weights, loss, entropy, correct, view<T>(gradient), fours);
  });
}

}  // namespace sftlab::cuda
