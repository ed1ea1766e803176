#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "cpu/philox.h"
#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

using Four = std::array<uint32_t, 4>;

// The vectors of Random123's kat_vectors file for philox4x32 with 10 rounds.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, LanesGiveWhatSingleBlocksGive) {
  for (const RandomStream stream : {RandomStream{0, 0}, RandomStream{0x0123456789abcdef, 0xfedcba9876543210}}) {
    for (const uint64_t run : {uint64_t{0}, uint64_t{3}, uint64_t{0x0fffffff}, uint64_t{0x10000000}}) {
      uint32_t numbers[kPhiloxRun];
      philoxRun(stream, run, numbers);
      for (uint64_t block = 0; block < kPhiloxBlocks; ++block) {
        const auto expected = philox(stream, run * kPhiloxBlocks + block);
        for (size_t i = 0; i < 4; ++i) ASSERT_EQ(numbers[block * 4 + i], expected[i]);
      }
    }
  }
}

class Random : public CpuTest {};

TEST_F(Random, DropoutKeepsTheMeanAndItsMaskIsThatOfTheElement) {
  const int64_t rows = 301;
  // By fours, or not.
  for (const auto& [cols, column] : {std::pair<int64_t, int64_t>{77, 5}, {76, 5}, {76, 8}}) {
    SCOPED_TRACE(::testing::Message() << cols << " columns from " << column);
    const auto x = randomNumbers(rows * cols, 1);
    const Device dx = device(rows, cols, x), out = device(rows, cols), again = device(rows, cols);
    const RandomStream stream{42, 7};
    backend->dropout(*out, *dx, 0.3f, stream);
    const auto actual = out.floats();
    double dropped = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
      const bool drop = unitFloat(philox(stream, i / 4)[i % 4]) < 0.3f;
      ASSERT_EQ(actual[i], drop ? 0.0f : static_cast<float>(x[i]) * (1.0f / 0.7f)) << i;
      dropped += drop;
    }
    EXPECT_NEAR(dropped / static_cast<double>(actual.size()), 0.3, 0.01);

    // The same mask whatever the stride, in place, and for the gradient; another for another stream.
    const Device wide = device(rows, 100);
    backend->copy((*wide).columns(column, cols), *dx);
    backend->dropout((*wide).columns(column, cols), (*wide).columns(column, cols), 0.3f, stream);
    backend->copy(*again, (*wide).columns(column, cols));
    EXPECT_TRUE(sameBits(again.floats(), actual));
    backend->dropout(*again, *dx, 0.3f, {42, 8});
    EXPECT_FALSE(sameBits(again.floats(), actual));
    backend->dropout(*again, *dx, 0, stream);
    EXPECT_EQ(again.get(), x);
  }
}

TEST_F(Random, FilledTensorsHaveTheirDistribution) {
  const int64_t count = 100'003;
  const Device x = device(1, count), reshaped = device(count, 1);
  backend->fillNormal(*x, 0.5f, {1, 2});
  backend->fillNormal(*reshaped, 0.5f, {1, 2});
  EXPECT_TRUE(sameBits(x.floats(), reshaped.floats()));
  double sum = 0, squares = 0, beyond = 0;
  for (double value : x.get()) {
    sum += value;
    squares += value * value;
    beyond += std::abs(value) > 1;  // two deviations
  }
  EXPECT_NEAR(sum / count, 0, 0.006);
  EXPECT_NEAR(std::sqrt(squares / count), 0.5, 0.005);
  EXPECT_NEAR(beyond / count, 0.0455, 0.003);

  backend->fillUniform(*x, 3, {1, 3});
  sum = squares = 0;
  for (double value : x.get()) {
    ASSERT_TRUE(value >= -3 && value < 3);
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / count, 0, 0.03);
  EXPECT_NEAR(squares / count, 3, 0.05);
  backend->fill(*x, 2.5f);
  EXPECT_EQ(x.get(), Numbers(static_cast<size_t>(count), 2.5));
}

class Sampling : public CpuTest {
 protected:
  std::vector<float> entropy, logProbability;

