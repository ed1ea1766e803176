#include <limits>

#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

struct Case {
  int heads, kvHeads, headSize;
  bool causal;
  int window;
  std::vector<int> lengths;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  out << c.heads << "/" << c.kvHeads << " heads of " << c.headSize << (c.causal ? " causal" : " both ways")
      << " window " << c.window << " lengths";
  for (int length : c.lengths) out << " " << length;
  return out;
}

struct Inputs {
  Numbers q, k, v;
  std::vector<int32_t> offsets{0};
  AttentionShape shape;
  int64_t tokens = 0, width, kvWidth;
  mutable std::vector<Array<int32_t>> placed;

  explicit Inputs(const Case& c) : width(c.heads * c.headSize), kvWidth(c.kvHeads * c.headSize) {
    for (int length : c.lengths) offsets.push_back(static_cast<int32_t>(tokens += length));
    q = randomNumbers(tokens * width, 1);
    k = randomNumbers(tokens * kvWidth, 2);
    v = randomNumbers(tokens * kvWidth, 3);
    shape = {c.heads, c.kvHeads, c.headSize, static_cast<float>(1.5 / std::sqrt(c.headSize)), c.causal, c.window};
  }
  /// Stands as long as these inputs.
  Sequences sequences(const std::shared_ptr<Backend>& backend) const {
    placed.emplace_back(backend, offsets);
    Sequences result{offsets.data(), placed.back().get(), static_cast<int32_t>(offsets.size()) - 1, 0};
    for (size_t i = 1; i < offsets.size(); ++i) result.longest = std::max(result.longest, offsets[i] - offsets[i - 1]);
    return result;
  }
  bool sees(int query, int key) const {
    return !shape.causal || (key <= query && (shape.window == 0 || key > query - shape.window));
  }
};

/// Softmax attention as it is written in books; lse too if asked for.
Numbers reference(const Inputs& in, Numbers* lse = nullptr) {
  const int size = in.shape.headSize, group = in.shape.heads / in.shape.kvHeads;
  Numbers out(in.q.size());
  if (lse) lse->assign(static_cast<size_t>(in.tokens * in.shape.heads), 0);
  for (size_t s = 0; s + 1 < in.offsets.size(); ++s) {
    const int begin = in.offsets[s], length = in.offsets[s + 1] - begin;
    for (int head = 0; head < in.shape.heads; ++head) {
      const double* const ks = in.k.data() + begin * in.kvWidth + head / group * size;
      const double* const vs = in.v.data() + begin * in.kvWidth + head / group * size;
      for (int i = 0; i < length; ++i) {
        const double* const query = in.q.data() + (begin + i) * in.width + head * size;
        double* const to = out.data() + (begin + i) * in.width + head * size;
        Numbers scores(static_cast<size_t>(length), -std::numeric_limits<double>::infinity());
        double best = -std::numeric_limits<double>::infinity(), total = 0;
        for (int j = 0; j < length; ++j) {
          if (!in.sees(i, j)) continue;
          double score = 0;
          for (int c = 0; c < size; ++c) score += query[c] * ks[j * in.kvWidth + c];
          scores[static_cast<size_t>(j)] = score * in.shape.scale;
          best = std::max(best, score * in.shape.scale);
        }
        for (double& score : scores) total += score = std::exp(score - best);
        for (int j = 0; j < length; ++j) {
          for (int c = 0; c < size; ++c) to[c] += scores[static_cast<size_t>(j)] / total * vs[j * in.kvWidth + c];
        }
        if (lse) (*lse)[static_cast<size_t>((begin + i) * in.shape.heads + head)] = best + std::log(total);
      }
    }
  }
  return out;
}

class Attention : public CpuTest, public ::testing::WithParamInterface<Case> {};

