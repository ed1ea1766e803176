#include <limits>

#include "cpu/vector.h"
#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

Numbers swiglu(const Numbers& gate, const Numbers& up) {
  Numbers out(gate.size());
  for (size_t i = 0; i < gate.size(); ++i) out[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
  return out;
}

class Elementwise : public CpuTest {};

TEST_F(Elementwise, FastExpIsWithinTwoUnitsOfTheLastPlace) {
  double worst = 0;
  for (float x = -86.9f; x < 88.0f; x += 0.00137f) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(fastExp(x) - exact) / exact);
    const Vec lanes = fastExp(splat(x));
    ASSERT_EQ(lanes[kLanes - 1], fastExp(x)) << x;
  }
  EXPECT_LT(worst, 2.4e-7);
  EXPECT_EQ(fastExp(0.0f), 1.0f);
  EXPECT_EQ(fastExp(-std::numeric_limits<float>::infinity()), 0.0f);
  EXPECT_EQ(fastExp(-1e30f), 0.0f);
  EXPECT_TRUE(std::isfinite(fastExp(1e30f)));
  for (const uint32_t payload : {0x7FC00000u, 0x7FC00001u, 0xFFFFFFFFu, 0x7F800001u}) {
    EXPECT_TRUE(std::isnan(fastExp(std::bit_cast<float>(payload))));
    EXPECT_TRUE(std::isnan(fastExp(splat(std::bit_cast<float>(payload)))[0]));
  }
}

TEST_F(Elementwise, AddAddsWithAndWithoutStride) {
  const auto a = randomNumbers(70 * 100, 1), b = randomNumbers(70 * 100, 2);
  const Device da = device(70, 100, a), db = device(70, 100, b);
  backend->add(*da, *db);
  EXPECT_LT(relativeError(da.get(), sum(a, b)), 1e-7);
  const Device dc = device(70, 100, a);
  backend->add((*dc).columns(30, 20), (*db).columns(0, 20));
  const auto actual = dc.get();
  for (size_t r = 0; r < 70; ++r) {
    for (size_t c = 0; c < 100; ++c) {
      const bool within = c >= 30 && c < 50;
      ASSERT_NEAR(actual[r * 100 + c], a[r * 100 + c] + (within ? b[r * 100 + c - 30] : 0), 1e-6);
    }
  }
}

TEST_F(Elementwise, SwigluAndItsGradient) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 1}, {3, 17}, {40, 333}, {1, 20000}}) {
    SCOPED_TRACE(::testing::Message() << rows << "x" << cols);
    auto gate = randomNumbers(rows * cols, 1, 3), up = randomNumbers(rows * cols, 2);
    const auto d = randomNumbers(rows * cols, 3);
    const Device dgate = device(rows, cols, gate), dup = device(rows, cols, up), out = device(rows, cols);
    backend->swiglu(*out, *dgate, *dup);
    EXPECT_LT(relativeError(out.get(), swiglu(gate, up)), 1e-6);

    const Device dout = device(rows, cols, d), gradGate = device(rows, cols), gradUp = device(rows, cols);
    backend->swigluBackward(*gradGate, *gradUp, {}, *dout, *dgate, *dup);
    // Element i of the loss depends on element i alone, so the rest of the sum is left out of it.
    const auto loss = [&] { return inner(swiglu(gate, up), d); };
    if (rows * cols < 20000) {
      checkGradient("gate", loss, gate, gradGate.get());
      checkGradient("up", loss, up, gradUp.get());
    }
    // In place: each gradient in the memory of the input it belongs to.
    backend->swigluBackward(*dgate, *dup, {}, *dout, *dgate, *dup);
    EXPECT_TRUE(sameBits(dgate.floats(), gradGate.floats()));
    EXPECT_TRUE(sameBits(dup.floats(), gradUp.floats()));
  }
}

TEST_F(Elementwise, SwigluOfExtremeGates) {
  const Numbers gate{-1e4, -100, -88, 0, 88, 100, 1e4};
  const Device dgate = device(1, 7, gate), up = device(1, 7, Numbers(7, 1.0)), out = device(1, 7);
  backend->swiglu(*out, *dgate, *up);
  const auto actual = out.get();
  for (size_t i = 0; i < 7; ++i) EXPECT_NEAR(actual[i], std::max(0.0, gate[i]), 1e-5);
}

}  // namespace
}  // namespace sftlab::test
