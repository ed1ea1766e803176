// One token a row, a block a row. Nothing is sorted: the smallest weight that top-k or top-p keeps is found by halving the range
// of its bits, which for positive floats have the order of their values. What is kept is then walked through by id.

#include "cuda/cuda_backend_impl.h"
#include "cuda/philox.h"

namespace sftlab::cuda {

namespace {

struct Row {
  const float* x;
  int64_t cols;
  float best, temperature;
  DEVICE float weight(int64_t c) const { return expf((x[c] - best) / temperature); }
  DEVICE static uint32_t bits(float value) {
#ifdef __CUDA_ARCH__
    return __float_as_uint(value);
#else
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
  }
};

/// Count and sum of the weights that are at least `least` (by their bits).
struct Kept {
  double count, sum;
};
DEVICE Kept keptFrom(const Row& row, uint32_t least, double* shared) {
  const Self me = self();
  double count = 0, sum = 0;
  for (int64_t c = me.thread; c < row.cols; c += me.threads) {
    const float weight = row.weight(c);
    if (Row::bits(weight) < least) continue;
    count += 1;
    sum += weight;
  }
  return {blockSum(count, shared), blockSum(sum, shared)};
}

/// The largest bound for which `enough(kept)` holds.
template <typename Enough>
DEVICE uint32_t largestBound(const Row& row, double* shared, Enough enough) {
  uint32_t low = 0, high = 0x3F800000u;  // 0 to 1: the weight of the most likely
  while (low < high) {
    const uint32_t middle = low + (high - low + 1) / 2;
    if (enough(keptFrom(row, middle, shared))) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

KERNEL void sampleRows(View<float> logits, SampleOptions options, const RandomStream* streams, int32_t* tokens, float* entropy,
                       float* logProbability) {
  const Self me = self();
  double* const shared = sharedMemory<double>();
  auto* const floats = reinterpret_cast<float*>(shared);
  const int64_t index = me.blockX, cols = logits.cols;
  const float* const x = logits.row(index);
  float best = -INFINITY;
  for (int64_t c = me.thread; c < cols; c += me.threads) best = x[c] > best ? x[c] : best;
  best = blockMax(best, floats);
  float sum = 0, weighted = 0, lowest = static_cast<float>(cols - 1);  // exact: vocabularies are far below 2^24
  for (int64_t c = me.thread; c < cols; c += me.threads) {
    const float shifted = x[c] - best, e = expf(shifted);
    sum += e;
    weighted += e > 0.0f ? e * shifted : 0.0f;
    if (x[c] == best) lowest = fminf(lowest, static_cast<float>(c));
  }
  sum = blockSum(sum, floats);
  weighted = blockSum(weighted, floats);
  auto token = static_cast<int32_t>(-blockMax(-lowest, floats));

  if (options.temperature > 0 && sum < INFINITY) {
    const Row row{x, cols, best, options.temperature};
    // Of the weights at the bound itself only the first `ties` by id are kept.
    uint32_t bound = 0;
    double ties = static_cast<double>(cols), total = keptFrom(row, 0, shared).sum;
    if (options.topK > 0 && options.topK < cols) {
      bound = largestBound(row, shared, [&](const Kept& kept) { return kept.count >= options.topK; });
      const Kept above = keptFrom(row, bound + 1, shared), from = keptFrom(row, bound, shared);
      ties = options.topK - above.count;
      const double each = (from.sum - above.sum) / (from.count - above.count);
      total = above.sum + ties * each;
    }
    if (options.topP < 1) {
      const double share = static_cast<double>(options.topP) * total;
      const uint32_t held = largestBound(row, shared, [&](const Kept& kept) { return kept.sum >= share || kept.count == 0; });
      const uint32_t wanted = held > bound ? held : bound;
      const Kept above = keptFrom(row, wanted + 1, shared), from = keptFrom(row, wanted, shared);
      const double each = (from.sum - above.sum) / (from.count - above.count);
      double needed = ceil((share - above.sum) / each);
      if (needed < 1) needed = above.count > 0 ? 0 : 1;
      if (wanted == bound && needed > ties) needed = ties;
      if (wanted != bound && needed > from.count - above.count) needed = from.count - above.count;
      bound = wanted;
      ties = needed;
      total = above.sum + ties * each;
    }
    if (me.thread == 0) {
      const Four four = philox(streams[index], 0);
      double rest = unitDouble(four.numbers[0], four.numbers[1]) * total;
      for (int64_t c = 0; c < cols; ++c) {
        const float weight = row.weight(c);
        const uint32_t bits = Row::bits(weight);
        if (bits < bound || weight == 0) continue;
        if (bits == bound) {
          if (ties < 1) continue;
          ties -= 1;
        }
        token = static_cast<int32_t>(c);  // the last one takes what rounding leaves over
        rest -= weight;
        if (rest < 0) break;
      }
    }
  }
  if (me.thread != 0) return;
  const float logSum = logf(sum);
  tokens[index] = token;
  entropy[index] = logSum - weighted / sum;
  logProbability[index] = x[token] - best - logSum;
}

}  // namespace

void CudaBackend::sample(const Tensor& logits, const SampleOptions& options, const RandomStream* streams, int32_t* tokens,
                         float* entropy, float* logProbability) {
  requireF32(logits);
  launch(stream_, {static_cast<unsigned>(logits.rows)}, threadsFor(logits.cols), kThreads / 32 * sizeof(double), sampleRows, view<float>(logits), options,
         streams, tokens, entropy, logProbability);
}

}  // namespace sftlab::cuda
