// What works on each element by itself, and bias.

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

namespace {

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

template <typename T>
struct Add {
  View<float> out;
  View<T> x;
  DEVICE void operator()(int64_t row, int64_t col) const { out(row, col) += get(x(row, col)); }
};

template <typename T>
struct AddBias {
  View<T> x;
  const float* bias;
  DEVICE void operator()(int64_t row, int64_t col) const { put(x(row, col), get(x(row, col)) + bias[col]); }
};

template <typename T>
struct Element {
  View<T> x;
  DEVICE float operator()(int64_t row, int64_t col) const { return get(x(row, col)); }
};

template <typename T>
struct Swiglu {
  View<T> out, gate, up;
  DEVICE void operator()(int64_t row, int64_t col) const {
    const float g = get(gate(row, col));
    put(out(row, col), g * sigmoid(g) * get(up(row, col)));
  }
};

template <typename T>
struct SwigluBackward {
  View<T> dgate, dup, act, dout, gate, up;
  DEVICE void operator()(int64_t row, int64_t col) const {
    const float g = get(gate(row, col)), u = get(up(row, col)), d = get(dout(row, col)), s = sigmoid(g);
    put(dgate(row, col), d * u * s * (1 + g * (1 - s)));
    put(dup(row, col), d * g * s);
    if (act.data) put(act(row, col), g * s * u);
  }
};

}  // namespace

void CudaBackend::add(const Tensor& out, const Tensor& x) {
  requireF32(out);
  withNumbers(x.dtype, [&]<typename T>() {
    launch(stream_, gridFor(x.size()), kThreads, 0, eachElement<Add<T>>, x.rows, x.cols, Add<T>{view<float>(out), view<T>(x)});
  });
}

void CudaBackend::addBias(const Tensor& x, const Tensor& bias) {
  requireF32(bias);
  withNumbers(x.dtype, [&]<typename T>() {
    launch(stream_, gridFor(x.size()), kThreads, 0, eachElement<AddBias<T>>, x.rows, x.cols, AddBias<T>{view<T>(x), bias.f32()});
  });
}

void CudaBackend::addBiasBackward(const Tensor& dbias, const Tensor& dout) {
  requireF32(dbias);
  withNumbers(dout.dtype, [&]<typename T>() { columnSums(dbias, dout.rows, Element<T>{view<T>(dout)}); });
}

void CudaBackend::swiglu(const Tensor& out, const Tensor& gate, const Tensor& up) {
  requireSame(out, gate, up);
  withNumbers(out.dtype, [&]<typename T>() {
    launch(stream_, gridFor(out.size()), kThreads, 0, eachElement<Swiglu<T>>, out.rows, out.cols,
           Swiglu<T>{view<T>(out), view<T>(gate), view<T>(up)});
  });
}

void CudaBackend::swigluBackward(const Tensor& dgate, const Tensor& dup, const Tensor& act, const Tensor& dout, const Tensor& gate,
                                 const Tensor& up) {
  requireSame(dout, dgate, dup, act, gate, up);
  withNumbers(dout.dtype, [&]<typename T>() {
    using Body = SwigluBackward<T>;
    launch(stream_, gridFor(dout.size()), kThreads, 0, eachElement<Body>, dout.rows, dout.cols,
           Body{view<T>(dgate), view<T>(dup), view<T>(act), view<T>(dout), view<T>(gate), view<T>(up)});
  });
}

}  // namespace sftlab::cuda
