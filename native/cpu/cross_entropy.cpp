// Cross-entropy, entropy and token accuracy of a chunk of logits in one visit: a row is read for its maximum,
// overwritten by exponentials while their sum and the entropy's sum are taken, and scaled into the gradient, all while
// it is in the cache. With m the maximum and s the sum of exp(x - m): loss = log s - (x_target - m), entropy = log s -
// sum(exp(x - m) (x - m)) / s. A row that is not finite gives a loss that is not finite: the trainer's signal to stop.

#include <cmath>
#include <limits>

#include "cpu/cpu_backend_impl.h"
#include "cpu/vector.h"

namespace sftlab {

namespace {

struct RowSums {
  float sum = 0, weighted = 0;
};

/// Sums of e^(x - best) and of e^(x - best) (x - best). With `overwrite`, x becomes e^(x - best).
template <bool overwrite>
RowSums exponentials(float* x, int64_t cols, float best) {
  float sum = 0, weighted = 0;
#pragma omp simd reduction(+ : sum, weighted)
  for (int64_t c = 0; c < cols; ++c) {
    const float shifted = x[c] - best, e = fastExp(shifted);
    sum += e;
    weighted += e > 0.0f ? e * shifted : 0.0f;  // 0 * -infinity is 0 here
    if constexpr (overwrite) x[c] = e;
  }
  return {sum, weighted};
}

}  // namespace

void CpuBackend::crossEntropy(const Tensor& logits, const int32_t* targets, const float* weights, float* loss,
                              float* entropy, uint8_t* correct, const Tensor& gradient) {
  requireF32(logits);
  const int64_t cols = logits.cols;
  forRanges(logits.rows, cols * 12, [&](int64_t first, int64_t end, int) {
    for (int64_t row = first; row < end; ++row) {
      float* const x = at(logits, row);
      float best = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : best)
      for (int64_t c = 0; c < cols; ++c) best = x[c] > best ? x[c] : best;
      const float target = x[targets[row]];
      bool right = target == best;
      for (int64_t c = 0; right && c < targets[row]; ++c) right = x[c] < best;  // the lowest id wins ties
      const auto [sum, weighted] = gradient ? exponentials<true>(x, cols, best) : exponentials<false>(x, cols, best);
      const float logSum = std::log(sum);
      loss[row] = logSum - (target - best);
      entropy[row] = logSum - weighted / sum;
      correct[row] = right;
      if (!gradient) continue;
      const float scale = weights[row] / sum;
      x[targets[row]] -= sum;  // the softmax minus one at the target, before it is scaled
      withNumbers(gradient.dtype, [&]<typename T>() {
        T* const to = at<T>(gradient, row);
#pragma omp simd
        for (int64_t c = 0; c < cols; ++c) put(to[c], x[c] * scale);
      });
    }
  });
}

}  // namespace sftlab
