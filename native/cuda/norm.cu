// RMSNorm, rotary positions, and both in one pass over queries or keys (QK-norm); see cpu/rms_norm.cpp for the formulas.
//
// A norm's row is a block's work, whose threads hold it between its sum and its result: it is read once, four numbers at a time. Where rows
// are not made of fours, or are too long for that, a row is a warp's work, and read twice.

#include <algorithm>

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

namespace {

constexpr int kHeld = 4;           ///< fours of a row that a thread holds
constexpr int kNormThreads = 512;  ///< of a block at most

/// Whether rows are held, and by how many threads.
template <typename... Tensors>
unsigned holders(const Tensor& x, const Tensors&... others) {
  const int64_t threads = (x.cols + 128 * kHeld - 1) / (128 * kHeld) * 32;
  return inFours(x, others...) && threads <= kNormThreads ? static_cast<unsigned>(threads) : 0;
}

/// The column of the i-th four that this thread holds.
DEVICE int64_t columnOf(const Self& me, int i) { return (static_cast<int64_t>(i) * me.threads + me.thread) * 4; }

template <typename T>
DEVICE void loadRow(float (&to)[kHeld][4], const T* row, int64_t cols) {
  const Self me = self();
  UNROLL for (int i = 0; i < kHeld; ++i) {
    UNROLL for (int k = 0; k < 4; ++k) to[i][k] = 0;
    if (columnOf(me, i) < cols) load(to[i], row + columnOf(me, i));
  }
}
template <typename T>
DEVICE void storeRow(T* row, const float (&from)[kHeld][4], int64_t cols) {
  const Self me = self();
  UNROLL for (int i = 0; i < kHeld; ++i) {
    if (columnOf(me, i) < cols) store(row + columnOf(me, i), from[i]);
  }
}

template <typename In, typename Out>
KERNEL BOUNDS(kNormThreads, 1) void normHeld(View<Out> out, float* rstd, int64_t rstdStride, View<In> x, const float* weight, float epsilon) {
  const Self me = self();
  for (int64_t row = me.blockX; row < x.rows; row += me.blocksX) {
    float v[kHeld][4], w[kHeld][4], sum = 0;
    loadRow(v, x.row(row), x.cols);
    loadRow(w, weight, x.cols);
    UNROLL for (int i = 0; i < 4 * kHeld; ++i) sum += v[i / 4][i % 4] * v[i / 4][i % 4];
    const float r = 1.0f / sqrtf(blockSum(sum, sharedMemory<float>()) / static_cast<float>(x.cols) + epsilon);
    if (me.thread == 0) rstd[row * rstdStride] = r;
    UNROLL for (int i = 0; i < 4 * kHeld; ++i) v[i / 4][i % 4] *= r * w[i / 4][i % 4];
    storeRow(out.row(row), v, x.cols);
  }
}

/// A block takes `each` rows; partial (blocks, cols), if any, is its part of the weight's gradient, and `rounded`, if any, dx in bf16.
template <typename T>
KERNEL BOUNDS(kNormThreads, 1) void normHeldBackward(View<T> dx, float* partial, View<T> dout, View<T> x, const float* rstd, int64_t rstdStride,
                                                   const float* weight, int64_t each, View<Bf16> rounded) {
  const Self me = self();
  const int64_t first = me.blockX * each, end = first + each < x.rows ? first + each : x.rows;
  float sums[kHeld][4] = {};
  for (int64_t row = first; row < end; ++row) {
    float d[kHeld][4], v[kHeld][4], to[kHeld][4], w[kHeld][4], dot = 0;
    loadRow(d, dout.row(row), x.cols);
    loadRow(v, x.row(row), x.cols);
    loadRow(to, dx.row(row), x.cols);
    loadRow(w, weight, x.cols);
    const float r = rstd[row * rstdStride];
    UNROLL for (int i = 0; i < 4 * kHeld; ++i) {
      float& g = d[i / 4][i % 4];
      const float number = v[i / 4][i % 4];
      sums[i / 4][i % 4] += g * number * r;
      g *= w[i / 4][i % 4];
      dot += g * number;
    }
    const float scale = blockSum(dot, sharedMemory<float>()) * r * r / static_cast<float>(x.cols);
    UNROLL for (int i = 0; i < 4 * kHeld; ++i) to[i / 4][i % 4] += r * (d[i / 4][i % 4] - v[i / 4][i % 4] * scale);
    storeRow(dx.row(row), to, x.cols);
    if (rounded.data) storeRow(rounded.row(row), to, x.cols);
  }
  if (partial) storeRow(partial + me.blockX * x.cols, sums, x.cols);
}

/// Rows that a block takes, by their number alone, as the sums are cut by them: some 512 blocks, so that what they sum is little beside
/// what they read.
int64_t rowsEach(int64_t rows) { return std::clamp<int64_t>(rows / 512, 4, 64); }

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
  DEVICE void operator()(float (&to)[1], int64_t row, int64_t col) const {
    to[0] = get(dout(row, col)) * get(x(row, col)) * rstd[row * rstdStride];
  }
};

