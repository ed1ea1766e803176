// RMSNorm and rotary positions. A norm's row is one warp's work; see cpu/rms_norm.cpp for the formulas.

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

namespace {

template <typename In, typename Out>
KERNEL void normRows(View<Out> out, float* rstd, int64_t rstdStride, View<In> x, const float* weight, float epsilon) {
  const Self me = self();
  for (int64_t row = static_cast<int64_t>(me.blockX) * me.warps() + me.warp(); row < x.rows;
       row += static_cast<int64_t>(me.blocksX) * me.warps()) {
    const In* const from = x.row(row);
    float sum = 0;
    for (int64_t c = me.lane(); c < x.cols; c += 32) sum += get(from[c]) * get(from[c]);
    const float r = 1.0f / sqrtf(warpSum(sum) / static_cast<float>(x.cols) + epsilon);
    if (me.lane() == 0) rstd[row * rstdStride] = r;
    Out* const to = out.row(row);
    for (int64_t c = me.lane(); c < x.cols; c += 32) put(to[c], get(from[c]) * r * weight[c]);
  }
}

template <typename T>
KERNEL void normRowsBackward(View<T> dx, View<T> dout, View<T> x, const float* rstd, int64_t rstdStride, const float* weight) {
  const Self me = self();
  for (int64_t row = static_cast<int64_t>(me.blockX) * me.warps() + me.warp(); row < x.rows;
       row += static_cast<int64_t>(me.blocksX) * me.warps()) {
    const T* const d = dout.row(row);
    const T* const v = x.row(row);
    T* const to = dx.row(row);
    const float r = rstd[row * rstdStride];
    float dot = 0;
    for (int64_t c = me.lane(); c < x.cols; c += 32) dot += get(d[c]) * weight[c] * get(v[c]);
    const float scale = warpSum(dot) * r * r / static_cast<float>(x.cols);
    for (int64_t c = me.lane(); c < x.cols; c += 32) {
      put(to[c], get(to[c]) + r * (get(d[c]) * weight[c] - get(v[c]) * scale));
    }
  }
}

template <typename T>
struct WeightTerm {
  View<T> dout, x;
  const float* rstd;
  int64_t rstdStride;
  DEVICE float operator()(int64_t row, int64_t col) const { return get(dout(row, col)) * get(x(row, col)) * rstd[row * rstdStride]; }
};

template <typename T>
struct Rotate {
  View<T> x;
  View<float> table;
  const int32_t* positions;
  int32_t headSize;
  float sign;
  /// col counts pairs: half as many as there are columns.
  DEVICE void operator()(int64_t row, int64_t col) const {
    const int32_t half = headSize / 2;
    const int64_t i = col % half;
    T* const a = x.row(row) + col / half * headSize + i;
    T* const b = a + half;
    const float* const cosine = table.row(positions[row]) + i;
    const float p = get(*a), q = get(*b), c = cosine[0], s = sign * cosine[half];
    put(*a, p * c - q * s);
    put(*b, q * c + p * s);
  }
};

Grid gridOfWarps(int64_t rows) { return gridFor(rows * 32); }

}  // namespace

void CudaBackend::rmsNorm(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon) {
  requireF32(rstd, weight);
  withNumbers(x.dtype, [&]<typename In>() {
    withNumbers(out.dtype, [&]<typename Out>() {
      launch(stream_, gridOfWarps(x.rows), kThreads, 0, normRows<In, Out>, view<Out>(out), rstd.f32(), rstd.stride, view<In>(x),
             static_cast<const float*>(weight.f32()), epsilon);
    });
  });
}

void CudaBackend::rmsNormBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x, const Tensor& rstd,
                                  const Tensor& weight) {
  requireF32(dweight, rstd, weight);
  requireSame(dx, dout, x);
  withNumbers(x.dtype, [&]<typename T>() {
    if (dweight) columnSums(dweight, x.rows, WeightTerm<T>{view<T>(dout), view<T>(x), rstd.f32(), rstd.stride});
    launch(stream_, gridOfWarps(x.rows), kThreads, 0, normRowsBackward<T>, view<T>(dx), view<T>(dout), view<T>(x),
           static_cast<const float*>(rstd.f32()), rstd.stride, static_cast<const float*>(weight.f32()));
  });
}

void CudaBackend::rope(const Tensor& x, const Tensor& table, const int32_t* positions, int32_t headSize, bool inverse) {
  requireF32(table);
  withNumbers(x.dtype, [&]<typename T>() {
    launch(stream_, gridFor(x.size() / 2), kThreads, 0, eachElement<Rotate<T>>, x.rows, x.cols / 2,
           Rotate<T>{view<T>(x), view<float>(table), positions, headSize, inverse ? -1.0f : 1.0f});
  });
}

}  // namespace sftlab::cuda
