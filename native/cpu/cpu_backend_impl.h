#pragma once

// The class behind `makeCpuBackend`. Each operation is defined in the file of its layer, forward and backward together.

#include <omp.h>

#include <atomic>
#include <cstdlib>
#include <vector>

#include "cpu/cpu_backend.h"

namespace sftlab {

/// Memory of one thread that operations use within a call; grown once, then reused.
class Scratch {
 public:
  ~Scratch() { std::free(data_); }
  float* floats(size_t count) {
    const size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    if (bytes > bytes_) {
      std::free(data_);
      data_ = static_cast<float*>(std::aligned_alloc(64, bytes));
      bytes_ = bytes;
    }
    return data_;
  }

 private:
  float* data_ = nullptr;
  size_t bytes_ = 0;
};

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

  void matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha,
              float beta) override;
  void addBias(const Tensor& x, const Tensor& bias) override;
  void addBiasBackward(const Tensor& dbias, const Tensor& dout) override;

  void add(const Tensor& out, const Tensor& x) override;
  void swiglu(const Tensor& out, const Tensor& gate, const Tensor& up) override;
  void swigluBackward(const Tensor& dgate, const Tensor& dup, const Tensor& dout, const Tensor& gate,
                      const Tensor& up) override;
  void dropout(const Tensor& out, const Tensor& x, float p, RandomStream stream) override;
  void fillNormal(const Tensor& out, float deviation, RandomStream stream) override;
  void fillUniform(const Tensor& out, float bound, RandomStream stream) override;
  void fill(const Tensor& out, float value) override;

  void rmsNorm(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon) override;
  void rmsNormBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x, const Tensor& rstd,
                       const Tensor& weight) override;
  void rope(const Tensor& x, const Tensor& table, const int32_t* positions, int32_t headSize, bool inverse) override;

  void attention(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                 const AttentionShape& shape, const Sequences& sequences) override;
  void attentionBackward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout, const Tensor& out,
                         const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                         const AttentionShape& shape, const Sequences& sequences) override;
  void cacheStore(const KeyValueCache& cache, const Tensor& k, const Tensor& v, const int32_t* slots,
                  const int32_t* positions) override;
  void attentionCached(const Tensor& out, const Tensor& q, const KeyValueCache& cache, const int32_t* slots,
                       const int32_t* positions, const AttentionShape& shape) override;

  void gatherRows(const Tensor& out, const Tensor& table, const int32_t* ids) override;
  void gatherRowsBackward(const Tensor& dtable, const Tensor& dout, const int32_t* ids) override;

  void crossEntropy(const Tensor& logits, const int32_t* targets, const float* weights, float* loss, float* entropy,
                    uint8_t* correct, bool gradient) override;
  void sample(const Tensor& logits, const SampleOptions& options, const RandomStream* streams, int32_t* tokens,
              float* entropy, float* logProbability) override;

  double squaredNorm(const std::vector<Tensor>& gradients) override;
  void adamw(const std::vector<AdamParameter>& parameters, const AdamOptions& options) override;

  size_t currentBytes() const override { return currentBytes_; }
  size_t peakBytes() const override { return peakBytes_; }

 private:
  /// Threads for `work` float operations: starting a team costs a few microseconds, so small work stays on one.
  int threadsFor(int64_t work) const { return work < 32'768 ? 1 : threads_; }
  Scratch& scratch() { return scratch_[static_cast<size_t>(omp_get_thread_num())]; }

  int threads_;
  std::vector<Scratch> scratch_;  ///< one for each thread
  std::atomic<size_t> currentBytes_ = 0, peakBytes_ = 0;  ///< read from other threads
};

}  // namespace sftlab
