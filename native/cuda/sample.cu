// One token a row. Blocks find the sums of pieces of all rows; then a block a row joins them, which is all that the greedy choice takes.
//
// For one by chance nothing is sorted. The least likely logit that top-k or top-p keeps is found digit by digit, by radix selection: its
// bits, turned so that they have the order of the numbers, are three digits, and a walk over the row finds one of them by a histogram of it
// over the logits that have the digits found before. Weights are whole numbers there: their sums do not depend on the order, so that
// atomics may add them.

#include <algorithm>
#include <cfloat>

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

/// What at least `count` logits of the row reach: of each piece one.
DEVICE float leastBest(const Sums* pieces, int32_t count) {
  float least = INFINITY;
  for (auto i = static_cast<int32_t>(self().lane()); i < count; i += 32) least = fminf(least, pieces[i].best);
  return -warpMax(-least);
}

/// The larger a logit, the less its rank; 0 and -0 have the same. NaN stands outside of it.
DEVICE uint32_t rankOf(float logit) {
  const float x = logit + 0.0f;
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits & 0x80000000u ? bits : bits ^ 0x7FFFFFFFu;
}
DEVICE float logitOf(uint32_t rank) {
  const uint32_t bits = rank & 0x80000000u ? rank : rank ^ 0x7FFFFFFFu;
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

/// How many 2^-40 a weight is. Sums of 2^24 weights that are at most 1 fit into 64 bits. (Cards are slow to convert to 64 bits at once.)
DEVICE uint64_t fixed(float weight) {
  const float scaled = weight * 0x1p8f;
  const auto high = static_cast<uint32_t>(scaled);
  return uint64_t{high} << 32 | static_cast<uint32_t>((scaled - static_cast<float>(high)) * 0x1p32f);
}

struct Row {
  const float* x;
  int32_t cols;
  float best, scale;  ///< scale: log2(e) / temperature
  bool fours;
  /// Relative to the likeliest's.
  DEVICE float weight(float logit) const { return fastExp2((logit - best) * scale); }
  /// body(logit, id) for the part of [begin, end) that is the `mine`th of `all` threads'; begin is a multiple of 4.
  template <typename Body>
  DEVICE void walk(int32_t begin, int32_t end, unsigned mine, unsigned all, Body body) const {
    constexpr int ahead = 2;  // groups read before any is looked at
    const auto step = static_cast<int32_t>(all) * 4, whole = end - (end - begin) % 4;
    for (int32_t from = begin + static_cast<int32_t>(mine) * 4; from < whole; from += ahead * step) {
      float logits[ahead][4] = {};
      UNROLL for (int i = 0; i < ahead; ++i) {
        const int32_t id = from + i * step;
        if (id >= whole) continue;
        if (fours) {
          load(logits[i], x + id);
        } else {
          UNROLL for (int k = 0; k < 4; ++k) logits[i][k] = x[id + k];
        }
      }
      UNROLL for (int i = 0; i < ahead; ++i) {
        if (from + i * step >= whole) continue;
        UNROLL for (int k = 0; k < 4; ++k) body(logits[i][k], from + i * step + k);
      }
    }
    const int32_t left = whole + static_cast<int32_t>(mine);
    if (left < end) body(x[left], left);
  }
};

constexpr unsigned kBins = 2048;
constexpr unsigned kCopies = 4;    ///< of each bin, for every fourth lane: most logits have one of few first digits
constexpr unsigned kFinding = 34;  ///< numbers of shared memory that `find` takes, in front of the bins

/// Where `target` falls if all threads' amounts are laid one after another, and how far into that thread's.
struct Found {
  unsigned thread;
  uint64_t rest;
};
/// The target is what `targetOf(total)` says, but less than the total, which must not be 0.
template <typename Target>
DEVICE Found find(uint64_t amount, Target targetOf, uint64_t* shared) {
  const Self me = self();
  uint64_t end = amount;
  for (unsigned by = 1; by < 32; by *= 2) {
    const uint64_t before = shuffle(end, me.lane() - by);
    if (me.lane() >= by) end += before;
  }
  if (me.lane() == 31) shared[me.warp()] = end;
  syncBlock();
  uint64_t total = 0;
  for (unsigned warp = 0; warp < me.warps(); ++warp) {
    if (warp == me.warp()) end += total;
    total += shared[warp];
  }
  const uint64_t wanted = targetOf(total), target = wanted < total ? wanted : total - 1;
  if (target < end && target >= end - amount) {
    shared[32] = me.thread;
    shared[33] = target - (end - amount);
  }
  syncBlock();
  return {static_cast<unsigned>(shared[32]), shared[33]};
}

/// What is kept: the logits above the bound, and of the `at` equal to it the first `ties` by id.
struct Cut {
  float bound = -INFINITY;
  uint64_t ties = 0, at = 0;
};

/// Where amounts, added from the likeliest logit on, pass the target: not among logits below the `floor`, which have to be known not to
/// hold it. With `below` their weights count in the total.
template <typename Amount, typename Target>
DEVICE Cut cutWhere(const Row& row, float floor, bool below, Amount amountOf, Target targetOf, uint64_t* shared) {
  const Self me = self();
  uint64_t* const bins = shared + kFinding;
  const auto inBin = [&](unsigned bin) {
    uint64_t sum = 0;
    UNROLL for (unsigned copy = 0; copy < kCopies; ++copy) sum += bins[bin * kCopies + copy];
    return sum;
  };
  const unsigned binsEach = (kBins + me.threads - 1) / me.threads;
  uint32_t rank = 0, known = 0;  // the digits found so far, and where they are
  uint64_t rest = 0, here = 0;
  for (int digit = 0; digit < 3; ++digit) {
    const int shift = digit == 0 ? 21 : digit == 1 ? 10 : 0;
    const auto add = [&](unsigned bin, uint64_t amount) {
      if (amount > 0) addShared(bins + bin * kCopies + me.thread % kCopies, amount);
    };
    syncBlock();  // bins may still be read
    for (unsigned i = me.thread; i < kBins * kCopies; i += me.threads) bins[i] = 0;
    syncBlock();
    float small = 0;
    row.walk(0, row.cols, me.thread, me.threads, [&](float logit, int32_t) {
      if (logit < floor) {
        if (below && digit == 0) small += row.weight(logit);
      } else if (const uint32_t its = rankOf(logit); ((its ^ rank) & known) == 0) {
        add(its >> shift & (kBins - 1), amountOf(logit));
      }
    });
    add(kBins - 1, fixed(small));  // which else would have NaN alone
    syncBlock();
    uint64_t mine = 0;
    for (unsigned bin = me.thread * binsEach; bin < kBins && bin < (me.thread + 1) * binsEach; ++bin) mine += inBin(bin);
    const Found found = find(mine, [&](uint64_t total) { return digit == 0 ? targetOf(total) : rest; }, shared);
    rest = found.rest;
    unsigned bin = found.thread * binsEach;
    for (; (here = inBin(bin)) <= rest; ++bin) rest -= here;
    rank |= bin << shift;
    known = ~0u << shift;
  }
  const float bound = logitOf(rank);
  const uint64_t each = amountOf(bound);
  return {bound, rest / each + 1, here / each};
}

/// The id at which amounts, added by id, pass the target.
template <typename Amount, typename Target>
DEVICE int32_t idWhere(const Row& row, Amount amountOf, Target targetOf, uint64_t* shared) {
  const Self me = self();
  const auto until = [](int32_t end, int32_t most) { return end < most ? end : most; };
  // A range of ids a warp; of the right one a piece a thread; of the right one each id.
  const auto warps = static_cast<int32_t>(me.warps()), threads = static_cast<int32_t>(me.threads);
  const int32_t range = (row.cols + warps * 4 - 1) / (warps * 4) * 4, begin = static_cast<int32_t>(me.warp()) * range;
  uint64_t sum = 0;
  row.walk(begin, until(begin + range, row.cols), me.lane(), 32, [&](float logit, int32_t id) { sum += amountOf(logit, id); });
  sum = warpSum(sum);
  const Found ofWarp = find(me.lane() == 0 ? sum : 0, targetOf, shared);
  const int32_t first = static_cast<int32_t>(ofWarp.thread / 32) * range, last = until(first + range, row.cols);
  const int32_t piece = (range + threads - 1) / threads, own = first + static_cast<int32_t>(me.thread) * piece;
  sum = 0;
  for (int32_t id = own; id < until(own + piece, last); ++id) sum += amountOf(row.x[id], id);
  const Found ofThread = find(sum, [&](uint64_t) { return ofWarp.rest; }, shared);
  int32_t id = first + static_cast<int32_t>(ofThread.thread) * piece;
  uint64_t rest = ofThread.rest;
  for (uint64_t amount; (amount = amountOf(row.x[id], id)) <= rest; ++id) rest -= amount;
  return id;
}

/// At least as many logits as top-k keeps are `reached` or more.
DEVICE int32_t draw(const Row& row, const SampleOptions& options, float reached, double uniform, uint64_t* shared) {
  Cut cut;
  if (options.topK > 0 && options.topK < row.cols) {
    const auto last = static_cast<uint64_t>(options.topK - 1);
    cut = cutWhere(row, reached, false, [](float) -> uint64_t { return 1; }, [=](uint64_t) { return last; }, shared);
  }
  if (options.topP < 1) {
    // Of all logits, those that weigh less than (1 - p) / cols lie beyond top-p's share, since the likeliest weighs 1. Half of that is far
    // from what rounding does.
    const bool all = cut.at == 0;
    const float floor = all ? row.best + log2f((1 - options.topP) / 2 / static_cast<float>(row.cols)) / row.scale : cut.bound;
    const uint64_t cutOff = (cut.at - cut.ties) * fixed(row.weight(cut.bound));
    cut = cutWhere(row, floor, all, [&](float logit) { return fixed(row.weight(logit)); },
                   [&](uint64_t total) {
                     const double share = ceil(static_cast<double>(options.topP) * static_cast<double>(total - cutOff));
                     return share > 1 ? static_cast<uint64_t>(share) - 1 : 0;
                   },
                   shared);
  }
  int32_t lastTie = row.cols;
  if (cut.ties < cut.at) {
    lastTie = idWhere(row, [&](float logit, int32_t) -> uint64_t { return logit == cut.bound; },
                      [&](uint64_t) { return cut.ties - 1; }, shared);
  }
  return idWhere(row,
                 [&](float logit, int32_t id) {
                   return logit > cut.bound || (logit == cut.bound && id <= lastTie) ? fixed(row.weight(logit)) : 0;
                 },
                 [=](uint64_t total) { return static_cast<uint64_t>(uniform * static_cast<double>(total)); }, shared);
}

constexpr int64_t kMostThreads = 1024;

KERNEL BOUNDS(kMostThreads, 1) void chooseTokens(View<float> logits, const Sums* pieces, int32_t count, SampleOptions options,
                                                 const RandomStream* streams, int32_t* tokens, float* entropy, float* logProbability,
                                                 bool fours) {
  const Self me = self();
  const int64_t index = me.blockX;
  const auto cols = static_cast<int32_t>(logits.cols);
  const float* const x = logits.row(index);
  const Sums sums = join(pieces + index * count, count);
  int32_t token = sums.place < cols ? sums.place : cols - 1;  // where all are NaN there is no place
  if (options.temperature > 0 && sums.sum > 0 && sums.sum < INFINITY) {
    const Row row{x, cols, sums.best, fminf(kLog2e / options.temperature, FLT_MAX), fours};
    const Four four = philox(streams[index], 0);
    const float reached = options.topK <= count ? leastBest(pieces + index * count, count) : -INFINITY;
    token = draw(row, options, reached, unitDouble(four.numbers[0], four.numbers[1]), sharedMemory<uint64_t>());
  }
  if (me.thread != 0) return;
  const float logSum = logf(sums.sum);
  tokens[index] = token;
  entropy[index] = logSum - sums.weighted / sums.sum;
  logProbability[index] = x[token] - sums.best - logSum;
}

}  // namespace

void CudaBackend::sample(const Tensor& logits, const SampleOptions& options, const RandomStream* streams, int32_t* tokens,
                         float* entropy, float* logProbability) {
  requireF32(logits);
  const bool fours = inFours(logits);
  const unsigned pieces = blocksFor(logits.cols, kPiece), rows = static_cast<unsigned>(logits.rows);
  auto* const sums = scratch<Sums>(size_t{pieces} * rows);
  launch(stream_, {pieces, rows}, kThreads, kThreads / 32 * sizeof(Sums), sumPieces, sums, view<float>(logits), fours);
  const bool draws = options.temperature > 0;
  const auto threads = draws ? static_cast<unsigned>(std::min((logits.cols + 31) / 32 * 32, kMostThreads)) : 32u;
  launch(stream_, {rows}, threads, draws ? (kFinding + kBins * kCopies) * sizeof(uint64_t) : 0, chooseTokens, view<float>(logits),
         static_cast<const Sums*>(sums), static_cast<int32_t>(pieces), options, streams, tokens, entropy, logProbability, fours);
}

}  // namespace sftlab::cuda
