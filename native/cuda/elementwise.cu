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
  DEVICE void four(int64_t row, int64_t col) const {
    float sum[4], more[4];
    load(sum, &out(row, col));
    load(more, &x(row, col));
    UNROLL for (int i = 0; i < 4; ++i) sum[i] += more[i];
    store(&out(row, col), sum);
  }
};

template <typename T>
struct AddBias {
  View<T> x;
  const float* bias;
  DEVICE void operator()(int64_t row, int64_t col) const { put(x(row, col), get(x(row, col)) + bias[col]); }
  DEVICE void four(int64_t row, int64_t col) const {
    float sum[4];
    load(sum, &x(row, col));
    UNROLL for (int i = 0; i < 4; ++i) sum[i] += bias[col + i];
    store(&x(row, col), sum);
  }
};

template <typename T>
struct Elements {
  View<T> x;
  template <int width>
  DEVICE void operator()(float (&to)[width], int64_t row, int64_t col) const {
    load(to, &x(row, col));
  }
};

template <typename T>
struct Swiglu {
  View<T> out, gate, up;
  DEVICE void operator()(int64_t row, int64_t col) const {
    const float g = get(gate(row, col));
    put(out(row, col), g * sigmoid(g) * get(up(row, col)));
  }
  DEVICE void four(int64_t row, int64_t col) const {
    float g[4], u[4];
    load(g, &gate(row, col));
    load(u, &up(row, col));
    UNROLL for (int i = 0; i < 4; ++i) g[i] *= sigmoid(g[i]) * u[i];
    store(&out(row, col), g);
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
  DEVICE void four(int64_t row, int64_t col) const {
    float g[4], u[4], d[4], a[4];
    load(g, &gate(row, col));
    load(u, &up(row, col));
    load(d, &dout(row, col));
    UNROLL for (int i = 0; i < 4; ++i) {
      const float s = sigmoid(g[i]), silu = g[i] * s;
      a[i] = silu * u[i];
      g[i] = d[i] * u[i] * s * (1 + g[i] * (1 - s));
      u[i] = d[i] * silu;
    }
    store(&dgate(row, col), g);
    store(&dup(row, col), u);
    if (act.data) store(&act(row, col), a);
  }
};

}  // namespace

void CudaBackend::add(const Tensor& out, const Tensor& x) {
  requireF32(out);
  withNumbers(x.dtype, [&]<typename T>() {
    launchEach(stream_, x.rows, x.cols, Add<T>{view<float>(out), view<T>(x)}, out, x);
  });
}

void CudaBackend::addBias(const Tensor& x, const Tensor& bias) {
  requireF32(bias);
  withNumbers(x.dtype, [&]<typename T>() {
    launchEach(stream_, x.rows, x.cols, AddBias<T>{view<T>(x), bias.f32()}, x);
  });
}

void CudaBackend::addBiasBackward(const Tensor& dbias, const Tensor& dout) {
  requireF32(dbias);
  withNumbers(dout.dtype, [&]<typename T>() {
    const Elements<T> body{view<T>(dout)};
    inFours(dout) ? columnSums<4>(dbias, dout.rows, body) : columnSums<1>(dbias, dout.rows, body);
  });
}

void CudaBackend::swiglu(const Tensor& out, const Tensor& gate, const Tensor& up) {
  requireSame(out, gate, up);
  withNumbers(out.dtype, [&]<typename T>() {
    launchEach(stream_, out.rows, out.cols, Swiglu<T>{view<T>(out), view<T>(gate), view<T>(up)}, out, gate, up);
  });
}

void CudaBackend::swigluBackward(const Tensor& dgate, const Tensor& dup, const Tensor& act, const Tensor& dout, const Tensor& gate,
                                 const Tensor& up) {
  requireSame(dout, dgate, dup, act, gate, up);
  withNumbers(dout.dtype, [&]<typename T>() {
    using Body = SwigluBackward<T>;
    const Body body{view<T>(dgate), view<T>(dup), view<T>(act), view<T>(dout), view<T>(gate), view<T>(up)};
    launchEach(stream_, dout.rows, dout.cols, body, dgate, dup, act ? act : dout, dout, gate, up);
  });
}

}  // namespace sftlab::cuda
