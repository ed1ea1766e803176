#include <limits>

#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

struct Row {
  double loss, entropy;
};

Row reference(const double* x, int64_t cols, int32_t target) {
  double best = x[0], total = 0, weighted = 0;
  for (int64_t c = 0; c < cols; ++c) best = std::max(best, x[c]);
  for (int64_t c = 0; c < cols; ++c) total += std::exp(x[c] - best);
  for (int64_t c = 0; c < cols; ++c) weighted += std::exp(x[c] - best) / total * (x[c] - best);
  return {std::log(total) - (x[target] - best), std::log(total) - weighted};
}

class CrossEntropy : public CpuTest {
 protected:
  struct Result {
    std::vector<float> loss, entropy;
    std::vector<uint8_t> correct;
  };
  Result run(const Tensor& logits, const std::vector<int32_t>& targets, const std::vector<float>& weights,
             bool gradient) {
    const Array wanted(backend, targets);
    const Array correct(backend, std::vector<uint8_t>(targets.size(), 9));
    const Array weight(backend, weights), loss(backend, std::vector<float>(targets.size()));
    const Array entropy(backend, std::vector<float>(targets.size()));
    backend->crossEntropy(logits, wanted.get(), weight.get(), loss.get(), entropy.get(), correct.get(), gradient ? logits : Tensor{});
    return {loss.values(), entropy.values(), correct.values()};
  }
};

TEST_F(CrossEntropy, LossEntropyAccuracyAndGradient) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 1}, {3, 7}, {9, 130}, {64, 1001}}) {
    SCOPED_TRACE(::testing::Message() << rows << "x" << cols);
    auto x = randomNumbers(rows * cols, 1, 3);
    std::vector<int32_t> targets;
    std::vector<float> weights;
    for (int64_t r = 0; r < rows; ++r) {
      targets.push_back(static_cast<int32_t>(r * 37 % cols));
      weights.push_back(static_cast<float>(0.25 * static_cast<double>(r % 5)));
    }
    if (rows > 2) x[static_cast<size_t>(2 * cols + targets[2])] = 20;  // one that is right
    const Device logits = device(rows, cols, x);
    const auto before = logits.floats();
    const auto plain = run(*logits, targets, weights, false);
    EXPECT_TRUE(sameBits(logits.floats(), before)) << "logits stay as they are without a gradient";
    const auto result = run(*logits, targets, weights, true);
    EXPECT_EQ(plain.loss, result.loss);
    EXPECT_EQ(plain.entropy, result.entropy);
    EXPECT_EQ(plain.correct, result.correct);
    for (int64_t r = 0; r < rows; ++r) {
      const auto i = static_cast<size_t>(r);
      const double* const row = x.data() + r * cols;
      const auto expected = reference(row, cols, targets[i]);
      EXPECT_NEAR(result.loss[i], expected.loss, 1e-5 * (1 + expected.loss));
      EXPECT_NEAR(result.entropy[i], expected.entropy, 2e-5);
      EXPECT_EQ(result.correct[i], std::max_element(row, row + cols) - row == targets[i]);
    }
    const auto loss = [&] {
      double total = 0;
      for (int64_t r = 0; r < rows; ++r) {
        total += weights[static_cast<size_t>(r)] *
                 reference(x.data() + r * cols, cols, targets[static_cast<size_t>(r)]).loss;
      }
      return total;
    };
    if (cols > 1) checkGradient("logits", loss, x, logits.get());
  }
}

TEST_F(CrossEntropy, TheLowestIdWinsTies) {
  const Device logits = device(2, 40, Numbers(80, 0.5));
  const auto result = run(*logits, {0, 1}, {1, 1}, false);
  EXPECT_EQ(result.correct, (std::vector<uint8_t>{1, 0}));
  EXPECT_NEAR(result.entropy[0], std::log(40.0), 1e-6);
}

TEST_F(CrossEntropy, LargeAndMaskedLogits) {
  auto x = randomNumbers(2 * 50, 1, 1000);
  x[50 + 3] = x[50 + 9] = -std::numeric_limits<double>::infinity();
  const Device logits = device(2, 50, x);
  const auto result = run(*logits, {4, 7}, {1, 1}, true);
  for (size_t r = 0; r < 2; ++r) {
    EXPECT_TRUE(std::isfinite(result.loss[r]));
    EXPECT_TRUE(std::isfinite(result.entropy[r]));
  }
  for (float value : logits.floats()) EXPECT_TRUE(std::isfinite(value));
}

TEST_F(CrossEntropy, WhatIsNotFiniteGivesALossThatIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {std::nan(""), infinity}) {
    for (const size_t at : {size_t{0}, size_t{5}, size_t{36}}) {
      auto x = randomNumbers(3 * 37, 1);
      x[37 + at] = bad;
      const Device logits = device(3, 37, x);
      for (const bool gradient : {false, true}) {
        const auto result = run(*logits, {1, 5, 3}, {1, 1, 1}, gradient);
        EXPECT_TRUE(std::isfinite(result.loss[0]) && std::isfinite(result.loss[2]));
        EXPECT_FALSE(std::isfinite(result.loss[1])) << bad << " at " << at;
      }
    }
  }
  const Device logits = device(1, 8, Numbers(8, -infinity));
  EXPECT_FALSE(std::isfinite(run(*logits, {1}, {1}, true).loss[0]));
}

class Rows : public CpuTest {};

TEST_F(Rows, AreGatheredAndTheirGradientsAdded) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{300, 1}, {300, 33}, {300, 192}, {1, 4}, {5000, 12}}) {
    const int64_t vocabulary = 40;
    const auto table = randomNumbers(vocabulary * cols, 1), d = randomNumbers(rows * cols, 2);
    std::vector<int32_t> ids;
    for (int64_t r = 0; r < rows; ++r)
      ids.push_back(static_cast<int32_t>(r % 3 == 0 ? 7 : r * 13 % vocabulary));  // one of them often
    const Device dt = device(vocabulary, cols, table), out = device(rows, cols), dout = device(rows, cols, d);
    const Array chosen(backend, ids);
    backend->gatherRows(*out, *dt, chosen.get());
    backend->gatherRowsBackward(*dt, *dout, chosen.get());
    const auto gathered = out.get();
    Numbers expected = table;
    for (size_t r = 0; r < ids.size(); ++r) {
      for (size_t c = 0; c < static_cast<size_t>(cols); ++c) {
        const size_t from = static_cast<size_t>(ids[r]) * static_cast<size_t>(cols) + c,
                     to = r * static_cast<size_t>(cols) + c;
        ASSERT_EQ(gathered[to], table[from]);
        expected[from] += d[to];
      }
    }
    EXPECT_LT(relativeError(dt.get(), expected), 1e-6);
  }
}

TEST_F(Rows, GradientsDependNotOnThreads) {
  const auto table = randomNumbers(20 * 200, 1), d = randomNumbers(900 * 200, 2);
  std::vector<int32_t> ids;
  for (int r = 0; r < 900; ++r) ids.push_back(r * r % 20);
  std::vector<float> first;
  for (const int threads : kThreadCounts) {
    const auto other = makeBackend(threads);
    const Device dt(other, 20, 200, table), dout(other, 900, 200, d);
    other->gatherRowsBackward(*dt, *dout, Array(other, ids).get());
    if (first.empty()) first = dt.floats();
    EXPECT_TRUE(sameBits(dt.floats(), first));
  }
}

}  // namespace
}  // namespace sftlab::test
