#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

struct Product {
  int64_t rows, cols, inner;
};

Numbers reference(const Numbers& a, bool ta, const Numbers& b, bool tb, const Product& p, double alpha,
                  const Numbers& before, double beta) {
  Numbers out(static_cast<size_t>(p.rows * p.cols));
  for (int64_t i = 0; i < p.rows; ++i) {
    for (int64_t j = 0; j < p.cols; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < p.inner; ++k) {
        sum += a[static_cast<size_t>(ta ? k * p.rows + i : i * p.inner + k)] *
               b[static_cast<size_t>(tb ? j * p.inner + k : k * p.cols + j)];
      }
      const auto at = static_cast<size_t>(i * p.cols + j);
      out[at] = alpha * sum + (beta != 0 ? beta * before[at] : 0);
    }
  }
  return out;
}

class Matmul : public CpuTest {};

TEST_F(Matmul, MatchesTheReferenceInEveryTransposition) {
  unsigned seed = 1;
  for (const Product p : {Product{1, 1, 1},
                          {1, 7, 3},
                          {3, 1, 17},
                          {1, 300, 64},
                          {5, 33, 9},
                          {97, 130, 61},
                          {200, 48, 256},
                          {520, 131, 33},
                          {33, 1100, 20},
                          {64, 64, 700}}) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        for (const double beta : {0.0, 1.0}) {
          SCOPED_TRACE(::testing::Message()
                       << p.rows << "x" << p.cols << "x" << p.inner << (ta ? "T" : "N") << (tb ? "T" : "N") << beta);
          const double alpha = beta == 0 ? 1 : 0.5;
          const auto a = randomNumbers(p.rows * p.inner, ++seed), b = randomNumbers(p.cols * p.inner, ++seed);
          const auto before = randomNumbers(p.rows * p.cols, ++seed);
          const Device da = device(ta ? p.inner : p.rows, ta ? p.rows : p.inner, a);
          const Device db = device(tb ? p.cols : p.inner, tb ? p.inner : p.cols, b),
                       out = device(p.rows, p.cols, before);
          backend->matmul(*out, *da, ta ? Transpose::yes : Transpose::no, *db, tb ? Transpose::yes : Transpose::no,
                          static_cast<float>(alpha), static_cast<float>(beta));
          EXPECT_LT(relativeError(out.get(), reference(a, ta, b, tb, p, alpha, before, beta)), 1e-6);
        }
      }
    }
  }
}

TEST_F(Matmul, OverwritesWhatWasNotANumber) {
  const Device a = device(2, 3, randomNumbers(6, 1)), b = device(3, 4, randomNumbers(12, 2));
  const Device out = device(2, 4, Numbers(8, std::nan("")));
  backend->matmul(*out, *a, Transpose::no, *b, Transpose::no, 1, 0);
  for (float value : out.floats()) EXPECT_TRUE(std::isfinite(value));
}

TEST_F(Matmul, TakesColumnsOfWiderTensors) {
  const Product p{130, 70, 40};
  const auto wideA = randomNumbers(130 * 100, 1), b = randomNumbers(70 * 40, 2);
  const Device da = device(130, 100, wideA), db = device(70, 40, b), out = device(130, 90, Numbers(130 * 90, 7.0));
  backend->matmul((*out).columns(10, 70), (*da).columns(50, 40), Transpose::no, *db, Transpose::yes, 1, 0);
  Numbers a;
  for (size_t r = 0; r < 130; ++r) a.insert(a.end(), wideA.begin() + r * 100 + 50, wideA.begin() + r * 100 + 90);
  const auto expected = reference(a, false, b, true, p, 1, {}, 0);
  const auto actual = out.get();
  for (size_t r = 0; r < 130; ++r) {
    for (size_t c = 0; c < 90; ++c) {
      const double want = c < 10 || c >= 80 ? 7.0 : expected[r * 70 + c - 10];
      ASSERT_NEAR(actual[r * 90 + c], want, 1e-4) << r << " " << c;
    }
  }
}

TEST_F(Matmul, EmptyProductsDoNothing) {
  const Device a = device(1, 4), b = device(4, 4), out = device(1, 4, Numbers(4, 3.0));
  backend->matmul((*out).slice(0, 0), (*a).slice(0, 0), Transpose::no, *b, Transpose::no, 1, 0);
  EXPECT_EQ(out.get(), Numbers(4, 3.0));
}

