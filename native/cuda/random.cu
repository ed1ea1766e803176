// Dropout and initial weights: element i takes number i % 4 of the stream's block i / 4, as on the CPU.

#include "cuda/cuda_backend_impl.h"
#include "cuda/philox.h"

namespace sftlab::cuda {

namespace {

DEVICE uint32_t bitsOf(RandomStream stream, int64_t element) {
  return philox(stream, static_cast<uint64_t>(element / 4)).numbers[element % 4];
}

template <typename T>
struct Dropout {
  View<T> out, x;
  float p, scale;
  RandomStream stream;
  DEVICE float kept(float number, uint32_t bits) const { return unitFloat(bits) < p ? 0.0f : number * scale; }
  DEVICE void operator()(int64_t row, int64_t col) const {
    put(out(row, col), kept(get(x(row, col)), bitsOf(stream, row * x.cols + col)));
  }
  /// Of one block of random numbers: rows are made of fours.
  DEVICE void four(int64_t row, int64_t col) const {
    const Four random = philox(stream, static_cast<uint64_t>((row * x.cols + col) / 4));
    float numbers[4];
    load(numbers, &x(row, col));
    UNROLL for (int i = 0; i < 4; ++i) numbers[i] = kept(numbers[i], random.numbers[i]);
    store(&out(row, col), numbers);
  }
};

struct Uniform {
  View<float> out;
  float bound;
  RandomStream stream;
  DEVICE void operator()(int64_t row, int64_t col) const {
    out(row, col) = bound * (2 * unitFloat(bitsOf(stream, row * out.cols + col)) - 1);
  }
};

struct Normal {
  View<float> out;
  float deviation;
  RandomStream stream;
  DEVICE void operator()(int64_t row, int64_t col) const {
    const int64_t i = row * out.cols + col;
    const Four four = philox(stream, static_cast<uint64_t>(i / 4));
    const int pair = static_cast<int>(i % 4 / 2 * 2);
    const double radius = sqrt(-2 * log(static_cast<double>(unitFloat(four.numbers[pair])) + 0x1p-25));
    const double angle = 6.283185307179586476925 * unitFloat(four.numbers[pair + 1]);
    out(row, col) = deviation * static_cast<float>(radius * (i % 2 ? sin(angle) : cos(angle)));
  }
};

}  // namespace

void CudaBackend::dropout(const Tensor& out, const Tensor& x, float p, RandomStream stream) {
  requireSame(out, x);
  const float scale = p < 1 ? 1.0f / (1.0f - p) : 0.0f;
  withNumbers(x.dtype, [&]<typename T>() {
    launchEach(stream_, x.rows, x.cols, Dropout<T>{view<T>(out), view<T>(x), p, scale, stream}, out, x);
  });
}

void CudaBackend::fillUniform(const Tensor& out, float bound, RandomStream stream) {
  requireF32(out);
  launch(stream_, gridFor(out.size()), kThreads, 0, eachElement<Uniform>, out.rows, out.cols, Uniform{view<float>(out), bound, stream});
}

void CudaBackend::fillNormal(const Tensor& out, float deviation, RandomStream stream) {
  requireF32(out);
  launch(stream_, gridFor(out.size()), kThreads, 0, eachElement<Normal>, out.rows, out.cols,
         Normal{view<float>(out), deviation, stream});
}

}  // namespace sftlab::cuda
