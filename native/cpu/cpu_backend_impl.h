#pragma once

// The class behind `makeCpuBackend`. Each operation is defined in the file of its layer, forward and backward together.

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/matmul_few.h"
#include "cpu/number.h"
#include "cpu/thread_pool.h"
#include "system/system.h"

namespace sftlab {

/// Memory of one thread that operations use within a call; grown once, then reused.
class Scratch {
 public:
  Scratch() = default;
  Scratch(Scratch&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  ~Scratch() { system::freeAligned(data_); }

  /// 64-byte aligned; what was there before is lost.
  float* floats(size_t count) {
    const size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    if (bytes > bytes_) {
      system::freeAligned(data_);
      data_ = system::allocateAligned(bytes, 64, false);
      bytes_ = data_ ? bytes : 0;
      if (!data_) throw std::bad_alloc();
    }
    return static_cast<float*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

/// For what an operation reads or writes in f32 alone.
template <typename... Tensors>
void requireF32(const Tensors&... tensors) {
  if (((tensors && tensors.dtype != DType::f32) || ...))
    throw std::logic_error("this CPU operation works on f32 alone");
}

/// For tensors that an operation wants to be of one kind, whichever.
template <typename... Tensors>
void requireSame(const Tensor& first, const Tensors&... tensors) {
  if (((tensors && tensors.dtype != first.dtype) || ...))
    throw std::logic_error("this CPU operation works on tensors of one dtype");
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads);

  void* allocate(size_t bytes) override;
  void release(void* data) override;
  bool usesHostMemory() const override { return true; }
  void upload(void* device, const void* host, size_t bytes) override;
  void download(void* host, const void* device, size_t bytes) override;
  void synchronize() override {}
  void zero(const Tensor& x) override;
  void copy(const Tensor& out, const Tensor& x) override;

  bool multiplies(DType dtype) const override;
  void matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha,
              float beta) override;
  void matmulAdd(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b,
                 Transpose tb) override;
  void addBias(const Tensor& x, const Tensor& bias) override;
  void addBiasBackward(const Tensor& dbias, const Tensor& dout) override;

  void add(const Tensor& out, const Tensor& x) override;
  void swiglu(const Tensor& out, const Tensor& gate, const Tensor& up) override;
  void swigluBackward(const Tensor& dgate, const Tensor& dup, const Tensor& act, const Tensor& dout,
                      const Tensor& gate, const Tensor& up) override;
  void dropout(const Tensor& out, const Tensor& x, float p, RandomStream stream) override;
  void fillNormal(const Tensor& out, float deviation, RandomStream stream) override;
  void fillUniform(const Tensor& out, float bound, RandomStream stream) override;
  void fill(const Tensor& out, float value) override;

  void rmsNorm(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon) override;
  void rmsNormBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x, const Tensor& rstd,
                       const Tensor& weight, const Tensor& rounded) override;
  void rope(const Tensor& x, const Tensor& table, const int32_t* positions, int32_t headSize, bool inverse) override;

  void attention(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                 const AttentionShape& shape, const Sequences& sequences, const Queries& asked) override;
  void attentionBackward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                         const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                         const AttentionShape& shape, const Sequences& sequences, const Queries& asked) override;
  void cacheStore(const KeyValueCache& cache, const Tensor& k, const Tensor& v, const int32_t* slots,
                  const int32_t* positions) override;
  void attentionCached(const Tensor& out, const Tensor& q, const KeyValueCache& cache, const int32_t* slots,
                       const int32_t* positions, const AttentionShape& shape) override;

  void gatherRows(const Tensor& out, const Tensor& table, const int32_t* ids) override;
  void gatherRowsBackward(const Tensor& dtable, const Tensor& dout, const int32_t* ids) override;

  void crossEntropy(const Tensor& logits, const int32_t* targets, const float* weights, float* loss, float* entropy,
                    uint8_t* correct, const Tensor& gradient) override;
  void sample(const Tensor& logits, const SampleOptions& options, const RandomStream* streams, int32_t* tokens,
              float* entropy, float* logProbability) override;

  double squaredNorm(const std::vector<Tensor>& gradients) override;
  void adamw(const std::vector<AdamParameter>& parameters, const AdamOptions& options) override;

  size_t currentBytes() const override { return currentBytes_; }
  size_t peakBytes() const override { return peakBytes_; }
  int32_t passRows() const override { return kFewRows; }

 private:
  /// `matmul` where one side or the result is bf16, plus a bias (1, c), if any.
  void matmulBf16(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha,
                  float beta, const Tensor& bias);
  void attentionBf16(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                     const AttentionShape& shape, const Sequences& sequences, const Queries& asked);
  void attentionBackwardBf16(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                             const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                             const AttentionShape& shape, const Sequences& sequences, const Queries& asked);

  /// Float operations worth a piece of their own: some 10 us, against less than 1 us for taking a piece.
  static constexpr int64_t kPieceWork = 65'536;

  /// Items a piece holds when each costs `cost` float operations.
  static int64_t itemsPerPiece(int64_t cost) { return std::max<int64_t>(1, kPieceWork / std::max<int64_t>(1, cost)); }

  /// body(first, end, thread) over ranges of [0, count), each worth a piece.
  template <typename Body>
  void forRanges(int64_t count, int64_t cost, const Body& body) {
    const int64_t items = itemsPerPiece(cost);
    pool_.run((count + items - 1) / items,
              [&](int64_t piece, int thread) { body(piece * items, std::min(count, (piece + 1) * items), thread); });
  }

  /// body(row, col, count) over parts of rows, for operations that treat each element alike; `cost` is an element's.
  /// With `flat` (all tensors contiguous) the rows are taken as one, so that one long row and many short ones are
  /// shared out alike.
  template <typename Body>
  void forElements(int64_t rows, int64_t cols, bool flat, int64_t cost, const Body& body) {
    if (flat) {
      cols *= rows;
      rows = rows > 0 ? 1 : 0;
    }
    const int64_t most = std::max<int64_t>(64, itemsPerPiece(cost) / 64 * 64);
    if (cols < most) {
      forRanges(rows, cost * cols, [&](int64_t first, int64_t end, int) {
        for (int64_t row = first; row < end; ++row) body(row, int64_t{0}, cols);
      });
      return;
    }
    const int64_t parts = (cols + most - 1) / most;
    pool_.run(rows * parts, [&](int64_t piece, int) {
      const int64_t col = piece % parts * most;
      body(piece / parts, col, std::min(most, cols - col));
    });
  }

  Scratch& scratch(int thread) { return scratch_[static_cast<size_t>(thread)]; }

  ThreadPool pool_;
  std::vector<Scratch> scratch_;  ///< one for each thread
  Scratch shared_;                ///< for what all threads write parts of
  std::vector<double> sums_;      ///< of squaredNorm, a number for each piece
  size_t currentBytes_ = 0, peakBytes_ = 0;
};

/// Where element (row, col) of an f32 tensor stands.
inline float* at(const Tensor& x, int64_t row, int64_t col = 0) { return at<float>(x, row, col); }

}  // namespace sftlab
