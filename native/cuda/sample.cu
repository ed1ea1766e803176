// One token a row. Blocks find the sums of pieces of all rows; then a block a row joins them, which is all that the greedy choice takes.
// For one by chance nothing is sorted: the smallest logit that top-k or top-p keeps is found by halving the range of its bits, turned so
// that they have the order of the numbers.

#include <algorithm>

#include "cuda/cuda_backend_impl.h"
#include "cuda/philox.h"

namespace sftlab::cuda {

namespace {

/// What a row or a piece of it is found to be: the largest logit and the lowest place of it, the sums of e^(x - best) and of e^(x - best) (x - best).
struct Sums {
  float best, sum, weighted;
  int32_t place;
};

constexpr int kEach = 16;  ///< logits of a thread, in a piece
constexpr int64_t kPiece = int64_t{kEach} * kThreads;

KERNEL void sumPieces(Sums* pieces, View<float> logits, bool fours) {
  const Self me = self();
  auto* const shared = sharedMemory<Sums>();
  const float* const from = logits.row(me.blockY);
  const int64_t first = me.blockX * kPiece + me.thread * 4;
  float x[kEach / 4][4], best = -INFINITY;
  UNROLL for (int i = 0; i < kEach / 4; ++i) {
    const int64_t c = first + int64_t{i} * 4 * kThreads;
    if (fours && c < logits.cols) {
      load(x[i], from + c);
    } else {
      UNROLL for (int k = 0; k < 4; ++k) x[i][k] = c + k < logits.cols ? from[c + k] : -INFINITY;
    }
    UNROLL for (int k = 0; k < 4; ++k) best = x[i][k] > best ? x[i][k] : best;
  }
  best = blockMax(best, reinterpret_cast<float*>(shared));
  Sums sums{best, 0, 0, INT32_MAX};
  UNROLL for (int i = 0; i < kEach / 4; ++i) {
    UNROLL for (int k = 0; k < 4; ++k) {
      const float shifted = x[i][k] - best, e = expf(shifted);
      sums.sum += e;
      sums.weighted += e > 0.0f ? e * shifted : 0.0f;  // 0 * -infinity is 0 here
      const auto place = static_cast<int32_t>(first) + i * 4 * static_cast<int32_t>(kThreads) + k;
      if (x[i][k] == best && place < sums.place) sums.place = place;
    }
  }
  sums = {best, warpSum(sums.sum), warpSum(sums.weighted), warpLeast(sums.place)};
  syncBlock();
  if (me.lane() == 0) shared[me.warp()] = sums;
  syncBlock();
  if (me.thread != 0) return;
  for (unsigned warp = 1; warp < me.warps(); ++warp) {
    sums.sum += shared[warp].sum;
    sums.weighted += shared[warp].weighted;
    sums.place = shared[warp].place < sums.place ? shared[warp].place : sums.place;
  }
  pieces[me.blockY * static_cast<int64_t>(me.blocksX) + me.blockX] = sums;
}

/// The row's, in each lane of a warp that calls it.
DEVICE Sums join(const Sums* pieces, int32_t count) {
  Sums all{-INFINITY, 0, 0, INT32_MAX};
  const auto lane = static_cast<int32_t>(self().lane());
  for (int32_t i = lane; i < count; i += 32) all.best = fmaxf(all.best, pieces[i].best);
  all.best = warpMax(all.best);
  for (int32_t i = lane; i < count; i += 32) {
    const Sums piece = pieces[i];
    if (piece.best == all.best && piece.place < all.place) all.place = piece.place;
    if (piece.best == -INFINITY) continue;  // what has no weight at all has no sums either
    const float down = piece.best - all.best, scale = expf(down);
    all.sum += scale * piece.sum;
    all.weighted += scale > 0.0f ? scale * (piece.weighted + piece.sum * down) : 0.0f;
  }
  return {all.best, warpSum(all.sum), warpSum(all.weighted), warpLeast(all.place)};
}

/// The order of floats as one of whole numbers; NaN stands outside of it.
DEVICE uint32_t orderOf(float x) {
#ifdef __CUDA_ARCH__
  const uint32_t bits = __float_as_uint(x);
#else
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
#endif
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

struct Row {
  const float* x;
  int32_t cols;
  float best, temperature;
  bool fours;
  DEVICE double weight(float logit) const { return expf((logit - best) / temperature); }
};

/// Number and weight of the logits that are at least `least` in their order.
struct Kept {
  double count, sum;
};
DEVICE Kept keptFrom(const Row& row, uint32_t least, double* shared) {
  const Self me = self();
  double sum = 0;
  int32_t count = 0;
  const auto add = [&](float logit) {
    if (orderOf(logit) < least) return;
    count += 1;
    sum += row.weight(logit);
  };
  if (row.fours) {
    for (auto c = static_cast<int32_t>(me.thread) * 4; c < row.cols; c += static_cast<int32_t>(me.threads) * 4) {
      float four[4];
      load(four, row.x + c);
      UNROLL for (int k = 0; k < 4; ++k) add(four[k]);
    }
  } else {
    for (auto c = static_cast<int32_t>(me.thread); c < row.cols; c += static_cast<int32_t>(me.threads)) add(row.x[c]);
  }
  return {blockSum(static_cast<double>(count), shared), blockSum(sum, shared)};
}

/// The largest bound for which `enough(kept)` holds.
template <typename Enough>
DEVICE uint32_t largestBound(const Row& row, double* shared, Enough enough) {
  uint32_t low = 0, high = orderOf(row.best);
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

/// What may be drawn: all above the bound, and of those at it, each of the weight `each`, the first `ties` by id.
struct Cut {
  uint32_t bound = 0;
  double ties = 0, each = 0, total = 0;
};

DEVICE Cut cutOf(const Row& row, const SampleOptions& options, double* shared) {
  Cut cut;
  cut.total = keptFrom(row, 0, shared).sum;
  // Of those at the bound so many as `needed` says of what lies above it.
  const auto cutAt = [&](uint32_t bound, auto needed) {
    const Kept above = keptFrom(row, bound + 1, shared), from = keptFrom(row, bound, shared);
    const double there = from.count - above.count;
    cut.bound = bound;
    cut.each = there > 0 ? (from.sum - above.sum) / there : 0;
    cut.ties = fmin(needed(above), there);
    cut.total = above.sum + cut.ties * cut.each;
  };
  if (options.topK > 0 && options.topK < row.cols) {
    cutAt(largestBound(row, shared, [&](const Kept& kept) { return kept.count >= options.topK; }),
          [&](const Kept& above) { return options.topK - above.count; });
  }
  if (options.topP < 1) {
    const double share = static_cast<double>(options.topP) * cut.total, ties = cut.ties;
    const uint32_t before = cut.bound, held = largestBound(row, shared, [&](const Kept& kept) { return kept.sum >= share; });
    cutAt(held > before ? held : before, [&](const Kept& above) {
      const double most = held > before ? INFINITY : ties, wanted = ceil((share - above.sum) / cut.each);
      return fmin(wanted >= 1 ? wanted : above.count > 0 ? 0.0 : 1.0, most);
    });
  }
  return cut;
}

/// Some neighbours' part of what may be drawn: the weight of those above the bound, and how many are at it.
struct Share {
  double above = 0, at = 0;
  DEVICE void add(const Row& row, int32_t col, uint32_t bound) {
    const uint32_t order = orderOf(row.x[col]);
    if (order > bound) above += row.weight(row.x[col]);
    if (order == bound) at += 1;
  }
  DEVICE Share ofWarp() const { return {warpSum(above), warpSum(at)}; }
};

/// The share into which `rest` falls, counted from the first; `rest` and the ties are then what is left of them at its beginning. What
/// rounding leaves over is the last one's.
DEVICE int32_t find(const Share* shares, int32_t count, Cut& cut, double& rest) {
  int32_t found = 0;
  double ties = cut.ties, left = rest;
  for (int32_t i = 0; i < count; ++i) {
    const double here = fmin(ties, shares[i].at), weight = shares[i].above + here * cut.each;
    if (weight > 0) {
      found = i;
      cut.ties = ties;
      rest = left;
      if (left < weight) break;
    }
    ties -= here;
    left -= weight;
  }
  return found;
}

/// By stretches of as many numbers as there are threads, in the stretch by warps, in the warp by lanes.
DEVICE int32_t draw(const Row& row, Cut cut, double rest, Share* shared) {
  const Self me = self();
  const auto threads = static_cast<int32_t>(me.threads), stretches = (row.cols + threads - 1) / threads;
  for (auto stretch = static_cast<int32_t>(me.warp()); stretch < stretches; stretch += static_cast<int32_t>(me.warps())) {
    Share share;
    for (auto i = static_cast<int32_t>(me.lane()); i < threads; i += 32) {
      if (stretch * threads + i < row.cols) share.add(row, stretch * threads + i, cut.bound);
    }
    share = share.ofWarp();
    if (me.lane() == 0) shared[stretch] = share;
  }
  syncBlock();
  const int32_t first = find(shared, stretches, cut, rest) * threads, own = first + static_cast<int32_t>(me.thread);
  Share mine;
  if (own < row.cols) mine.add(row, own, cut.bound);
  const Share ofWarp = mine.ofWarp();
  syncBlock();
  if (me.lane() == 0) shared[me.warp()] = ofWarp;
  syncBlock();
  const int32_t warp = find(shared, static_cast<int32_t>(me.warps()), cut, rest);
  syncBlock();
  if (static_cast<int32_t>(me.warp()) == warp) shared[me.lane()] = mine;
  syncBlock();
  return first + warp * 32 + find(shared, 32, cut, rest);
}

KERNEL void chooseTokens(View<float> logits, const Sums* pieces, int32_t count, SampleOptions options, const RandomStream* streams, int32_t* tokens,
                         float* entropy, float* logProbability, bool fours) {
  const Self me = self();
  const int64_t index = me.blockX;
  const auto cols = static_cast<int32_t>(logits.cols);
  const float* const x = logits.row(index);
  const Sums sums = join(pieces + index * count, count);
  int32_t token = sums.place < cols ? sums.place : cols - 1;  // where all are NaN there is no place
  if (options.temperature > 0 && sums.sum > 0 && sums.sum < INFINITY) {
    double* const shared = sharedMemory<double>();
    const Row row{x, cols, sums.best, options.temperature, fours};
    const Cut cut = cutOf(row, options, shared);
    const Four four = philox(streams[index], 0);
    syncBlock();  // the last sum may still be read
    token = draw(row, cut, unitDouble(four.numbers[0], four.numbers[1]) * cut.total, reinterpret_cast<Share*>(shared));
  }
  if (me.thread != 0) return;
  const float logSum = logf(sums.sum);
  tokens[index] = token;
  entropy[index] = logSum - sums.weighted / sums.sum;
  logProbability[index] = x[token] - sums.best - logSum;
}

constexpr int64_t kMostThreads = 1024;

}  // namespace

void CudaBackend::sample(const Tensor& logits, const SampleOptions& options, const RandomStream* streams, int32_t* tokens,
                         float* entropy, float* logProbability) {
  requireF32(logits);
  const bool fours = inFours(logits);
  const unsigned pieces = blocksFor(logits.cols, kPiece), rows = static_cast<unsigned>(logits.rows);
  auto* const sums = scratch<Sums>(size_t{pieces} * rows);
  launch(stream_, {pieces, rows}, kThreads, kThreads / 32 * sizeof(Sums), sumPieces, sums, view<float>(logits), fours);
  const auto threads = options.temperature > 0 ? static_cast<unsigned>(std::min((logits.cols + 31) / 32 * 32, kMostThreads)) : 32u;
  launch(stream_, {rows}, threads, std::max(blocksFor(logits.cols, threads), 32u) * sizeof(Share), chooseTokens, view<float>(logits),
         static_cast<const Sums*>(sums), static_cast<int32_t>(pieces), options, streams, tokens, entropy, logProbability, fours);
}

}  // namespace sftlab::cuda