TEST_F(Matmul, BitsDependNeitherOnThreadsNorOnTheRun) {
  const auto a = randomNumbers(700 * 190, 1), b = randomNumbers(500 * 190, 2);
  std::vector<float> first;
  for (const int threads : kThreadCounts) {
    const auto other = makeBackend(threads);
    const Device da(other, 700, 190, a), db(other, 500, 190, b), out(other, 700, 500);
    other->matmul(*out, *da, Transpose::no, *db, Transpose::yes, 1, 0);
    if (first.empty()) first = out.floats();
    EXPECT_TRUE(sameBits(out.floats(), first)) << threads;
  }
}

TEST_F(Matmul, BiasIsAddedToRowsAndItsGradientSumsThem) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 1}, {7, 65}, {300, 130}}) {
    const auto x = randomNumbers(rows * cols, 1), bias = randomNumbers(cols, 2);
    const Device dx = device(rows, cols, x), db = device(1, cols, bias);
    backend->addBias(*dx, *db);
    Numbers expected = x, sums = bias;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        expected[static_cast<size_t>(r * cols + c)] += bias[static_cast<size_t>(c)];
        sums[static_cast<size_t>(c)] += x[static_cast<size_t>(r * cols + c)];
      }
    }
    EXPECT_LT(relativeError(dx.get(), expected), 1e-6);
    const Device dout = device(rows, cols, x);
    backend->addBiasBackward(*db, *dout);  // added to what was there
    EXPECT_LT(relativeError(db.get(), sums), 1e-6);
  }
}

TEST_F(Matmul, AddsWhatIsGivenAndABias) {
  unsigned seed = 400;
  for (const Product p : {Product{1, 1, 1}, {7, 65, 33}, {300, 130, 20}}) {
    const auto a = randomNumbers(p.rows * p.inner, ++seed), b = randomNumbers(p.cols * p.inner, ++seed);
    const auto addend = randomNumbers(p.rows * p.cols, ++seed), bias = randomNumbers(p.cols, ++seed);
    const Device da = device(p.rows, p.inner, a), db = device(p.cols, p.inner, b), dbias = device(1, p.cols, bias);
    for (int kind = 0; kind < 6; ++kind) {
      const bool biased = kind % 2, adds = kind >= 2, inPlace = kind >= 4;
      SCOPED_TRACE(::testing::Message() << p.rows << "x" << p.cols << "x" << p.inner << " kind " << kind);
      Numbers expected = reference(a, false, b, true, p, 1, addend, adds ? 1 : 0);
      for (size_t i = 0; biased && i < expected.size(); ++i) expected[i] += bias[i % bias.size()];
      const Device apart = device(p.rows, p.cols, addend), out = device(p.rows, p.cols, inPlace ? addend : Numbers(addend.size(), std::nan("")));
      backend->matmulAdd(*out, !adds ? Tensor{} : inPlace ? *out : *apart, biased ? *dbias : Tensor{}, *da, Transpose::no, *db, Transpose::yes);
      EXPECT_LT(relativeError(out.get(), expected), 1e-6);
      EXPECT_EQ(apart.get(), addend);
    }
  }
}

#if !defined(SFT_LAB_TEST_CUDA) || defined(SFT_LAB_TEST_EMULATED)  // on a card cuBLASLt takes other algorithms for other numbers of rows

/// What generation stands on: a row's bits do not depend on how many rows there are, on its place, or on the others.
TEST_F(Matmul, ARowOfFewIsAFunctionOfItselfAlone) {
  unsigned seed = 900;
  for (const auto& [cols, inner] : {std::pair<int64_t, int64_t>{50, 300}, {7, 8}, {1, 1}, {131, 2500}}) {
    constexpr int64_t most = 256;
    const auto x = randomNumbers(most * inner, ++seed), before = randomNumbers(most * cols, ++seed);
    const Device w = device(cols, inner, randomNumbers(cols * inner, ++seed)), all = device(most, inner, x);
    const Device whole = device(most, cols, before);
    backend->matmul(*whole, *all, Transpose::no, *w, Transpose::yes, 0.5f, 1);
    const auto expected = whole.floats();
    for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 11, 32, 33, 64, 255}) {
      const int64_t first = (most - rows) / 3;
      const auto from = [&](const Numbers& values, int64_t width) {
        return Numbers(values.begin() + first * width, values.begin() + (first + rows) * width);
      };
      const Device part = device(rows, inner, from(x, inner)), out = device(rows, cols, from(before, cols));
      backend->matmul(*out, *part, Transpose::no, *w, Transpose::yes, 0.5f, 1);
      const auto actual = out.floats();
      EXPECT_TRUE(std::equal(actual.begin(), actual.end(), expected.begin() + first * cols)) << rows << " of " << inner;
    }
  }
}

#endif

}  // namespace
}  // namespace sftlab::test
