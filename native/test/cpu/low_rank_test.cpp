// The gradients of a product with a low-rank matrix against sums in double of the same numbers, which bf16 holds.

#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

struct Shape {
  int64_t rows, cols, rank;
};

class LowRank : public CpuTest {
 protected:
  void SetUp() override {
    if (!backend->multiplies(DType::bf16)) GTEST_SKIP() << "this processor has no bf16 products";
  }

  /// bf16 numbers in columns [first, first + cols) of a tensor that is wider by so many columns and NaN elsewhere, and the same in double.
  struct Columns {
    Device memory;
    Tensor tensor, wide;
    Numbers numbers;
  };
  Columns columns(int64_t rows, int64_t cols, int64_t first, unsigned seed) {
    const int64_t width = cols + 2 * first;
    Columns made{device(rows, width), {}, {}, {}};
    made.wide = {(*made.memory).data, rows, width, width, DType::bf16};
    made.tensor = made.wide.columns(first, cols);
    backend->copy(made.wide, *device(rows, width, Numbers(static_cast<size_t>(rows * width), std::nan(""))));
    const Device drawn = device(rows, cols, randomNumbers(rows * cols, seed));
    backend->copy(made.tensor, *drawn);
    made.numbers = values(made.tensor);
    return made;
  }

  struct Operands {
    Columns dout, b, low, dlow;
    Device db;
    Tensor dbColumns;
    Numbers before;
  };
  /// `apart`: numbers on either side of all of them.
  Operands operands(const Shape& p, int64_t apart, unsigned seed) {
    Operands made{columns(p.rows, p.cols, 8 * apart, seed),      columns(p.cols, p.rank, 8 * apart, seed + 1),
                  columns(p.rows, p.rank, 16 * apart, seed + 2), columns(p.rows, p.rank, 8 * apart, seed + 3),
                  device(p.cols, p.rank + 8 * apart),            {},
                  {}};
    made.dbColumns = (*made.db).columns(4 * apart, p.rank);
    backend->fill(*made.db, 7);
    const Device drawn = device(p.cols, p.rank, randomNumbers(p.cols * p.rank, seed + 4));
    backend->copy(made.dbColumns, *drawn);
    made.before = drawn.get();
    return made;
  }
  void run(const Operands& on, const Tensor& db, float scale) {
    backend->lowRankBackward(on.dlow.tensor, db, on.dout.tensor, on.b.tensor, on.low.tensor, scale);
  }

  /// Each number within what sums of f32 and one rounding to the result's dtype may differ by.
  void expectGradients(const Operands& on, const Shape& p, double scale) {
    constexpr double rounding = 0x1.01p-8, sums = 0x1p-20;
    const Numbers dlow = values(on.dlow.tensor), db = values(on.dbColumns);
    const auto at = [](int64_t row, int64_t cols, int64_t col) { return static_cast<size_t>(row * cols + col); };
    for (int64_t row = 0; row < p.rows; ++row) {
      for (int64_t j = 0; j < p.rank; ++j) {
        double sum = 0, size = 0;
        for (int64_t k = 0; k < p.cols; ++k) {
          const double one = scale * on.dout.numbers[at(row, p.cols, k)] * on.b.numbers[at(k, p.rank, j)];
          sum += one, size += std::abs(one);
        }
        ASSERT_NEAR(dlow[at(row, p.rank, j)], sum, std::abs(sum) * rounding + size * sums) << "dlow " << row << " " << j;
      }
    }
    for (int64_t row = 0; row < p.cols; ++row) {
      for (int64_t j = 0; j < p.rank; ++j) {
        double sum = on.before[at(row, p.rank, j)], size = std::abs(sum);
        for (int64_t k = 0; k < p.rows; ++k) {
          const double one = on.dout.numbers[at(k, p.cols, row)] * on.low.numbers[at(k, p.rank, j)];
          sum += one, size += std::abs(one);
        }
        ASSERT_NEAR(db[at(row, p.rank, j)], sum, size * sums) << "db " << row << " " << j;
      }
    }
  }
};

TEST_F(LowRank, GradientsOfEveryShape) {
  unsigned seed = 1;
  for (const Shape p : {Shape{1, 64, 16}, {63, 128, 8}, {64, 64, 32}, {65, 128, 16}, {200, 896, 16}, {70, 896, 32}, {333, 320, 24}, {900, 64, 8},
                        {40, 128, 4}, {40, 100, 16}, {40, 64, 64}}) {
    for (const int64_t apart : {0, 1}) {
      SCOPED_TRACE(::testing::Message() << p.rows << "x" << p.cols << "x" << p.rank << " apart " << apart);
      const Operands on = operands(p, apart, seed += 10);
      run(on, on.dbColumns, 0.75f);
      expectGradients(on, p, 0.75);
    }
  }
}

TEST_F(LowRank, WritesNothingBesideItsColumns) {
  const Shape p{70, 704, 16};
  const Operands on = operands(p, 1, 1);
  run(on, on.dbColumns, 2);
  const Numbers dlow = values(on.dlow.wide), db = on.db.get();
  for (size_t i = 0; i < dlow.size(); ++i) {
    const size_t col = i % 32;
    ASSERT_EQ(std::isnan(dlow[i]), col < 8 || col >= 24) << i;
  }
  for (size_t i = 0; i < db.size(); ++i) {
    const size_t col = i % 24;
    ASSERT_EQ(db[i] == 7, col < 4 || col >= 20) << i;
  }
}

TEST_F(LowRank, AFrozenMatrixHasNoGradient) {
  const Shape p{70, 704, 16};
  const Operands with = operands(p, 0, 1), without = operands(p, 0, 1);
  run(with, with.dbColumns, 0.5f);
  run(without, {}, 0.5f);
  EXPECT_EQ(values(without.dlow.tensor), values(with.dlow.tensor));
  EXPECT_EQ(values(without.dbColumns), without.before);
  backend->lowRankBackward(without.dlow.tensor, {}, without.dout.tensor, without.b.tensor, {}, 0.25f);  // not even low is needed
  EXPECT_NE(values(without.dlow.tensor), values(with.dlow.tensor));
}

TEST_F(LowRank, TheSameBitsEachTime) {
  const Shape p{300, 704, 16};
  const Operands first = operands(p, 0, 1), second = operands(p, 1, 1);
  run(first, first.dbColumns, 0.5f);
  run(second, second.dbColumns, 0.5f);
  EXPECT_EQ(values(first.dlow.tensor), values(second.dlow.tensor));
  EXPECT_EQ(values(first.dbColumns), values(second.dbColumns));
}

}  // namespace
}  // namespace sftlab::test
