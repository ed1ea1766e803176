#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

Numbers rmsNorm(const Numbers& x, const Numbers& weight, double epsilon) {
  const size_t cols = weight.size();
  Numbers out(x.size());
  for (size_t row = 0; row < x.size() / cols; ++row) {
    double squares = 0;
    for (size_t c = 0; c < cols; ++c) squares += x[row * cols + c] * x[row * cols + c];
    const double r = 1 / std::sqrt(squares / static_cast<double>(cols) + epsilon);
    for (size_t c = 0; c < cols; ++c) out[row * cols + c] = x[row * cols + c] * r * weight[c];
  }
  return out;
}

Numbers rope(const Numbers& x, const Numbers& table, const std::vector<int32_t>& positions, size_t headSize,
             bool inverse) {
  const size_t width = x.size() / positions.size(), half = headSize / 2;
  Numbers out = x;
  for (size_t row = 0; row < positions.size(); ++row) {
    const double* const angles = table.data() + static_cast<size_t>(positions[row]) * headSize;
    for (size_t head = 0; head < width / headSize; ++head) {
      for (size_t i = 0; i < half; ++i) {
        const size_t a = row * width + head * headSize + i, b = a + half;
        const double s = inverse ? -angles[half + i] : angles[half + i];
        out[a] = x[a] * angles[i] - x[b] * s;
        out[b] = x[b] * angles[i] + x[a] * s;
      }
    }
  }
  return out;
}

Numbers tableOf(int headSize, int positions) {
  Numbers table;
  for (int p = 0; p < positions; ++p) {
    for (const bool sine : {false, true}) {
      for (int i = 0; i < headSize / 2; ++i) {
        const double angle = p * std::pow(10000.0, -2.0 * i / headSize);
        table.push_back(static_cast<float>(sine ? std::sin(angle) : std::cos(angle)));
      }
    }
  }
  return table;
}

class Norm : public CpuTest {};

TEST_F(Norm, ForwardAndGradient) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 1}, {1, 130}, {7, 33}, {500, 16}, {90, 192}, {9, 2052}, {3, 8196}}) {
    SCOPED_TRACE(::testing::Message() << rows << "x" << cols);
    auto x = randomNumbers(rows * cols, 1, 2), weight = randomNumbers(cols, 2);
    const auto d = randomNumbers(rows * cols, 3);
    const Device dx = device(rows, cols, x), dw = device(1, cols, weight), out = device(rows, cols),
                 rstd = device(rows, 1);
    backend->rmsNorm(*out, *rstd, *dx, *dw, 1e-5f);
    EXPECT_LT(relativeError(out.get(), rmsNorm(x, weight, 1e-5)), 1e-6);

    // Both gradients are added to what is there.
    const auto oldX = randomNumbers(rows * cols, 4), oldW = randomNumbers(cols, 5);
    const Device dout = device(rows, cols, d), gradX = device(rows, cols, oldX), gradW = device(1, cols, oldW);
    backend->rmsNormBackward(*gradX, *gradW, *dout, *dx, *rstd, *dw);
    auto byX = gradX.get(), byW = gradW.get();
    for (size_t i = 0; i < byX.size(); ++i) byX[i] -= oldX[i];
    for (size_t i = 0; i < byW.size(); ++i) byW[i] -= oldW[i];
    const auto loss = [&] { return inner(rmsNorm(x, weight, 1e-5), d); };
    if (cols > 1) checkGradient("x", loss, x, byX);  // of one column, it is next to 0
    checkGradient("weight", loss, weight, byW);

    // Without the weight's gradient, x's is the same.
    const Device alone = device(rows, cols, oldX);
    backend->rmsNormBackward(*alone, Tensor{}, *dout, *dx, *rstd, *dw);
    EXPECT_TRUE(sameBits(alone.floats(), gradX.floats()));

    // What is rounded with it is what a copy makes, and may be columns of a wider matrix.
    const Device again = device(rows, cols, oldX), memory = device(rows, cols + 8), seen = device(rows, cols), expected = device(rows, cols);
    const Tensor half = Tensor{(*memory).data, rows, 2 * (cols + 8), 2 * (cols + 8), DType::bf16}.columns(8, cols);
    backend->rmsNormBackward(*again, Tensor{}, *dout, *dx, *rstd, *dw, half);
    EXPECT_TRUE(sameBits(again.floats(), gradX.floats()));
    backend->copy(*seen, half);
    backend->copy(half, *gradX);
    backend->copy(*expected, half);
    EXPECT_TRUE(sameBits(seen.floats(), expected.floats()));

    backend->rmsNorm(*dx, *rstd, *dx, *dw, 1e-5f);  // in place
    EXPECT_TRUE(sameBits(dx.floats(), out.floats()));
  }
}

