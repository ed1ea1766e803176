#pragma once

// The CUDA backend: one stream, its memory, and a method for each operation; kernels stand beside the methods that start them, in files
// named as those of cpu/. All sums of floats have a fixed order: atomics add whole numbers alone.

#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>

#include "cuda/cuda_backend.h"
#include "cuda/number.h"
#include "cuda/products.h"

namespace sftlab::cuda {

/// For what an operation reads or writes in f32 alone.
template <typename... Tensors>
void requireF32(const Tensors&... tensors) {
  if (((tensors && tensors.dtype != DType::f32) || ...)) throw std::logic_error("this CUDA operation works on f32 alone");
}
template <typename... Tensors>
void requireSame(const Tensor& first, const Tensors&... tensors) {
  if (((tensors && tensors.dtype != first.dtype) || ...)) throw std::logic_error("this CUDA operation works on tensors of one dtype");
}

/// Not with SFT_LAB_CUDA_STACK=0.
inline bool wantsStacks() {
  const char* const stack = std::getenv("SFT_LAB_CUDA_STACK");
  return !stack || std::strcmp(stack, "0") != 0;
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int device);
  ~CudaBackend() override;

  void* allocate(size_t bytes) override;
  void release(void* data) override;
  void upload(void* device, const void* host, size_t bytes) override;
  void download(void* host, const void* device, size_t bytes) override;
  void synchronize() override;
  void zero(const Tensor& x) override;
  void copy(const Tensor& out, const Tensor& x) override;

  bool multiplies(DType) const override { return true; }
  bool keepsRounded() const override { return true; }
  bool stacks() const override { return stacks_; }
  void matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha, float beta) override;
  void matmulAdd(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b,
                 Transpose tb) override;
  void addBias(const Tensor& x, const Tensor& bias) override;
  void addBiasBackward(const Tensor& dbias, const Tensor& dout) override;
  void lowRankBackward(const Tensor& dlow, const Tensor& db, const Tensor& dout, const Tensor& b, const Tensor& low, float scale) override;

  void add(const Tensor& out, const Tensor& x) override;
  void swiglu(const Tensor& out, const Tensor& gate, const Tensor& up) override;
  void swigluBackward(const Tensor& dgate, const Tensor& dup, const Tensor& act, const Tensor& dout, const Tensor& gate,
                      const Tensor& up) override;
  void dropout(const Tensor& out, const Tensor& x, float p, RandomStream stream) override;
  void fillNormal(const Tensor& out, float deviation, RandomStream stream) override;
  void fillUniform(const Tensor& out, float bound, RandomStream stream) override;
  void fill(const Tensor& out, float value) override;

  void rmsNorm(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon) override;
  void rmsNormBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x, const Tensor& rstd,
                       const Tensor& weight, const Tensor& rounded) override;
  void rope(const Tensor& x, const Tensor& table, const int32_t* positions, int32_t headSize, bool inverse) override;
  void normRope(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon, const Tensor& table,
                const int32_t* positions) override;
  void normRopeBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x, const Tensor& rstd,
                        const Tensor& weight, const Tensor& table, const int32_t* positions) override;

  void attention(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape,
                 const Sequences& sequences, const Queries& queries) override;
  void attentionBackward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                         const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape,
                         const Sequences& sequences, const Queries& queries) override;
  void cacheStore(const KeyValueCache& cache, const Tensor& k, const Tensor& v, const int32_t* slots,
                  const int32_t* positions) override;
  void attentionCached(const Tensor& out, const Tensor& q, const KeyValueCache& cache, const int32_t* slots,
                       const int32_t* positions, const AttentionShape& shape) override;

  void gatherRows(const Tensor& out, const Tensor& table, const int32_t* ids) override;
  void gatherRowsBackward(const Tensor& dtable, const Tensor& dout, const int32_t* ids) override;

  void crossEntropy(const Tensor& logits, const int32_t* targets, const float* weights, float* loss, float* entropy,
                    uint8_t* correct, const Tensor& gradient) override;
  void sample(const Tensor& logits, const SampleOptions& options, const RandomStream* streams, int32_t* tokens, float* entropy,
              float* logProbability) override;

  double squaredNorm(const std::vector<Tensor>& gradients) override;
  void adamw(const std::vector<AdamParameter>& parameters, const AdamOptions& options) override;

  bool records() const override { return records_; }
  std::unique_ptr<Recording> record(const std::function<void()>& operations) override;
  bool replay(const Recording& recording) override;

  size_t currentBytes() const override { return currentBytes_; }
  size_t peakBytes() const override { return peakBytes_ + ownBytes(); }
  int32_t passRows() const override { return 4096; }
  int32_t passSequences() const override { return 256; }  // 64 take hardly less time: the weights are read for them, too
  int64_t headRows(int64_t vocabulary) const override;
  size_t ownBytes() const override;

 private:
  /// Memory for one operation; the next one may overwrite it.
  template <typename T>
  T* scratch(size_t count) {
    return static_cast<T*>(scratchBytes(count * sizeof(T)));
  }
  void* scratchBytes(size_t bytes);
  /// out (1, cols) += column sums of the numbers that `body(numbers, row, col)` gives, `width` at a time, for `rows` rows.
  template <int width, typename Body>
  void columnSums(const Tensor& out, int64_t rows, Body body);

  void multiply(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb,
                float alpha, float beta);

  /// Before what no recording can hold.
  void mustNotRecord() const {
    if (recording_) throw std::logic_error("operations that are recorded neither take memory, nor copy from or to the host, nor wait");
  }

  struct Staging;
  int device_;
  bool records_, recording_ = false;
  const bool stacks_ = wantsStacks();
  Stream stream_;
  std::unique_ptr<Staging> staging_;
  Products products_;
  size_t cardBytes_;
  std::map<void*, size_t> blocks_;
  size_t currentBytes_ = 0, peakBytes_ = 0, scratchSize_ = 0;
  void* scratch_ = nullptr;
};

