// Operations on bf16 tensors against the same operations in f32 on the numbers that bf16 holds. What they differ by is the rounding
// of results (2^-9 of each) and, in attention, of probabilities.

#include <algorithm>

#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

class Bf16 : public CpuTest {
 protected:
  void SetUp() override {
    if (!backend->multiplies(DType::bf16)) GTEST_SKIP() << "this processor has no bf16 products";
  }

  /// The same memory as rows of bf16 numbers (the upper half of it is unused).
  static Tensor half(const Device& memory) { return {(*memory).data, (*memory).rows, (*memory).cols, (*memory).cols, DType::bf16}; }

  /// Random numbers that bf16 holds exactly, as f32 and as bf16.
  struct Twin {
    Device exact, memory;
    Tensor bf16;
  };
  Twin twin(int64_t rows, int64_t cols, unsigned seed, double deviation = 1) {
    Twin twin{device(rows, cols, randomNumbers(rows * cols, seed, deviation)), device(rows, cols), {}};
    twin.bf16 = half(twin.memory);
    backend->copy(twin.bf16, *twin.exact);
    backend->copy(*twin.exact, twin.bf16);
    return twin;
  }
  /// A tensor for results.
  Twin blank(int64_t rows, int64_t cols) {
    Twin twin{device(rows, cols), device(rows, cols), {}};
    twin.bf16 = half(twin.memory);
    return twin;
  }
  void expectClose(const Twin& result, double bound = 3e-3) { EXPECT_LT(relativeError(values(result.bf16), result.exact.get()), bound); }
};

TEST_F(Bf16, ProductsOfEveryKindAndTransposition) {
  struct Shape {
    int64_t rows, cols, inner;
  };
  unsigned seed = 1;
  for (const Shape p : {Shape{1, 1, 1}, {1, 7, 3}, {3, 1, 17}, {1, 300, 64}, {5, 33, 9}, {97, 130, 61}, {200, 48, 256}, {520, 131, 33},
                        {33, 1100, 20}, {64, 64, 700}, {13, 65, 5300}}) {
    for (int kind = 0; kind < 16; ++kind) {
      const bool ta = kind & 1, tb = kind & 2, add = kind & 4, toBf16 = kind & 8;
      SCOPED_TRACE(::testing::Message() << p.rows << "x" << p.cols << "x" << p.inner << " kind " << kind);
      const Twin a = twin(ta ? p.inner : p.rows, ta ? p.rows : p.inner, ++seed);
      const Twin b = twin(tb ? p.cols : p.inner, tb ? p.inner : p.cols, ++seed), before = twin(p.rows, p.cols, ++seed);
      const auto multiply = [&](const Tensor& out, const Tensor& left, const Tensor& right) {
        backend->matmul(out, left, ta ? Transpose::yes : Transpose::no, right, tb ? Transpose::yes : Transpose::no, 0.5, add ? 1 : 0);
      };
      const Twin out = blank(p.rows, p.cols);
      backend->copy(*out.exact, *before.exact);
      multiply(*out.exact, *a.exact, *b.exact);
      // Each side may be either kind: what is not bf16 yet is rounded on the way.
      for (const bool leftIsBf16 : {true, false}) {
        const Tensor& left = leftIsBf16 ? a.bf16 : *a.exact;
        const Tensor& right = leftIsBf16 && toBf16 ? *b.exact : b.bf16;
        if (toBf16) {
          backend->copy(out.bf16, *before.exact);
          multiply(out.bf16, left, right);
          expectClose(out);
        } else {
          const Device wide = device(p.rows, p.cols);
          backend->copy(*wide, *before.exact);
          multiply(*wide, left, right);
          EXPECT_LT(relativeError(wide.get(), out.exact.get()), 2e-6);
        }
      }
    }
  }
}

TEST_F(Bf16, ProductsTakeColumnsOfWiderTensors) {
  const Twin a = twin(130, 100, 1), b = twin(70, 40, 2), out = blank(130, 90);
  backend->fill(*out.exact, 7);
  backend->copy(out.bf16, *out.exact);
  backend->matmul((*out.exact).columns(10, 70), (*a.exact).columns(50, 40), Transpose::no, *b.exact, Transpose::yes, 1, 0);
  backend->matmul(out.bf16.columns(10, 70), a.bf16.columns(50, 40), Transpose::no, b.bf16, Transpose::yes, 1, 0);
  expectClose(out);
}