  std::vector<int32_t> draw(const Tensor& logits, const SampleOptions& options, uint64_t seed) {
    const auto rows = static_cast<size_t>(logits.rows);
    std::vector<RandomStream> streams;
    for (size_t r = 0; r < rows; ++r) streams.push_back({seed, r});
    const Array from(backend, streams);
    const Array tokens(backend, std::vector<int32_t>(rows, -1));
    const Array entropies(backend, std::vector<float>(rows)), logProbabilities(backend, std::vector<float>(rows));
    backend->sample(logits, options, from.get(), tokens.get(), entropies.get(), logProbabilities.get());
    entropy = entropies.values();
    logProbability = logProbabilities.values();
    return tokens.values();
  }
  /// How often each token was drawn from one row of logits, and how often one would expect it.
  void expectShares(const Numbers& row, const SampleOptions& options, const Numbers& probabilities) {
    const int64_t draws = kDraws;
    Numbers all;
    for (int64_t i = 0; i < draws; ++i) all.insert(all.end(), row.begin(), row.end());
    const Device logits = device(draws, static_cast<int64_t>(row.size()), all);
    const auto tokens = draw(*logits, options, 11);
    Numbers shares(row.size());
    for (int32_t token : tokens) shares.at(static_cast<size_t>(token)) += 1.0 / draws;
    for (size_t i = 0; i < row.size(); ++i) {
      const double deviation = std::sqrt(probabilities[i] * (1 - probabilities[i]) / draws);
      EXPECT_NEAR(shares[i], probabilities[i], 4 * deviation) << "token " << i;  // none at all where the share is 0
    }
    EXPECT_EQ(draw(*logits, options, 11), tokens);
    EXPECT_NE(draw(*logits, options, 12), tokens);
  }
  /// Cuts of all sizes: each token is the one on which the row's random number falls where the weights that are left, in double, are laid
  /// one after another, by id or from the likeliest on.
  void expectDefinition(const Numbers& row, float temperature) {
    const auto cols = static_cast<int32_t>(row.size());
    constexpr size_t draws = 4;
    Numbers all;
    for (size_t i = 0; i < draws; ++i) all.insert(all.end(), row.begin(), row.end());
    const Device logits = device(draws, cols, all);
    std::vector<int32_t> order(row.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return row[a] > row[b]; });
    const auto weight = [&](int32_t id) { return std::exp((row[id] - row[order[0]]) / temperature); };
    const auto sum = [&](const std::vector<int32_t>& ids) {
      double total = 0;
      for (int32_t id : ids) total += weight(id);
      return total;
    };
    for (const int32_t topK : {0, 1, 3, 20, cols - 1}) {
      for (const float topP : {1.0f, 1e-6f, 0.3f, 0.5f, 0.9f, 0.999999f}) {
        std::vector<int32_t> likeliest(order.begin(), order.begin() + (topK > 0 ? std::min(topK, cols) : cols));
        const double share = topP < 1 ? topP * sum(likeliest) : INFINITY;
        size_t count = 0;
        for (double held = 0; count < likeliest.size() && held < share; ++count) held += weight(likeliest[count]);
        likeliest.resize(count);
        auto byId = likeliest;
        std::sort(byId.begin(), byId.end());
        const double total = sum(likeliest);
        const auto tokens = draw(*logits, {temperature, topK, topP}, 21);
        for (size_t r = 0; r < draws; ++r) {
          const auto bits = philox({21, r}, 0);
          const double at = unitDouble(bits[0], bits[1]) * total, near = 1e-5 * total;
          const auto falls = [&](const std::vector<int32_t>& ids) {
            const auto token = std::find(ids.begin(), ids.end(), tokens[r]);
            const double before = sum({ids.begin(), token});
            return token != ids.end() && before < at + near && before + weight(tokens[r]) > at - near;
          };
          ASSERT_TRUE(falls(byId) || falls(likeliest)) << "token " << tokens[r] << " of " << topK << " and " << topP << ", draw " << r;
        }
      }
    }
  }
};

Numbers shares(Numbers weights) {
  double total = 0;
  for (double weight : weights) total += weight;
  for (double& weight : weights) weight /= total;
  return weights;
}