/// One thread for each element of a (rows, cols) tensor: body(row, col). Where numbers of 32 bits count them all, a division of those is
/// used: one of 64 costs more than what most bodies do.
template <typename Body>
KERNEL void eachElement(int64_t rows, int64_t cols, Body body) {
  const Self me = self();
  const int64_t all = rows * cols;
  if (all <= INT32_MAX) {
    const auto width = static_cast<uint32_t>(cols);
    for (int64_t i = me.index(); i < all; i += me.everyone()) {
      const uint32_t row = static_cast<uint32_t>(i) / width;
      body(row, static_cast<uint32_t>(i) - row * width);
    }
  } else {
    for (int64_t i = me.index(); i < all; i += me.everyone()) body(i / cols, i % cols);
  }
}

/// One thread for each four elements of a row: body.four(row, col of the first).
template <typename Body>
KERNEL void eachFour(int64_t rows, int64_t cols, Body body) {
  const Self me = self();
  const auto width = static_cast<uint32_t>(cols / 4);
  // Rows that the grid begins with, then as many further: no division of 64 bits.
  for (int64_t i = me.index(); i < rows * width; i += me.everyone()) {
    const int64_t row = rows * width <= INT32_MAX ? static_cast<int64_t>(static_cast<uint32_t>(i) / width) : i / width;
    body.four(row, (i - row * width) * 4);
  }
}

/// Neighbours in one access: four, or one where rows are not made of fours.
template <typename T, int width>
struct alignas(width * sizeof(T)) Group {
  T numbers[width];
};
template <typename T, int width>
DEVICE void load(float (&to)[width], const T* from) {
  const auto group = *reinterpret_cast<const Group<T, width>*>(from);
  UNROLL for (int i = 0; i < width; ++i) to[i] = get(group.numbers[i]);
}
template <typename T, int width>
DEVICE void store(T* to, const float (&from)[width]) {
  Group<T, width> group;
  UNROLL for (int i = 0; i < width; ++i) put(group.numbers[i], from[i]);
  *reinterpret_cast<Group<T, width>*>(to) = group;
}
/// Whether rows of all of them are made of whole fours at even places.
template <typename... Tensors>
bool inFours(const Tensors&... tensors) {
  const auto one = [](const Tensor& x) {
    return x.cols % 4 == 0 && x.stride % 4 == 0 && reinterpret_cast<uintptr_t>(x.data) % (4 * sizeOf(x.dtype)) == 0;
  };
  return (one(tensors) && ...);
}

/// Whether 16 bytes at a time can be read from rows of bf16 numbers.
inline bool inEights(const Tensor& x) { return x.stride % 8 == 0 && reinterpret_cast<uintptr_t>(x.data) % 16 == 0; }