TEST_F(Bf16, BitsOfProductsDependNeitherOnThreadsNorOnHowManyRowsThereAre) {
  const Twin a = twin(300, 190, 1), b = twin(500, 190, 2);
  std::vector<float> first;
  for (const int threads : kThreadCounts) {
    const auto other = makeBackend(threads);
    const Device out(other, 300, 500), few(other, 7, 500);
    other->matmul(*out, a.bf16, Transpose::no, b.bf16, Transpose::yes, 1, 0);
    if (first.empty()) first = out.floats();
    EXPECT_TRUE(sameBits(out.floats(), first)) << threads;
    other->matmul(*few, a.bf16.slice(100, 7), Transpose::no, b.bf16, Transpose::yes, 1, 0);
    EXPECT_TRUE(sameBits(few.floats(), {first.begin() + 100 * 500, first.begin() + 107 * 500})) << threads;
  }
}

/// 257 lies between two numbers of bf16: with the bias added to what is rounded already, 1 would not come out.
TEST_F(Bf16, AProductAndItsBiasAreRoundedOnce) {
  for (const int64_t inner : {2, 6001}) {  // the longer one in parts
    Numbers x(static_cast<size_t>(3 * inner), 0.0), w(static_cast<size_t>(70 * inner), 0.0);
    for (size_t row = 0; row < 3; ++row) x[row * static_cast<size_t>(inner)] = 256, x[(row + 1) * static_cast<size_t>(inner) - 1] = 1;
    for (size_t row = 0; row < 70; ++row) w[row * static_cast<size_t>(inner)] = 1, w[(row + 1) * static_cast<size_t>(inner) - 1] = 1;
    const Device dx = device(3, inner, x), dw = device(70, inner, w), bias = device(1, 70, Numbers(70, -256));
    const Twin out = blank(3, 70);
    backend->matmulAdd(out.bf16, {}, *bias, *dx, Transpose::no, *dw, Transpose::yes);
    EXPECT_EQ(values(out.bf16), Numbers(210, 1.0)) << inner;
  }
}

TEST_F(Bf16, Elementwise) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 1}, {3, 17}, {40, 334}}) {
    SCOPED_TRACE(::testing::Message() << rows << "x" << cols);
    const Twin gate = twin(rows, cols, 1, 3), up = twin(rows, cols, 2), d = twin(rows, cols, 3);
    const Twin out = blank(rows, cols), dgate = blank(rows, cols), dup = blank(rows, cols);
    backend->swiglu(*out.exact, *gate.exact, *up.exact);
    backend->swiglu(out.bf16, gate.bf16, up.bf16);
    expectClose(out);
    backend->swigluBackward(*dgate.exact, *dup.exact, {}, *d.exact, *gate.exact, *up.exact);
    const Twin act = twin(rows, cols, 3);
    backend->swigluBackward(gate.bf16, up.bf16, act.bf16, act.bf16, gate.bf16, up.bf16);
    EXPECT_LT(relativeError(values(gate.bf16), dgate.exact.get()), 3e-3);
    EXPECT_LT(relativeError(values(up.bf16), dup.exact.get()), 3e-3);
    EXPECT_LT(relativeError(values(act.bf16), out.exact.get()), 3e-3);

    const Twin bias = twin(1, cols, 4), sums = blank(1, cols);
    backend->zero(*sums.exact);
    backend->zero(*sums.memory);
    backend->addBiasBackward(*sums.exact, *d.exact);
    backend->addBiasBackward(*sums.memory, d.bf16);
    EXPECT_LT(relativeError(sums.memory.get(), sums.exact.get()), 1e-6);
    backend->addBias(*d.exact, *bias.exact);
    backend->addBias(d.bf16, *bias.exact);
    expectClose(d);
    backend->dropout(*out.exact, *up.exact, 0.25f, {7, 9});
    const Twin once = twin(rows, cols, 2);
    backend->dropout(out.bf16, once.bf16, 0.25f, {7, 9});
    expectClose(out);
  }
}

