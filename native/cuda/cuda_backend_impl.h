#pragma once

// The CUDA backend: one stream, its memory, and a method for each operation; kernels stand beside the methods that start them, in files
// named as those of cpu/. All sums have a fixed order: nothing here adds with atomics.

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
  void matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha, float beta) override;
  void addBias(const Tensor& x, const Tensor& bias) override;
  void addBiasBackward(const Tensor& dbias, const Tensor& dout) override;

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
                       const Tensor& weight) override;
  void rope(const Tensor& x, const Tensor& table, const int32_t* positions, int32_t headSize, bool inverse) override;

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

  size_t currentBytes() const override { return currentBytes_; }
  size_t peakBytes() const override { return peakBytes_; }
  int32_t passRows() const override { return 4096; }

 private:
  /// Memory for one operation; the next one may overwrite it.
  template <typename T>
  T* scratch(size_t count) {
    return static_cast<T*>(scratchBytes(count * sizeof(T)));
  }
  void* scratchBytes(size_t bytes);
  /// out (1, cols) += column sums of what `body(row, col)` gives for `rows` rows.
  template <typename Body>
  void columnSums(const Tensor& out, int64_t rows, Body body);

  /// Weights that the optimizer changes, by their address, and their bf16 copy.
  struct Weight {
    int64_t size = 0;
    void* copy = nullptr;
    bool current = false;
  };
  /// x in bf16: itself, its kept copy, or a copy in `memory`.
  Tensor rounded(const Tensor& x, void* memory);
  void weightsChanged(const std::vector<AdamParameter>& parameters);

  int device_;
  Stream stream_;
  Products products_;
  std::map<const void*, Weight> weights_;
  std::map<void*, size_t> blocks_;
  size_t currentBytes_ = 0, peakBytes_ = 0, scratchSize_ = 0;
  void* scratch_ = nullptr;
};

/// One thread for each element of a (rows, cols) tensor: body(row, col).
template <typename Body>
KERNEL void eachElement(int64_t rows, int64_t cols, Body body) {
  const Self me = self();
  for (int64_t i = me.index(); i < rows * cols; i += me.everyone()) body(i / cols, i % cols);
}

/// Enough blocks to fill any GPU; loops take the rest.
inline Grid gridFor(int64_t items) {
  const int64_t blocks = (items + kThreads - 1) / kThreads;
  return {static_cast<unsigned>(blocks < 8192 ? blocks : 8192)};
}

// Sums of columns in two steps, in an order that depends on the shape alone: blocks of rows first, then their sums.
constexpr int64_t kSumRows = 64;

template <typename Body>
KERNEL void sumBlocks(float* partial, int64_t rows, int64_t cols, Body body) {
  const Self me = self();
  const int64_t col = me.index(), first = me.blockY * kSumRows;
  if (col >= cols) return;
  const int64_t end = first + kSumRows < rows ? first + kSumRows : rows;
  float sum = 0;
  for (int64_t row = first; row < end; ++row) sum += body(row, col);
  partial[me.blockY * cols + col] = sum;
}

template <typename = void>
KERNEL void addSums(float* out, const float* partial, int64_t parts, int64_t cols) {
  const int64_t col = self().index();
  if (col >= cols) return;
  float sum = 0;
  for (int64_t part = 0; part < parts; ++part) sum += partial[part * cols + col];
  out[col] += sum;
}

template <typename Body>
void CudaBackend::columnSums(const Tensor& out, int64_t rows, Body body) {
  if (rows == 0) return;
  const int64_t parts = (rows + kSumRows - 1) / kSumRows;
  if (parts > 65'535) throw std::logic_error("too many rows to sum");
  float* const partial = scratch<float>(static_cast<size_t>(parts * out.cols));
  const unsigned across = blocksFor(out.cols, kThreads);
  launch(stream_, {across, static_cast<unsigned>(parts)}, kThreads, 0, sumBlocks<Body>, partial, rows, out.cols, body);
  launch(stream_, {across}, kThreads, 0, addSums<>, out.f32(), partial, parts, out.cols);
}

}  // namespace sftlab::cuda
