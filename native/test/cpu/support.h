#pragma once

// What the tests of the CPU operations share: tensors in the backend's memory with a copy in double, comparison by
// relative norm, and gradient checks by central differences of a reference in double.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "test/backend.h"

namespace sftlab::test {

/// How often what is drawn at random is drawn: the emulator is slow.
#ifdef SFT_LAB_TEST_CUDA
constexpr int64_t kDraws = 64;
#else
constexpr int64_t kDraws = 20'000;
#endif

using Numbers = std::vector<double>;

/// A (rows, cols) tensor of the backend that frees itself. Numbers go in and out as double.
class Device {
 public:
  Device(const std::shared_ptr<Backend>& backend, int64_t rows, int64_t cols)
      : backend_(backend),
        memory_(backend->allocate(static_cast<size_t>(rows * cols) * sizeof(float)),
                [backend](void* data) { backend->release(data); }),
        tensor_{memory_.get(), rows, cols, cols, DType::f32} {}
  Device(const std::shared_ptr<Backend>& backend, int64_t rows, int64_t cols, const Numbers& values)
      : Device(backend, rows, cols) {
    set(values);
  }

  const Tensor& operator*() const { return tensor_; }

  void set(const Numbers& values) {
    const std::vector<float> floats(values.begin(), values.end());
    backend_->upload(tensor_.data, floats.data(), floats.size() * sizeof(float));
  }
  std::vector<float> floats() const {
    std::vector<float> values(static_cast<size_t>(tensor_.size()));
    backend_->synchronize();
    backend_->download(values.data(), tensor_.data, tensor_.bytes());
    return values;
  }
  Numbers get() const {
    const auto values = floats();
    return {values.begin(), values.end()};
  }

 private:
  std::shared_ptr<Backend> backend_;
  std::shared_ptr<void> memory_;
  Tensor tensor_;
};

/// A vector in the backend's memory: what operations read and write beside tensors.
template <typename T>
class Array {
 public:
  Array(const std::shared_ptr<Backend>& backend, const std::vector<T>& values)
      : backend_(backend),
        count_(values.size()),
        memory_(static_cast<T*>(backend->allocate(count_ * sizeof(T))), [backend](T* data) { backend->release(data); }) {
    backend_->upload(memory_.get(), values.data(), count_ * sizeof(T));
  }

  T* get() const { return memory_.get(); }
  std::vector<T> values() const {
    std::vector<T> values(count_);
    backend_->synchronize();
    backend_->download(values.data(), memory_.get(), count_ * sizeof(T));
    return values;
  }

 private:
  std::shared_ptr<Backend> backend_;
  size_t count_;
  std::shared_ptr<T> memory_;
};

/// Normal numbers, each exact in float so that the reference starts from what the backend has.
inline Numbers randomNumbers(int64_t count, unsigned seed, double deviation = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, deviation);
  Numbers values(static_cast<size_t>(count));
  for (double& value : values) value = static_cast<float>(normal(random));
  return values;
}

/// Norm of the difference over the norm of what was expected, or over `least` where that is larger (for what is 0 but
/// for rounding).
inline double relativeError(const Numbers& actual, const Numbers& expected, double least = 1e-30) {
  EXPECT_EQ(actual.size(), expected.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference) / std::max(std::sqrt(norm), least);
}

/// Central differences of `loss` by elements of x against `gradient`. Beyond `samples` elements, evenly spread ones are
/// taken.
inline void checkGradient(const std::string& what, const std::function<double()>& loss, Numbers& x,
                          const Numbers& gradient, double tolerance = 2e-5, size_t samples = 60) {
  SCOPED_TRACE("gradient by " + what);
  ASSERT_EQ(x.size(), gradient.size());
  const size_t count = std::min(x.size(), samples);
  Numbers actual, expected;
  for (size_t s = 0; s < count; ++s) {
    const size_t i = x.size() <= samples ? s : (s * x.size()) / samples + s % 3;
    if (i >= x.size()) continue;
    constexpr double step = 1e-5;
    const double before = x[i];
    x[i] = before + step;
    const double above = loss();
    x[i] = before - step;
    const double below = loss();
    x[i] = before;
    expected.push_back((above - below) / (2 * step));
    actual.push_back(gradient[i]);
  }
  EXPECT_LT(relativeError(actual, expected, 0.05), tolerance);
}

inline double inner(const Numbers& a, const Numbers& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

inline bool sameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

inline Numbers sum(Numbers a, const Numbers& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

/// Each test runs on two threads unless it says otherwise.
class CpuTest : public ::testing::Test {
 protected:
  std::shared_ptr<Backend> backend = makeBackend(2);

  Device device(int64_t rows, int64_t cols) { return {backend, rows, cols}; }
  Device device(int64_t rows, int64_t cols, const Numbers& values) { return {backend, rows, cols, values}; }
  /// What a tensor holds, of any dtype and stride.
  Numbers values(const Tensor& x) {
    const Device wide = device(x.rows, x.cols);
    backend->copy(*wide, x);
    return wide.get();
  }
};

}  // namespace sftlab::test