TEST_F(Bf16, NormsRotationsAndRows) {
  const int64_t rows = 37, heads = 3, size = 24, cols = heads * size;
  const Twin x = twin(rows, cols, 1), d = twin(rows, cols, 2), weight = twin(1, cols, 3), out = blank(rows, cols), dx = blank(rows, cols);
  const Device rstd = device(rows, 1), dweight = device(1, cols), dweightBf16 = device(1, cols), narrow = device(rows, 1);
  backend->rmsNorm(*out.exact, *rstd, *x.exact, *weight.exact, 1e-6f);
  backend->rmsNorm(out.bf16, *narrow, *x.exact, *weight.exact, 1e-6f);
  expectClose(out);
  EXPECT_TRUE(sameBits(rstd.floats(), narrow.floats()));
  backend->rmsNorm(out.bf16, *narrow, x.bf16, *weight.exact, 1e-6f);
  expectClose(out);
  for (const Tensor& clear : {*dx.exact, *dx.memory, *dweight, *dweightBf16}) backend->zero(clear);
  backend->rmsNormBackward(*dx.exact, *dweight, *d.exact, *x.exact, *rstd, *weight.exact);
  backend->rmsNormBackward(dx.bf16, *dweightBf16, d.bf16, x.bf16, *rstd, *weight.exact);
  expectClose(dx);
  EXPECT_LT(relativeError(dweightBf16.get(), dweight.get()), 1e-5);

  const Device table = device(rows, size, randomNumbers(rows * size, 4));
  std::vector<int32_t> positions;
  for (int32_t i = 0; i < rows; ++i) positions.push_back(i * 5 % static_cast<int32_t>(rows));
  const Array places(backend, positions);
  backend->gatherRows(*out.exact, *x.exact, places.get());
  backend->gatherRows(out.bf16, x.bf16, places.get());
  EXPECT_LT(relativeError(values(out.bf16), out.exact.get()), 1e-9);
  for (const bool inverse : {false, true}) {
    backend->rope(*x.exact, *table, places.get(), size, inverse);
    backend->rope(x.bf16, *table, places.get(), size, inverse);
    expectClose(x, 5e-3);
  }
}

/// The longer rows are more than any kernel holds: what is written must not come before what is still to be read.
TEST_F(Bf16, GradientOfTheLossStandsInItsLogits) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{9, 130}, {2, 151'936}}) {
    const auto x = randomNumbers(rows * cols, 1, 3);
    const Device exact = device(rows, cols, x), logits = device(rows, cols, x);
    std::vector<int32_t> targets;
    std::vector<float> weights;
    for (int32_t r = 0; r < rows; ++r) {
      targets.push_back(static_cast<int32_t>(cols) - 1 - r * 37 % 130);
      weights.push_back(0.25f * static_cast<float>((r + 1) % 5));
    }
    const Tensor gradient{(*logits).data, rows, cols, 2 * cols, DType::bf16};
    const Array wanted(backend, targets);
    const Array correct(backend, std::vector<uint8_t>(targets.size()));
    const Array weight(backend, weights), loss(backend, weights), entropy(backend, weights), other(backend, weights);
    backend->crossEntropy(*exact, wanted.get(), weight.get(), loss.get(), entropy.get(), correct.get(), *exact);
    backend->crossEntropy(*logits, wanted.get(), weight.get(), other.get(), entropy.get(), correct.get(), gradient);
    EXPECT_TRUE(sameBits(loss.values(), other.values()));
    const Numbers actual = values(gradient), expected = exact.get();
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(actual[i], expected[i], std::abs(expected[i]) * 0x1p-8) << i << " of " << cols;
  }
}

struct Case {
  int heads, kvHeads, headSize;
  bool causal;
  int window;
  std::vector<int> lengths;
};

class AttentionParts : public Bf16, public ::testing::WithParamInterface<Case> {
 protected:
  static Queries every(int step, const Case& c, std::vector<int32_t>& rows, std::vector<int32_t>& offsets, std::vector<int32_t>& positions) {
    Queries queries;
    offsets = {0};
    int32_t start = 0;
    for (const int length : c.lengths) {
      for (int32_t i = 0; i < length; ++i) {
        if ((start + i) % step != step / 2) continue;
        rows.push_back(start + i);
        positions.push_back(i);
      }
      queries.most = std::max(queries.most, static_cast<int32_t>(rows.size()) - offsets.back());
      offsets.push_back(static_cast<int32_t>(rows.size()));
      start += length;
    }
    queries.host = offsets.data();
    return queries;
  }
};