TEST_P(Attention, ForwardAndGradient) {
  Inputs in(GetParam());
  const auto sequences = in.sequences(backend);
  const Device q = device(in.tokens, in.width, in.q), k = device(in.tokens, in.kvWidth, in.k),
               v = device(in.tokens, in.kvWidth, in.v);
  const Device out = device(in.tokens, in.width, Numbers(in.q.size(), std::nan(""))),
               lse = device(in.tokens, in.shape.heads);
  backend->attention(*out, *lse, *q, *k, *v, in.shape, sequences, {});
  Numbers sums;
  const auto expected = reference(in, &sums);
  EXPECT_LT(relativeError(out.get(), expected), 2e-6);
  EXPECT_LT(relativeError(lse.get(), sums), 2e-6);

  const auto d = randomNumbers(in.tokens * in.width, 4);
  const Device dout = device(in.tokens, in.width, d);
  // All three are overwritten, whatever was there.
  const Device dq = device(in.tokens, in.width, Numbers(in.q.size(), std::nan("")));
  const Device dk = device(in.tokens, in.kvWidth, Numbers(in.k.size(), std::nan("")));
  const Device dv = device(in.tokens, in.kvWidth, Numbers(in.k.size(), std::nan("")));
  backend->attentionBackward(*dq, *dk, *dv, *dout, *out, *lse, *q, *k, *v, in.shape, sequences, {});
  const auto loss = [&] { return inner(reference(in), d); };
  checkGradient("q", loss, in.q, dq.get(), 5e-5, 24);
  checkGradient("k", loss, in.k, dk.get(), 5e-5, 24);
  checkGradient("v", loss, in.v, dv.get(), 5e-5, 24);
}