template <typename T>
struct Rotate {
  View<T> x;
  View<float> table;
  const int32_t* positions;
  int32_t headSize;
  float sign;
  /// col counts pairs: half as many as there are columns.
  template <int width>
  DEVICE void turn(int64_t row, int64_t col) const {
    const auto half = static_cast<uint32_t>(headSize) / 2, head = static_cast<uint32_t>(col) / half, i = static_cast<uint32_t>(col) - head * half;
    T* const a = x.row(row) + head * static_cast<uint32_t>(headSize) + i;
    const float* const angles = table.row(positions[row]) + i;
    float p[width], q[width], c[width], s[width];
    load(p, a);
    load(q, a + half);
    load(c, angles);
    load(s, angles + half);
    UNROLL for (int k = 0; k < width; ++k) {
      const float before = p[k], sine = sign * s[k];
      p[k] = before * c[k] - q[k] * sine;
      q[k] = q[k] * c[k] + before * sine;
    }
    store(a, p);
    store(a + half, q);
  }
  DEVICE void operator()(int64_t row, int64_t col) const { turn<1>(row, col); }
  DEVICE void four(int64_t row, int64_t col) const { turn<4>(row, col); }
};

/// The heads of queries or keys, each normed and turned: what `normRope` works on.
struct Heads {
  const float* weight;
  View<float> table;
  const int32_t* positions;
  int32_t size;  ///< of one head

  /// The token of a head, as heads of all tokens are counted, and its first column. There are fewer than 2^32: a division of 64 bits would
  /// cost more than a norm.
  struct Place {
    int64_t row, column;
  };
  DEVICE Place placeOf(int64_t item, int64_t cols) const {
    const auto number = static_cast<uint32_t>(item), each = static_cast<uint32_t>(cols) / static_cast<uint32_t>(size), row = number / each;
    return {row, (number - row * each) * static_cast<uint32_t>(size)};
  }
};

template <typename T>
KERNEL void turnNormed(View<T> out, float* rstd, View<T> x, float epsilon, Heads heads) {
  const Self me = self();
  const int64_t each = x.cols / heads.size;
  const int32_t half = heads.size / 2;
  for (int64_t item = static_cast<int64_t>(me.blockX) * me.warps() + me.warp(); item < x.rows * each;
       item += static_cast<int64_t>(me.blocksX) * me.warps()) {
    const auto [row, at] = heads.placeOf(item, x.cols);
    const T* const from = x.row(row) + at;
    T* const to = out.row(row) + at;
    float sum = 0;
    for (int32_t c = static_cast<int32_t>(me.lane()); c < heads.size; c += 32) sum += get(from[c]) * get(from[c]);
    const float r = 1.0f / sqrtf(warpSum(sum) / static_cast<float>(heads.size) + epsilon);
    if (me.lane() == 0) rstd[item] = r;
    const float* const angles = heads.table.row(heads.positions[row]);
    for (int32_t i = static_cast<int32_t>(me.lane()); i < half; i += 32) {
      const float p = get(from[i]) * r * heads.weight[i], q = get(from[i + half]) * r * heads.weight[i + half];
      put(to[i], p * angles[i] - q * angles[i + half]);
      put(to[i + half], q * angles[i] + p * angles[i + half]);
    }
  }
}

/// Heads that a block works on, whatever the grid: sums for the weight's gradient are cut by shape alone.
constexpr int64_t kHeadsEach = 256;

/// partial (blocks, size), if any, is each block's part of the weight's gradient. Of a head's pairs each stays with the lane that wrote it.
template <typename T>
KERNEL void turnNormedBackward(View<T> dx, float* partial, View<T> dout, View<T> x, const float* rstd, Heads heads) {
  const Self me = self();
  const int64_t each = x.cols / heads.size, first = me.blockX * kHeadsEach;
  const int64_t end = first + kHeadsEach < x.rows * each ? first + kHeadsEach : x.rows * each;
  const int32_t half = heads.size / 2;
  float* const sums = sharedMemory<float>();  // (warps, size)
  float* const mine = sums + me.warp() * heads.size;
  const auto lane = static_cast<int32_t>(me.lane());
  if (partial) {
    for (int32_t i = lane; i < half; i += 32) mine[i] = mine[i + half] = 0;
  }
  for (int64_t item = first + me.warp(); item < end; item += me.warps()) {
    const auto [row, at] = heads.placeOf(item, x.cols);
    const T* const d = dout.row(row) + at;
    const T* const v = x.row(row) + at;
    T* const to = dx.row(row) + at;
    const float* const angles = heads.table.row(heads.positions[row]);
    const float r = rstd[item];
    // The gradient of the normed numbers is that of the result, turned back.
    const auto lower = [&](int32_t i) { return get(d[i]) * angles[i] + get(d[i + half]) * angles[i + half]; };
    const auto upper = [&](int32_t i) { return get(d[i + half]) * angles[i] - get(d[i]) * angles[i + half]; };
    float dot = 0;
    for (int32_t i = lane; i < half; i += 32) {
      const float low = lower(i) * get(v[i]), high = upper(i) * get(v[i + half]);
      dot += low * heads.weight[i] + high * heads.weight[i + half];
      if (!partial) continue;
      mine[i] += low * r;
      mine[i + half] += high * r;
    }
    const float scale = warpSum(dot) * r * r / static_cast<float>(heads.size);
    for (int32_t i = lane; i < half; i += 32) {
      put(to[i], r * (lower(i) * heads.weight[i] - get(v[i]) * scale));
      put(to[i + half], r * (upper(i) * heads.weight[i + half] - get(v[i + half]) * scale));
    }
  }
  if (!partial) return;
  syncBlock();
  for (auto c = static_cast<int32_t>(me.thread); c < heads.size; c += static_cast<int32_t>(me.threads)) {
    float total = 0;
    for (unsigned warp = 0; warp < me.warps(); ++warp) total += sums[warp * static_cast<unsigned>(heads.size) + static_cast<unsigned>(c)];
    partial[me.blockX * heads.size + c] = total;
  }
}

