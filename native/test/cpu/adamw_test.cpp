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