TEST_F(Norm, WholeRowsMayBeApart) {
  const auto x = randomNumbers(20 * 64, 1), weight = randomNumbers(40, 2);
  const Device wide = device(20, 64, x), dw = device(1, 40, weight), out = device(20, 40), rstd = device(20, 1);
  backend->rmsNorm(*out, *rstd, (*wide).columns(8, 40), *dw, 1e-6f);
  Numbers narrow;
  for (size_t r = 0; r < 20; ++r) narrow.insert(narrow.end(), x.begin() + r * 64 + 8, x.begin() + r * 64 + 48);
  EXPECT_LT(relativeError(out.get(), rmsNorm(narrow, weight, 1e-6)), 1e-6);
}

TEST_F(Norm, WeightGradientDependsNotOnThreads) {
  const auto x = randomNumbers(3000 * 32, 1), d = randomNumbers(3000 * 32, 2), weight = randomNumbers(32, 3);
  std::vector<float> first;
  for (const int threads : {1, 2, 4, 2}) {
    const auto other = makeBackend(threads);
    const Device dx(other, 3000, 32, x), dw(other, 1, 32, weight), dout(other, 3000, 32, d), rstd(other, 3000, 1);
    const Device out(other, 3000, 32), gradX(other, 3000, 32, x), gradW(other, 1, 32, weight);
    other->rmsNorm(*out, *rstd, *dx, *dw, 1e-5f);
    other->rmsNormBackward(*gradX, *gradW, *dout, *dx, *rstd, *dw);
    if (first.empty()) first = gradW.floats();
    EXPECT_TRUE(sameBits(gradW.floats(), first)) << threads;
  }
}

TEST_F(Norm, RopeTurnsAndTurnsBack) {
  for (const int headSize : {2, 6, 32, 128}) {
    SCOPED_TRACE(headSize);
    const int heads = 3, positions = 50;
    const Numbers table = tableOf(headSize, positions);
    std::vector<int32_t> at;
    for (int i = 0; i < 41; ++i) at.push_back(i * 7 % positions);
    auto x = randomNumbers(41 * heads * headSize, 1);
    const auto d = randomNumbers(41 * heads * headSize, 2);
    const Device dx = device(41, heads * headSize, x), dt = device(positions, headSize, table);
    const Array places(backend, at);
    backend->rope(*dx, *dt, places.get(), headSize, false);
    EXPECT_LT(relativeError(dx.get(), rope(x, table, at, static_cast<size_t>(headSize), false)), 1e-6);
    backend->rope(*dx, *dt, places.get(), headSize, true);
    EXPECT_LT(relativeError(dx.get(), x), 1e-6);

    const Device gradient = device(41, heads * headSize, d);
    backend->rope(*gradient, *dt, places.get(), headSize, true);
    checkGradient(
        "x", [&] { return inner(rope(x, table, at, static_cast<size_t>(headSize), false), d); }, x, gradient.get());
  }
}

TEST_F(Norm, HeadsAreNormedAndTurnedInOne) {
  struct Shape {
    int headSize, heads, rows;
  };
  for (const Shape s : {Shape{2, 1, 1}, {6, 5, 7}, {12, 4, 70}, {32, 3, 41}, {66, 1, 5}, {128, 2, 300}}) {
    SCOPED_TRACE(::testing::Message() << s.rows << " rows of " << s.heads << " heads of " << s.headSize);
    const int64_t width = int64_t{s.heads} * s.headSize, count = s.rows * width;
    const Numbers table = tableOf(s.headSize, 50), d = randomNumbers(count, 2);
    std::vector<int32_t> at;
    for (int i = 0; i < s.rows; ++i) at.push_back(i * 7 % 50);
    Numbers x = randomNumbers(count, 1, 2), weight = randomNumbers(s.headSize, 3);
    const auto reference = [&] { return rope(rmsNorm(x, weight, 1e-6), table, at, static_cast<size_t>(s.headSize), false); };
    const Device dx = device(s.rows, width, x), dw = device(1, s.headSize, weight), dt = device(50, s.headSize, table);
    const Device out = device(s.rows, width), rstd = device(s.rows * s.heads, 1);
    const Array places(backend, at);
    backend->normRope(*out, *rstd, *dx, *dw, 1e-6f, *dt, places.get());
    EXPECT_LT(relativeError(out.get(), reference()), 1e-6);

    const Numbers old = randomNumbers(s.headSize, 4);
    const Device dout = device(s.rows, width, d), again = device(s.rows, width, d), gradW = device(1, s.headSize, old);
    const Device gradX = device(s.rows, width, Numbers(d.size(), std::nan(""))), alone = device(s.rows, width);
    backend->normRopeBackward(*gradX, *gradW, *dout, *dx, *rstd, *dw, *dt, places.get());
    auto byW = gradW.get();
    for (size_t i = 0; i < byW.size(); ++i) byW[i] -= old[i];
    const auto loss = [&] { return inner(reference(), d); };
    checkGradient("x", loss, x, gradX.get());
    checkGradient("weight", loss, weight, byW);
    backend->normRopeBackward(*alone, Tensor{}, *again, *dx, *rstd, *dw, *dt, places.get());
    EXPECT_TRUE(sameBits(alone.floats(), gradX.floats()));
  }
}

}  // namespace
}  // namespace sftlab::test
