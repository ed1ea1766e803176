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
  DEVICE void operator()(int64_t row, int64_t col) const {
    const bool drops = unitFloat(bitsOf(stream, row * x.cols + col)) < p;
    put(out(row, col), drops ? 0.0f : get(x(row, col)) * scale);
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
    launch(stream_, gridFor(x.size()), kThreads, 0, eachElement<Dropout<T>>, x.rows, x.cols,
           Dropout<T>{view<T>(out), view<T>(x), p, scale, stream});
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