TEST_F(Sampling, FollowsTheDistributionAndItsCuts) {
  const Numbers row{std::log(0.1), std::log(0.4), std::log(0.25), std::log(0.05), std::log(0.2)};
  expectShares(row, {1, 0, 1}, {0.1, 0.4, 0.25, 0.05, 0.2});
  expectShares(row, {0.5f, 0, 1}, shares({0.01, 0.16, 0.0625, 0.0025, 0.04}));
  expectShares(row, {1, 2, 1}, shares({0, 0.4, 0.25, 0, 0}));
  expectShares(row, {1, 0, 0.6f}, shares({0, 0.4, 0.25, 0, 0}));
  expectShares(row, {1, 0, 0.8f}, shares({0, 0.4, 0.25, 0, 0.2}));
  expectShares(row, {1, 3, 0.7f}, shares({0, 0.4, 0.25, 0, 0}));  // 0.7 of the three that top-k kept
  expectShares(row, {1, 99, 0.99f}, {0.1, 0.4, 0.25, 0.05, 0.2});
}

TEST_F(Sampling, IsWhatItsDefinitionSays) {
  std::mt19937 random(1);
  for (const bool negative : {false, true}) {
    for (const int shift : {0, 10, 21}) {  // neighbours in their last bits, in the middle ones, in exponent and first bits
      SCOPED_TRACE(testing::Message() << (negative ? "negative" : "positive") << " logits with differences in bit " << shift);
      Numbers row;
      for (int i = -20; i < 20; ++i) {
        const uint32_t bits = 0x40000000u + (static_cast<uint32_t>(i) << shift);
        float x;
        std::memcpy(&x, &bits, sizeof x);
        row.push_back(negative ? -x : x);
      }
      const double spread = std::abs(row.front() - row.back());
      std::shuffle(row.begin(), row.end(), random);
      expectDefinition(row, static_cast<float>(spread / 4));
    }
  }
  for (const int64_t cols : {1, 2, 33, 9001}) {
    SCOPED_TRACE(cols);
    expectDefinition(randomNumbers(cols, 2), 1);
  }
  const Numbers row = randomNumbers(150, 3);
  for (const float scale : {1e-30f, 1.0f, 1e30f}) {
    SCOPED_TRACE(scale);
    Numbers scaled;
    for (double x : row) scaled.push_back(static_cast<float>(x * scale));
    expectDefinition(scaled, scale);
  }
  for (const float temperature : {0.01f, 0.2f, 100.0f}) {
    SCOPED_TRACE(temperature);
    expectDefinition(row, temperature);
  }
}

/// What is never kept counts in what top-p is a share of.
TEST_F(Sampling, TopPIsAShareOfAll) {
  constexpr int64_t rows = 64, cols = 2002;
  Numbers all;
  for (int64_t r = 0; r < rows; ++r) {
    all.insert(all.end(), cols, std::log(2e-5));  // 0.04 in all
    all[r * cols + 1000] = 0;
    all[r * cols + 500] = std::log(0.1);
  }
  const Device logits = device(rows, cols, all);
  for (const auto& [topP, kept] : {std::pair{0.87f, std::set<int32_t>{1000}}, {0.9f, std::set<int32_t>{500, 1000}}}) {
    const auto tokens = draw(*logits, {1, 0, topP}, 1);
    EXPECT_EQ(std::set<int32_t>(tokens.begin(), tokens.end()), kept);
  }
}

