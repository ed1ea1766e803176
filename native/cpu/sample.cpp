// One token a row. Greedy takes the most likely (the lowest id wins ties); otherwise top-k and then top-p (Holtzman et al. 2020)
// cut the distribution at the given temperature, and one uniform number of the row's own stream chooses.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpu/cpu_backend_impl.h"
#include "cpu/philox.h"
#include "cpu/vector.h"

namespace sftlab {

namespace {

int32_t draw(const float* x, int64_t cols, float best, const SampleOptions& options, float uniform) {
  std::vector<float> weights(static_cast<size_t>(cols));
  for (size_t c = 0; c < weights.size(); ++c) weights[c] = std::exp((x[c] - best) / options.temperature);
  std::vector<int32_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  const auto likelier = [&](int32_t a, int32_t b) {
    return weights[static_cast<size_t>(a)] != weights[static_cast<size_t>(b)]
               ? weights[static_cast<size_t>(a)] > weights[static_cast<size_t>(b)]
               : a < b;
  };
  if (options.topK > 0 && options.topK < cols) {
    std::partial_sort(order.begin(), order.begin() + options.topK, order.end(), likelier);
    order.resize(static_cast<size_t>(options.topK));
  } else if (options.topP < 1) {
    std::sort(order.begin(), order.end(), likelier);
  }
  double total = 0;
  for (int32_t id : order) total += weights[static_cast<size_t>(id)];
  if (options.topP < 1) {  // the smallest set of the likeliest tokens that holds topP
    double held = 0;
    size_t count = 0;
    while (count < order.size() && held < options.topP * total) held += weights[static_cast<size_t>(order[count++])];
    order.resize(std::max<size_t>(count, 1));
    total = 0;
    for (int32_t id : order) total += weights[static_cast<size_t>(id)];
  }
  double rest = uniform * total;
  for (int32_t id : order) {
    rest -= weights[static_cast<size_t>(id)];
    if (rest < 0) return id;
  }
  return order.back();
}

}  // namespace

void CpuBackend::sample(const Tensor& logits, const SampleOptions& options, const RandomStream* streams,
                        int32_t* tokens, float* entropy, float* logProbability) {
  const int64_t cols = logits.cols;
#pragma omp parallel for num_threads(threadsFor(logits.size() * 8)) schedule(static)
  for (int64_t row = 0; row < logits.rows; ++row) {
    const float* const x = logits.slice(row, 1).f32();
    float best = x[0];
    int32_t token = 0;
    for (int64_t c = 1; c < cols; ++c) {
      if (x[c] > best) {
        best = x[c];
        token = static_cast<int32_t>(c);
      }
    }
    float sum = 0, weighted = 0;
#pragma omp simd reduction(+ : sum, weighted)
    for (int64_t c = 0; c < cols; ++c) {
      const float shifted = x[c] - best, e = fastExp(shifted);
      sum += e;
      weighted += e > 0.0f ? e * shifted : 0.0f;
    }
    if (options.temperature > 0 && std::isfinite(sum)) {
      token = draw(x, cols, best, options, unitFloat(philox(streams[row], 0)[0]));
    }
    const float logSum = std::log(sum);
    tokens[row] = token;
    entropy[row] = logSum - weighted / sum;
    logProbability[row] = x[token] - best - logSum;
  }
}

}  // namespace sftlab