Grid gridOfWarps(int64_t rows) { return gridFor(rows * 32); }

}  // namespace

void CudaBackend::rmsNorm(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon) {
  requireF32(rstd, weight);
  const unsigned threads = holders(x, out, weight);
  withNumbers(x.dtype, [&]<typename In>() {
    withNumbers(out.dtype, [&]<typename Out>() {
      const Grid grid = threads ? Grid{static_cast<unsigned>(std::min<int64_t>(x.rows, 2048))} : gridOfWarps(x.rows);
      launch(stream_, grid, threads ? threads : kThreads, kNormThreads / 32 * sizeof(float), threads ? normHeld<In, Out> : normRows<In, Out>,
             view<Out>(out), rstd.f32(), rstd.stride, view<In>(x), static_cast<const float*>(weight.f32()), epsilon);
    });
  });
}

void CudaBackend::rmsNormBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x, const Tensor& rstd,
                                  const Tensor& weight, const Tensor& rounded) {
  requireF32(dweight, rstd, weight);
  requireSame(dx, dout, x);
  const float *const scales = rstd.f32(), *const weights = weight.f32();
  const unsigned threads = holders(x, dx, dout, weight, rounded ? rounded : dx);
  withNumbers(x.dtype, [&]<typename T>() {
    if (threads) {
      const int64_t each = rowsEach(x.rows), blocks = (x.rows + each - 1) / each;
      float* const partial = dweight ? scratch<float>(static_cast<size_t>(blocks * x.cols)) : nullptr;
      launch(stream_, {static_cast<unsigned>(blocks)}, threads, kNormThreads / 32 * sizeof(float), normHeldBackward<T>, view<T>(dx), partial,
             view<T>(dout), view<T>(x), scales, rstd.stride, weights, each, view<Bf16>(rounded));
      if (dweight) addPartial(stream_, dweight, partial, blocks);
      return;
    }
    if (dweight) columnSums<1>(dweight, x.rows, WeightTerm<T>{view<T>(dout), view<T>(x), scales, rstd.stride});
    launch(stream_, gridOfWarps(x.rows), kThreads, 0, normRowsBackward<T>, view<T>(dx), view<T>(dout), view<T>(x), scales, rstd.stride, weights);
    if (rounded) copy(rounded, dx);
  });
}

void CudaBackend::rope(const Tensor& x, const Tensor& table, const int32_t* positions, int32_t headSize, bool inverse) {
  requireF32(table);
  withNumbers(x.dtype, [&]<typename T>() {
    const Rotate<T> body{view<T>(x), view<float>(table), positions, headSize, inverse ? -1.0f : 1.0f};
    launchEach(stream_, x.rows, x.cols / 2, body, x.columns(0, headSize / 2), table.columns(0, headSize / 2));
  });
}

void CudaBackend::normRope(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon, const Tensor& table,
                           const int32_t* positions) {
  requireF32(rstd, weight, table);
  requireSame(x, out);
  const Heads heads{weight.f32(), view<float>(table), positions, static_cast<int32_t>(weight.cols)};
  withNumbers(x.dtype, [&]<typename T>() {
    launch(stream_, gridOfWarps(x.size() / heads.size), kThreads, 0, turnNormed<T>, view<T>(out), rstd.f32(), view<T>(x), epsilon, heads);
  });
}

void CudaBackend::normRopeBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x, const Tensor& rstd,
                                   const Tensor& weight, const Tensor& table, const int32_t* positions) {
  requireF32(dweight, rstd, weight, table);
  requireSame(x, dx, dout);
  const Heads heads{weight.f32(), view<float>(table), positions, static_cast<int32_t>(weight.cols)};
  const unsigned blocks = blocksFor(x.size() / heads.size, kHeadsEach);
  float* const partial = dweight ? scratch<float>(static_cast<size_t>(blocks * heads.size)) : nullptr;
  withNumbers(x.dtype, [&]<typename T>() {
    launch(stream_, {blocks}, kThreads, partial ? kThreads / 32 * weight.bytes() : 0, turnNormedBackward<T>, view<T>(dx), partial, view<T>(dout),
           view<T>(x), static_cast<const float*>(rstd.f32()), heads);
  });
  if (partial) addPartial(stream_, dweight, partial, blocks);
}

}  // namespace sftlab::cuda
