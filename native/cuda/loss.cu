// Cross-entropy, entropy and token accuracy, a block a row of logits; see cpu/cross_entropy.cpp for the formulas.

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

namespace {

/// What a row is found to be: its largest logit, and the sums of e^(x - best) and of e^(x - best) (x - best).
struct RowSums {
  float best, sum, weighted;
};

DEVICE RowSums sumRow(const float* x, int64_t cols, float* shared) {
  const Self me = self();
  float best = -INFINITY;
  for (int64_t c = me.thread; c < cols; c += me.threads) best = x[c] > best ? x[c] : best;
  best = blockMax(best, shared);
  float sum = 0, weighted = 0;
  for (int64_t c = me.thread; c < cols; c += me.threads) {
    const float shifted = x[c] - best, e = expf(shifted);
    sum += e;
    weighted += e > 0.0f ? e * shifted : 0.0f;  // 0 * -infinity is 0 here
  }
  return {best, blockSum(sum, shared), blockSum(weighted, shared)};
}

constexpr int kEach = 8;  ///< numbers that a thread holds between reading and writing a stretch

template <typename T>
KERNEL void lossRows(View<float> logits, const int32_t* targets, const float* weights, float* loss, float* entropy, uint8_t* correct,
                     View<T> gradient) {
  const Self me = self();
  float* const shared = sharedMemory<float>();
  const int64_t row = me.blockX, cols = logits.cols;
  const int32_t target = targets[row];
  const float* const x = logits.row(row);
  const RowSums sums = sumRow(x, cols, shared);
  const float own = x[target], logSum = logf(sums.sum);
  float before = 0;  // the lowest id wins ties
  for (int64_t c = me.thread; c < target; c += me.threads) before += x[c] == sums.best ? 1.0f : 0.0f;
  before = blockSum(before, shared);
  if (me.thread == 0) {
    loss[row] = logSum - (own - sums.best);
    entropy[row] = logSum - sums.weighted / sums.sum;
    correct[row] = own == sums.best && before == 0;
  }
  if (!gradient.data) return;
  // The gradient may lie in the memory of the logits, in smaller numbers: a stretch is read by all before any of it is written.
  const float scale = weights[row] / sums.sum, weight = weights[row];
  T* const to = gradient.row(row);
  const int64_t stretch = static_cast<int64_t>(me.threads) * kEach;
  for (int64_t first = 0; first < cols; first += stretch) {
    float held[kEach];
    for (int i = 0; i < kEach; ++i) {
      const int64_t c = first + static_cast<int64_t>(i) * me.threads + me.thread;
      if (c < cols) held[i] = expf(x[c] - sums.best) * scale - (c == target ? weight : 0.0f);
    }
    syncBlock();
    for (int i = 0; i < kEach; ++i) {
      const int64_t c = first + static_cast<int64_t>(i) * me.threads + me.thread;
      if (c < cols) put(to[c], held[i]);
    }
    syncBlock();
  }
}

}  // namespace

void CudaBackend::crossEntropy(const Tensor& logits, const int32_t* targets, const float* weights, float* loss, float* entropy,
                               uint8_t* correct, const Tensor& gradient) {
  requireF32(logits);
  withNumbers(gradient.dtype, [&]<typename T>() {
    launch(stream_, {static_cast<unsigned>(logits.rows)}, threadsFor(logits.cols), kThreads / 32 * sizeof(float), lossRows<T>, view<float>(logits),
           targets, weights, loss, entropy, correct, view<T>(gradient));
  });
}

}  // namespace sftlab::cuda
