// One token a row. Greedy takes the most likely (the lowest id wins ties); otherwise top-k and then top-p (Holtzman et
// al. 2020) cut the distribution at the given temperature, and one uniform number of the row's own stream chooses.
//
// Tokens are put in order only as far as needed: the likeliest few hold top-p's share of most distributions, so a few
// are selected and sorted, and eight times as many when they do not suffice.

#include <cmath>
#include <limits>
#include <numeric>

#include "cpu/cpu_backend_impl.h"
#include "cpu/philox.h"
#include "cpu/vector.h"

namespace sftlab {

namespace {

/// The likeliest `count` of `size` ids come first, in order. Equal weights go by id, so the order is a total one.
void sortLikeliest(int32_t* ids, int64_t size, int64_t count, const float* weights) {
  const auto likelier = [=](int32_t a, int32_t b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;
  };
  if (count < size) std::nth_element(ids, ids + count - 1, ids + size, likelier);
  std::sort(ids, ids + count, likelier);
}

/// Draws by `uniform` in [0, 1) among the `cols` finite logits x, whose largest is `best`. scratch: 2 * cols numbers.
int32_t draw(const float* x, int64_t cols, float best, const SampleOptions& options, double uniform, float* scratch) {
  float* const weights = scratch;
  auto* const ids = reinterpret_cast<int32_t*>(scratch + cols);
  const float temperature = options.temperature;  // divided by, since its inverse may overflow
#pragma omp simd
  for (int64_t c = 0; c < cols; ++c) weights[c] = fastExp((x[c] - best) / temperature);
  std::iota(ids, ids + cols, 0);
  const auto sum = [&](int64_t count) {
    double total = 0;
    for (int64_t i = 0; i < count; ++i) total += weights[ids[i]];
    return total;
  };

  int64_t kept = cols;
  if (options.topK > 0 && options.topK < cols) {
    kept = options.topK;
    sortLikeliest(ids, cols, kept, weights);
  }
  double total = sum(kept);
  if (options.topP < 1) {  // the smallest set of the likeliest tokens that holds topP of the rest
    const double share = static_cast<double>(options.topP) * total;
    int64_t count = 0;
    double held = 0;
    for (int64_t sorted = std::min<int64_t>(kept, 64);; sorted = std::min(kept, sorted * 8)) {
      sortLikeliest(ids, kept, sorted, weights);
      held = 0;
      for (count = 0; count < sorted && (count == 0 || held < share); ++count) held += weights[ids[count]];
      if (held >= share || sorted == kept) break;
    }
    kept = count;
    total = held;
  }
  double rest = uniform * total;
  int32_t chosen = ids[0];
  for (int64_t i = 0; i < kept; ++i) {
    if (weights[ids[i]] == 0) continue;
    chosen = ids[i];  // the last one takes what rounding leaves over
    rest -= weights[ids[i]];
    if (rest < 0) break;
  }
  return chosen;
}

}  // namespace

void CpuBackend::sample(const Tensor& logits, const SampleOptions& options, const RandomStream* streams,
                        int32_t* tokens, float* entropy, float* logProbability) {
  requireF32(logits);
  const int64_t cols = logits.cols;
  forRanges(logits.rows, cols * 16, [&](int64_t first, int64_t end, int thread) {
    for (int64_t row = first; row < end; ++row) {
      const float* const x = at(logits, row);
      float best = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : best)
      for (int64_t c = 0; c < cols; ++c) best = x[c] > best ? x[c] : best;
      int32_t token = 0;
      while (token < cols - 1 && x[token] != best) ++token;
      float sum = 0, weighted = 0;
#pragma omp simd reduction(+ : sum, weighted)
      for (int64_t c = 0; c < cols; ++c) {
        const float shifted = x[c] - best, e = fastExp(shifted);
        sum += e;
        weighted += e > 0.0f ? e * shifted : 0.0f;
      }
      if (options.temperature > 0 && std::isfinite(sum)) {
        const auto bits = philox(streams[row], 0);
        float* const memory = scratch(thread).floats(static_cast<size_t>(2 * cols));
        token = draw(x, cols, best, options, unitDouble(bits[0], bits[1]), memory);
      }
      const float logSum = std::log(sum);
      tokens[row] = token;
      entropy[row] = logSum - weighted / sum;
      logProbability[row] = x[token] - best - logSum;
    }
  });
}

}  // namespace sftlab