/// Enough blocks to fill any GPU; loops take the rest.
inline Grid gridFor(int64_t items) {
  const int64_t blocks = (items + kThreads - 1) / kThreads;
  return {static_cast<unsigned>(blocks < 8192 ? blocks : 8192)};
}

/// A body with both forms, by fours where all its tensors are made of them.
template <typename Body, typename... Tensors>
void launchEach(const Caller& stream, int64_t rows, int64_t cols, Body body, const Tensors&... tensors) {
  if (rows * cols == 0) return;
  if (inFours(tensors...)) {
    launch(stream, gridFor(rows * cols / 4), kThreads, 0, eachFour<Body>, rows, cols, body);
  } else {
    launch(stream, gridFor(rows * cols), kThreads, 0, eachElement<Body>, rows, cols, body);
  }
}

// Sums of columns in two steps, in an order that depends on the shape alone: blocks of rows first, then their sums.
constexpr int64_t kSumRows = 64;

/// A block's lanes take neighbouring groups of columns, its warps every eighth row: body(numbers, row, col). All rows are asked for before
/// any is added.
template <int width, typename Body>
KERNEL BOUNDS(kThreads, 1) void sumBlocks(float* partial, int64_t rows, int64_t cols, Body body) {
  const Self me = self();
  float* const sums = sharedMemory<float>();  // (warps, 32 * width)
  const int64_t begin = static_cast<int64_t>(me.blockX) * 32 * width, col = begin + me.lane() * width;
  constexpr int warps = kThreads / 32, each = kSumRows / warps;
  float numbers[each][width] = {}, sum[width] = {};
  UNROLL for (int i = 0; i < each; ++i) {
    const int64_t row = me.blockY * kSumRows + i * warps + me.warp();
    if (row < rows && col < cols) body(numbers[i], row, col);
  }
  UNROLL for (int i = 0; i < each * width; ++i) sum[i % width] += numbers[i / width][i % width];
  store(sums + me.thread * width, sum);
  syncBlock();
  if (me.thread >= 32 * width || begin + me.thread >= cols) return;
  float total = 0;
  UNROLL for (unsigned warp = 0; warp < warps; ++warp) total += sums[warp * 32 * width + me.thread];
  partial[me.blockY * cols + begin + me.thread] = total;
}

/// Blocks of 32 columns: each warp adds every 32nd part, or as many as there are warps, and the first warp adds what they have.
template <typename = void>
KERNEL BOUNDS(1024, 1) void addSums(float* out, const float* partial, int64_t parts, int64_t cols) {
  const Self me = self();
  float* const sums = sharedMemory<float>();
  const int64_t col = static_cast<int64_t>(me.blockX) * 32 + me.lane();
  float sum = 0;
  if (col < cols) {
    for (int64_t part = me.warp(); part < parts; part += me.warps()) sum += partial[part * cols + col];
  }
  sums[me.thread] = sum;
  syncBlock();
  if (me.warp() != 0 || col >= cols) return;
  float total = 0;
  for (unsigned warp = 0; warp < me.warps(); ++warp) total += sums[warp * 32 + me.lane()];
  out[col] += total;
}

/// out (1, cols) += the sum of so many rows of `partial`.
inline void addPartial(const Caller& stream, const Tensor& out, const float* partial, int64_t parts) {
  if (parts == 0) return;
  const unsigned threads = 32 * static_cast<unsigned>(parts < 32 ? parts : 32);
  launch(stream, {blocksFor(out.cols, 32)}, threads, threads * sizeof(float), addSums<>, out.f32(), partial, parts, out.cols);
}

template <int width, typename Body>
void CudaBackend::columnSums(const Tensor& out, int64_t rows, Body body) {
  const int64_t parts = (rows + kSumRows - 1) / kSumRows;
  if (parts > 65'535) throw std::logic_error("too many rows to sum");
  float* const partial = scratch<float>(static_cast<size_t>(parts * out.cols));
  launch(stream_, {blocksFor(out.cols, 32 * width), static_cast<unsigned>(parts)}, kThreads, kThreads * width * sizeof(float),
         sumBlocks<width, Body>, partial, rows, out.cols, body);
  addPartial(stream_, out, partial, parts);
}

}  // namespace sftlab::cuda
