#include <algorithm>

#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

/// torch.optim.AdamW's single-tensor step, in double.
struct Reference {
  Numbers x, m, v;
  void step(const Numbers& gradient, const AdamOptions& o, bool decay) {
    for (size_t i = 0; i < x.size(); ++i) {
      const double g = gradient[i] * o.gradientScale;
      if (decay) x[i] -= o.learningRate * o.weightDecay * x[i];
      m[i] += (g - m[i]) * (1 - o.beta1);
      v[i] = v[i] * o.beta2 + (1 - o.beta2) * g * g;
      const double t = static_cast<double>(o.step);
      const double denominator = std::sqrt(v[i]) / std::sqrt(1 - std::pow(o.beta2, t)) + o.epsilon;
      x[i] -= o.learningRate / (1 - std::pow(o.beta1, t)) * m[i] / denominator;
    }
  }
};

class AdamW : public CpuTest {};

TEST_F(AdamW, FollowsTorchOverTwentySteps) {
  const std::vector<int64_t> sizes{1, 1000, 40'000, 17};
  std::vector<Reference> expected;
  std::vector<Device> values, gradients, firsts, seconds;
  std::vector<AdamParameter> parameters;
  unsigned seed = 1;
  for (int64_t size : sizes) {
    const auto x = randomNumbers(size, ++seed);
    expected.push_back({x, Numbers(x.size()), Numbers(x.size())});
    values.push_back(device(1, size, x));
    for (auto* list : {&gradients, &firsts, &seconds}) list->push_back(device(1, size, Numbers(x.size())));
    parameters.push_back({*values.back(), *gradients.back(), *firsts.back(), *seconds.back(), size > 17});
  }
  for (int64_t step = 1; step <= 20; ++step) {
    const AdamOptions options{0.01, 0.9, 0.999, 1e-8, 0.1, 0.125, step};
    for (size_t t = 0; t < sizes.size(); ++t) {
      // The second tensor's gradients are so small that epsilon counts.
      const auto g = randomNumbers(sizes[t], ++seed, t == 1 ? 5e-7 : 5);
      gradients[t].set(g);
      expected[t].step(g, options, parameters[t].decay);
    }
    backend->adamw(parameters, options);
  }
  for (size_t t = 0; t < sizes.size(); ++t) {
    EXPECT_LT(relativeError(values[t].get(), expected[t].x), 2e-6);
    EXPECT_LT(relativeError(firsts[t].get(), expected[t].m), 2e-6);
    EXPECT_LT(relativeError(seconds[t].get(), expected[t].v), 2e-6);
  }
}

/// Values, gradients of 1 and moments in bf16, for as many steps as one likes.
struct HalfMoments {
  Device value, gradient, first, second;
  Tensor m, v;
  HalfMoments(const std::shared_ptr<Backend>& backend, int64_t size)
      : value(backend, 1, size, Numbers(static_cast<size_t>(size))),
        gradient(backend, 1, size, Numbers(static_cast<size_t>(size), 1)),
        first(backend, 1, size),
        second(backend, 1, size),
        m{(*first).data, 1, size, size, DType::bf16},
        v{(*second).data, 1, size, size, DType::bf16} {
    backend->zero(m);
    backend->zero(v);
  }
  void step(Backend& backend, int64_t step, uint64_t stream) {
    backend.adamw({{*value, *gradient, m, v, false}}, {1e-3, 0.9, 0.999, 1e-8, 0, 1, step, {5, stream}});
  }
};

double mean(const Numbers& numbers) { return inner(numbers, Numbers(numbers.size(), 1.0 / static_cast<double>(numbers.size()))); }

TEST_F(AdamW, MomentsInBf16AreRoundedToEitherSideByHowNearItIs) {
  HalfMoments half(backend, 40'000);
  half.step(*backend, 1, 9);
  const Numbers m = values(half.m), v = values(half.v);
  EXPECT_NEAR(mean(m), 0.1, 1e-5);  // rounded to the nearest all would be 0.10010
  EXPECT_NEAR(mean(v), 0.001, 2e-7);
  const auto [least, most] = std::minmax_element(m.begin(), m.end());
  EXPECT_NEAR(*most - *least, 0x1p-11, 1e-9);
  // What is updated is not rounded: every number had the same gradient.
  const Numbers x = half.value.get();
  EXPECT_EQ(*std::min_element(x.begin(), x.end()), *std::max_element(x.begin(), x.end()));
}

TEST_F(AdamW, SmallChangesOfMomentsInBf16AddUp) {
  HalfMoments half(backend, 512);
  for (int64_t step = 1; step <= 600; ++step) half.step(*backend, step, static_cast<uint64_t>(step) << 20);
  // Rounded to the nearest it would stand still at 0.25, where a thousandth of what is missing is less than half a step of bf16.
  EXPECT_NEAR(mean(values(half.v)), 1 - std::pow(0.999, 600), 0.006);
}

TEST_F(AdamW, RoundingIsAFunctionOfItsStream) {
  std::vector<Numbers> found;
  for (const uint64_t stream : {3, 3, 4}) {
    HalfMoments half(backend, 20'003);  // not all in fours
    half.step(*backend, 1, stream);
    found.push_back(values(half.m));
  }
  EXPECT_EQ(found[0], found[1]);
  EXPECT_NE(found[0], found[2]);
}

TEST_F(AdamW, SquaredNormIsExactInDoubleAndTheSameOnAnyThreads) {
  const auto a = randomNumbers(100'001, 1, 1e3), b = randomNumbers(3, 2);
  double expected = 0;
  for (const auto* numbers : {&a, &b}) {
    for (double value : *numbers) expected += value * value;
  }
  double first = 0;
  for (const int threads : kThreadCounts) {
    const auto other = makeBackend(threads);
    const Device da(other, 1, 100'001, a), db(other, 1, 3, b);
    const double norm = other->squaredNorm({*da, *db});
    EXPECT_NEAR(norm / expected, 1, 1e-13);
    if (first == 0) first = norm;
    EXPECT_EQ(norm, first);
  }
  EXPECT_EQ(backend->squaredNorm({}), 0);
}

}  // namespace
}  // namespace sftlab::test