/// bf16 against f32, of all rows and of some; and some rows in f32 against the same rows of all.
TEST_P(AttentionParts, OfAllRowsAndOfSome) {
  const Case& c = GetParam();
  std::vector<int32_t> offsets{0};
  int32_t longest = 0;
  for (const int length : c.lengths) {
    offsets.push_back(offsets.back() + length);
    longest = std::max(longest, length);
  }
  const int64_t n = offsets.back(), width = c.heads * c.headSize, kvWidth = c.kvHeads * c.headSize;
  const AttentionShape shape{c.heads, c.kvHeads, c.headSize, static_cast<float>(1.5 / std::sqrt(c.headSize)), c.causal, c.window};
  const Array starts(backend, offsets);
  const Sequences sequences{offsets.data(), starts.get(), static_cast<int32_t>(offsets.size()) - 1, longest};
  const Twin q = twin(n, width, 1), k = twin(n, kvWidth, 2), v = twin(n, kvWidth, 3), d = twin(n, width, 4);

  const auto run = [&](const Tensor& queries, const Tensor& gradient, const Queries& asked, bool bf16, std::vector<Numbers>& results) {
    const int64_t m = queries.rows;
    const Twin out = blank(m, width), dq = blank(m, width), dk = blank(n, kvWidth), dv = blank(n, kvWidth);
    const Device lse = device(m, c.heads);
    const auto pick = [&](const Twin& twin) { return bf16 ? twin.bf16 : *twin.exact; };
    backend->attention(pick(out), *lse, queries, pick(k), pick(v), shape, sequences, asked);
    backend->attentionBackward(pick(dq), pick(dk), pick(dv), gradient, pick(out), *lse, queries, pick(k), pick(v), shape, sequences, asked);
    for (const Twin* result : {&out, &dq, &dk, &dv}) results.push_back(bf16 ? values(result->bf16) : result->exact.get());
  };
  const char* const names[] = {"out", "dq", "dk", "dv"};
  std::vector<Numbers> exact, rounded;
  run(*q.exact, *d.exact, {}, false, exact);
  run(q.bf16, d.bf16, {}, true, rounded);
  for (size_t i = 0; i < 4; ++i) EXPECT_LT(relativeError(rounded[i], exact[i], 1e-2), 1.2e-2) << names[i];

  for (const int step : {1, 3, 40}) {
    SCOPED_TRACE(::testing::Message() << "every " << step);
    std::vector<int32_t> rows, parts, positions;
    Queries asked = every(step, c, rows, parts, positions);
    if (rows.empty()) continue;
    const Array chosen(backend, rows), partStarts(backend, parts), places(backend, positions);
    asked.device = partStarts.get();
    asked.positions = places.get();
    const auto m = static_cast<int64_t>(rows.size());
    const Twin some = blank(m, width), dsome = blank(m, width);
    backend->gatherRows(*some.exact, *q.exact, chosen.get());
    backend->gatherRows(*dsome.exact, *d.exact, chosen.get());
    backend->copy(some.bf16, *some.exact);
    backend->copy(dsome.bf16, *dsome.exact);
    // All rows, where the others get no gradient.
    const Twin masked = blank(n, width);
    backend->zero(*masked.exact);
    backend->gatherRowsBackward(*masked.exact, *dsome.exact, chosen.get());
    std::vector<Numbers> whole, f32, bf16;
    run(*q.exact, *masked.exact, {}, false, whole);
    run(*some.exact, *dsome.exact, asked, false, f32);
    run(some.bf16, dsome.bf16, asked, true, bf16);
    for (size_t i = 0; i < 4; ++i) {
      Numbers expected = whole[i];
      if (i < 2) {
        expected.clear();
        for (const int32_t row : rows) expected.insert(expected.end(), whole[i].begin() + row * width, whole[i].begin() + (row + 1) * width);
      }
      EXPECT_LT(relativeError(f32[i], expected, 1e-3), 1e-5) << names[i];
      EXPECT_LT(relativeError(bf16[i], expected, 1e-2), 1.2e-2) << names[i];
    }
  }
}