TEST_F(Sampling, OfTiesTakesTheFirst) {
  Numbers some(40'001), zeros(60), few(100, -std::numeric_limits<double>::infinity());
  for (size_t c = 0; c < some.size(); ++c) some[c] = static_cast<double>(c * 7 % 4);
  for (size_t c = 0; c < zeros.size(); ++c) zeros[c] = c % 3 == 0 ? 0.0 : -0.0;
  few[5] = few[70] = 1;
  few[3] = few[99] = 0;
  expectDefinition(some, 1);
  expectDefinition(zeros, 1);
  expectDefinition(few, 1);
}

TEST_F(Sampling, TopPGrowsBeyondTheFirstSelection) {
  const Numbers flat(700, 0.0);  // equal weights: the lowest ids are kept
  const int64_t rows = std::min<int64_t>(kDraws, 3000);
  Numbers all;
  for (int64_t i = 0; i < rows; ++i) all.insert(all.end(), flat.begin(), flat.end());
  const Device logits = device(rows, 700, all);
  int32_t largest = 0;
  for (int32_t token : draw(*logits, {1, 0, 0.5f}, 3)) largest = std::max(largest, token);
  EXPECT_LT(largest, 350);
  EXPECT_GT(largest, 340);
}

TEST_F(Sampling, GreedyTakesTheFirstOfTheLikeliest) {
  Numbers x = randomNumbers(6 * 333, 1);
  x[5] = x[77] = 9;
  const Device logits = device(6, 333, x);
  const auto tokens = draw(*logits, {}, 1);
  EXPECT_EQ(tokens[0], 5);
  for (size_t r = 0; r < 6; ++r) {
    const auto* const row = x.data() + r * 333;
    EXPECT_EQ(tokens[r], std::max_element(row, row + 333) - row);
    double total = 0, weighted = 0;
    for (size_t c = 0; c < 333; ++c) total += std::exp(row[c]);
    for (size_t c = 0; c < 333; ++c) weighted += std::exp(row[c]) / total * row[c];
    EXPECT_NEAR(entropy[r], std::log(total) - weighted, 1e-5);
    EXPECT_NEAR(logProbability[r], row[tokens[r]] - std::log(total), 1e-5);
  }
}

/// Rows of several blocks' work, that end with no whole four.
TEST_F(Sampling, OfWideRows) {
  constexpr int64_t rows = 12, cols = 9001;
  Numbers x = randomNumbers(rows * cols, 1);
  for (int64_t r = 0; r < rows; ++r) {
    double* const row = x.data() + r * cols;
    for (int64_t c = 0; c < cols; ++c) row[c] -= 40;
    row[4100] = std::log(0.5);
    row[7] = std::log(0.3);
    row[9000] = std::log(0.2);
  }
  const Device logits = device(rows, cols, x);
  const auto among = [&](const SampleOptions& options) {
    const auto tokens = draw(*logits, options, 5);
    return std::set<int32_t>(tokens.begin(), tokens.end());
  };
  EXPECT_EQ(among({1, 0, 1}), (std::set<int32_t>{7, 4100, 9000}));
  EXPECT_EQ(among({1, 2, 1}), (std::set<int32_t>{7, 4100}));
  EXPECT_EQ(among({1, 0, 0.7f}), (std::set<int32_t>{7, 4100}));
  EXPECT_EQ(among({}), (std::set<int32_t>{4100}));
  for (float found : entropy) EXPECT_NEAR(found, -(0.5 * std::log(0.5) + 0.3 * std::log(0.3) + 0.2 * std::log(0.2)), 1e-5);
  for (float found : logProbability) EXPECT_NEAR(found, std::log(0.5), 1e-5);
  x[8200] = x[300] = 1;  // of two pieces
  EXPECT_EQ(draw(*device(rows, cols, x), {}, 5)[0], 300);
}

TEST_F(Sampling, BadLogitsAndTinyTemperaturesGiveATokenAllTheSame) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {std::nan(""), infinity, -infinity}) {
    const Device logits = device(2, 50, Numbers(100, bad));
    for (const SampleOptions options : {SampleOptions{}, {1, 0, 1}, {1, 5, 0.5f}}) {
      for (int32_t token : draw(*logits, options, 1)) EXPECT_TRUE(token >= 0 && token < 50);
    }
  }
  const auto x = randomNumbers(4 * 50, 1);
  const Device logits = device(4, 50, x);
  EXPECT_EQ(draw(*logits, {1e-40f, 0, 1}, 1), draw(*logits, {}, 1));
  EXPECT_EQ(draw(*logits, {1, 1, 1}, 1), draw(*logits, {}, 1));
  EXPECT_EQ(draw(*logits, {1, 0, 0}, 1), draw(*logits, {}, 1));
}

}  // namespace
}  // namespace sftlab::test