TEST_P(Attention, BitsDependNeitherOnThreadsNorOnTheRun) {
  const Inputs in(GetParam());
  const auto d = randomNumbers(in.tokens * in.width, 4);
  std::vector<std::vector<float>> first;
  for (const int threads : kThreadCounts) {
    const auto other = makeBackend(threads);
    const Device q(other, in.tokens, in.width, in.q), k(other, in.tokens, in.kvWidth, in.k),
        v(other, in.tokens, in.kvWidth, in.v);
    const Device out(other, in.tokens, in.width), lse(other, in.tokens, in.shape.heads),
        dout(other, in.tokens, in.width, d);
    const Device dq(other, in.tokens, in.width), dk(other, in.tokens, in.kvWidth), dv(other, in.tokens, in.kvWidth);
    const auto sequences = in.sequences(other);
    other->attention(*out, *lse, *q, *k, *v, in.shape, sequences, {});
    other->attentionBackward(*dq, *dk, *dv, *dout, *out, *lse, *q, *k, *v, in.shape, sequences, {});
    const std::vector<std::vector<float>> results{out.floats(), lse.floats(), dq.floats(), dk.floats(), dv.floats()};
    if (first.empty()) first = results;
    for (size_t i = 0; i < results.size(); ++i)
      EXPECT_TRUE(sameBits(results[i], first[i])) << threads << " threads, result " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         ::testing::Values(Case{1, 1, 4, true, 0, {1}}, Case{2, 2, 8, true, 0, {5, 1, 3}},
                                           Case{4, 2, 16, true, 0, {17, 1, 40}}, Case{3, 1, 20, true, 0, {64, 65}},
                                           Case{2, 1, 32, true, 0, {63, 1, 130}}, Case{7, 1, 64, true, 0, {16, 48}},
                                           Case{2, 2, 32, false, 0, {1, 33, 70}}, Case{6, 3, 12, false, 0, {129}},
                                           Case{4, 2, 16, true, 1, {20, 1}}, Case{4, 4, 16, true, 3, {70, 2}},
                                           Case{2, 1, 24, true, 20, {150}}, Case{2, 1, 16, true, 64, {200, 1, 64}},
                                           Case{2, 2, 16, true, 100, {193}}, Case{2, 1, 16, true, 500, {90}},
                                           Case{1, 1, 128, true, 0, {260}}, Case{3, 3, 7, false, 0, {9, 66}}));

class AttentionEdges : public CpuTest {};

TEST_F(AttentionEdges, LargeScoresStayFinite) {
  Inputs in(Case{2, 1, 16, true, 0, {100}});
  for (double& value : in.q) value *= 100;
  const Device q = device(100, 32, in.q), k = device(100, 16, in.k), v = device(100, 16, in.v), out = device(100, 32),
               lse = device(100, 2);
  backend->attention(*out, *lse, *q, *k, *v, in.shape, in.sequences(backend), {});
  EXPECT_LT(relativeError(out.get(), reference(in)),
            1e-4);  // scores of a thousand, of which float keeps four digits behind the point
}

TEST_F(AttentionEdges, NotANumberComesThrough) {
  Inputs in(Case{1, 1, 8, true, 0, {10}});
  in.k[5 * 8] = std::nan("");
  const Device q = device(10, 8, in.q), k = device(10, 8, in.k), v = device(10, 8, in.v), out = device(10, 8),
               lse = device(10, 1);
  backend->attention(*out, *lse, *q, *k, *v, in.shape, in.sequences(backend), {});
  const auto sums = lse.get();
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(std::isfinite(sums[i]), i < 5) << i;
}

TEST_F(AttentionEdges, QueriesKeysAndValuesMayShareRows) {
  const Inputs in(Case{2, 1, 16, true, 0, {30, 80}});
  Numbers fused;
  for (size_t r = 0; r < 110; ++r) {
    fused.insert(fused.end(), in.q.begin() + r * 32, in.q.begin() + (r + 1) * 32);
    fused.insert(fused.end(), in.k.begin() + r * 16, in.k.begin() + (r + 1) * 16);
    fused.insert(fused.end(), in.v.begin() + r * 16, in.v.begin() + (r + 1) * 16);
  }
  const auto d = randomNumbers(110 * 32, 4);
  const Device qkv = device(110, 64, fused), out = device(110, 32), lse = device(110, 2), dout = device(110, 32, d),
               grad = device(110, 64);
  const auto part = [](const Device& x, int64_t first, int64_t count) { return (*x).columns(first, count); };
  backend->attention(*out, *lse, part(qkv, 0, 32), part(qkv, 32, 16), part(qkv, 48, 16), in.shape, in.sequences(backend), {});
  EXPECT_LT(relativeError(out.get(), reference(in)), 2e-6);
  backend->attentionBackward(part(grad, 0, 32), part(grad, 32, 16), part(grad, 48, 16), *dout, *out, *lse,
                             part(qkv, 0, 32), part(qkv, 32, 16), part(qkv, 48, 16), in.shape, in.sequences(backend), {});
  const Device q = device(110, 32, in.q), k = device(110, 16, in.k), v = device(110, 16, in.v);
  const Device dq = device(110, 32), dk = device(110, 16), dv = device(110, 16);
  backend->attentionBackward(*dq, *dk, *dv, *dout, *out, *lse, *q, *k, *v, in.shape, in.sequences(backend), {});
  const auto all = grad.get(), one = dq.get(), two = dk.get(), three = dv.get();
  for (size_t r = 0; r < 110; ++r) {
    for (size_t c = 0; c < 64; ++c) {
      const double want = c < 32 ? one[r * 32 + c] : c < 48 ? two[r * 16 + c - 32] : three[r * 16 + c - 48];
      ASSERT_EQ(all[r * 64 + c], want);
    }
  }
}

TEST_F(AttentionEdges, TheCacheGivesWhatTheWholeSequenceGives) {
  for (const int window : {0, 4}) {
    const Inputs in(Case{6, 2, 20, true, window, {13, 1, 30}});
    const int capacity = 32, slots = 4;
    const std::vector<int32_t> slotOf{2, 0, 3};
    const Device keys = device(slots * capacity, 40, Numbers(slots * capacity * 40, std::nan("")));
    const Device values = device(slots * capacity, 40, Numbers(slots * capacity * 40, std::nan("")));
    const KeyValueCache cache{*keys, *values, capacity};
    std::vector<int32_t> slot, position;
    for (size_t s = 0; s < 3; ++s) {
      for (int i = 0; i < in.offsets[s + 1] - in.offsets[s]; ++i) {
        slot.push_back(slotOf[s]);
        position.push_back(i);
      }
    }
    const Device q = device(in.tokens, 120, in.q), k = device(in.tokens, 40, in.k), v = device(in.tokens, 40, in.v),
                 out = device(in.tokens, 120);
    const Array inSlots(backend, slot), atPositions(backend, position);
    backend->cacheStore(cache, *k, *v, inSlots.get(), atPositions.get());
    backend->attentionCached(*out, *q, cache, inSlots.get(), atPositions.get(), in.shape);
    EXPECT_LT(relativeError(out.get(), reference(in)), 2e-6) << window;
  }
}

}  // namespace
}  // namespace sftlab::test