#ifdef SFT_LAB_TEST_CUDA  // the emulator is slow
constexpr int kLong = 70;
#else
constexpr int kLong = 300;
#endif

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionParts,
                         ::testing::Values(Case{2, 1, 8, true, 0, {1}}, Case{4, 2, 16, true, 0, {5, 1, 33}},
                                           Case{14, 2, 64, true, 0, {kLong / 2, 3}}, Case{3, 3, 12, true, 5, {40, 2}},
                                           Case{2, 2, 80, false, 0, {70}}, Case{4, 4, 128, true, 30, {kLong / 2 + 7, 64}},
                                           Case{2, 1, 96, true, 0, {kLong}}));

#ifdef SFT_LAB_TEST_CUDA  // the CPU generates in f32
class AttentionCached : public Bf16, public ::testing::WithParamInterface<Case> {};

/// bf16 against f32; and each sequence's last row alone, the same bits as among all.
TEST_P(AttentionCached, ByRowsOfManySequences) {
  const Case& c = GetParam();
  const int64_t width = c.heads * c.headSize, kvWidth = c.kvHeads * c.headSize;
  const AttentionShape shape{c.heads, c.kvHeads, c.headSize, static_cast<float>(1.5 / std::sqrt(c.headSize)), true, c.window};
  const int32_t capacity = *std::max_element(c.lengths.begin(), c.lengths.end()) + 3, slotCount = static_cast<int32_t>(c.lengths.size()) + 1;
  std::vector<int32_t> slots, positions, last;
  for (size_t s = 0; s < c.lengths.size(); ++s) {
    for (int32_t i = 0; i < c.lengths[s]; ++i) {
      slots.push_back(slotCount - 1 - static_cast<int32_t>(s));
      positions.push_back(i);
    }
    last.push_back(static_cast<int32_t>(slots.size()) - 1);
  }
  const auto n = static_cast<int64_t>(slots.size());
  const Array slotOf(backend, slots), at(backend, positions);
  const Twin q = twin(n, width, 1), k = twin(n, kvWidth, 2), v = twin(n, kvWidth, 3), out = blank(n, width);
  const Twin keyCache = blank(slotCount * capacity, kvWidth), valueCache = blank(slotCount * capacity, kvWidth);
  for (const Twin* memory : {&keyCache, &valueCache}) {  // nothing but what is stored is read
    backend->fill(*memory->exact, std::nanf(""));
    backend->fill(memory->bf16, std::nanf(""));
  }
  const KeyValueCache exact{*keyCache.exact, *valueCache.exact, capacity}, rounded{keyCache.bf16, valueCache.bf16, capacity};
  backend->cacheStore(exact, *k.exact, *v.exact, slotOf.get(), at.get());
  backend->attentionCached(*out.exact, *q.exact, exact, slotOf.get(), at.get(), shape);
  backend->cacheStore(rounded, k.bf16, v.bf16, slotOf.get(), at.get());
  backend->attentionCached(out.bf16, q.bf16, rounded, slotOf.get(), at.get(), shape);
  expectClose(out, 4e-3);
  const Numbers all = values(out.bf16);
  const Twin one = blank(1, width);
  for (const int32_t row : last) {
    backend->attentionCached(one.bf16, q.bf16.slice(row, 1), rounded, slotOf.get() + row, at.get() + row, shape);
    EXPECT_EQ(values(one.bf16), Numbers(all.begin() + row * width, all.begin() + (row + 1) * width)) << row;
  }
}

// Rows for which blocks take one each, and several; groups that fill no fragment, one, and more than one; a size that tensor cores do not take.
INSTANTIATE_TEST_SUITE_P(Shapes, AttentionCached,
                         ::testing::Values(Case{14, 2, 64, true, 0, {40, 1, 5}}, Case{4, 4, 128, true, 0, {17, 33}},
                                           Case{20, 1, 64, true, 0, {9, 20}}, Case{4, 2, 64, true, 21, {60, 2}},
                                           Case{4, 2, 20, true, 7, {30, 4}}, Case{7, 1, 64, true, 0, {150, 3, 120}},
                                           Case{2, 2, 64, true, 30, {3, 200, 65}}));
#endif

}  // namespace
}  // namespace sftlab::test
