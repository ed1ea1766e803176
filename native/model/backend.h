#pragma once

// What a device has to be able to do so that every model here trains and generates on it. Model code is written once
// over this interface; a backend is one folder that implements it (`cpu/`, `cuda/`).
//
// Conventions, for all operations:
//  - Calls are queued in order; results may be read on the host only after `synchronize` or `download`.
//  - A forward result (`out`) is overwritten. A gradient (`d...`) is ADDED TO, unless its comment says that it is overwritten.
//  - Optional tensors are empty (`Tensor{}`), for instance the gradient of a frozen weight: then it is not computed.
//  - Tensors are f32 or bf16, all of one operation alike, unless a comment says otherwise; statistics, tables, norm weights,
//    biases and gradients of weights are f32. A product with a bf16 operand or result is done in bf16 with sums in fp32; one of
//    f32 alone is exact to fp32.
//  - Arguments are trusted: shapes were checked by the caller. Shapes in comments are (rows, cols).
//  - Same inputs, same thread count: bitwise the same outputs. Sums are split by fixed blocks, never by whoever comes first.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/tensor.h"

namespace sftlab {

enum class Transpose : uint8_t { no, yes };

/// Sequences of a flat batch: sequence s holds tokens [offsets[s], offsets[s + 1]).
struct Sequences {
  const int32_t* host = nullptr;    ///< offsets, count + 1 entries, host memory
  const int32_t* device = nullptr;  ///< the same in the backend's memory
  int32_t count = 0;
  int32_t longest = 0;
};

/// Which tokens are asked about, where these are not all: rows [offsets[s], offsets[s + 1]) of the queries belong to sequence
/// s, and row i stands at place positions[i] of it, rising within a sequence.
struct Queries {
  const int32_t* host = nullptr;       ///< offsets, one for each sequence and one more, host memory
  const int32_t* device = nullptr;     ///< the same in the backend's memory
  const int32_t* positions = nullptr;  ///< backend's memory
  int32_t most = 0;                    ///< of one sequence
  explicit operator bool() const { return host != nullptr; }
};

struct AttentionShape {
  int32_t heads = 0;
  int32_t kvHeads = 0;
  int32_t headSize = 0;
  float scale = 0;
  bool causal = true;
  int32_t window = 0;  ///< a token sees itself and the window - 1 before it; 0: all before it
};

/// The cache of one layer: sequence slot s, position p stands in row s * capacity + p of `keys` and `values`.
struct KeyValueCache {
  Tensor keys;    ///< (slots * capacity, kvHeads * headSize)
  Tensor values;  ///< the same shape
  int32_t capacity = 0;
};

/// A counter-based random stream (Philox 4x32-10, Salmon et al. 2011): value i depends on seed, stream and i alone,
/// so nothing has to be stored for the backward pass or for resume.
struct RandomStream {
  uint64_t seed = 0;
  uint64_t stream = 0;
};

struct AdamParameter {
  Tensor value, gradient, first, second;  ///< f32, all of one size; the moments both f32 or both bf16
  bool decay = false;
  Tensor rounded{};  ///< the value in bf16, written with it; none where the backend keeps none
};

struct AdamOptions {
  double learningRate, beta1, beta2, epsilon, weightDecay;
  double gradientScale;  ///< multiplies every gradient first: 1 / weight, times the clip factor
  int64_t step;         ///< counts from 1, for bias correction
  /// Of moments in bf16, which are rounded at random so that small changes add up: element i of tensor t takes number i of the stream that
  /// comes t after this, its low half for the first moment, its high half for the second.
  RandomStream rounding{};
};

struct SampleOptions {
  float temperature = 0;  ///< 0: greedy (lowest id wins ties)
  int32_t topK = 0;
  float topP = 1;
};

/// Operations that `Backend::record` noted. Goes before its backend does.
class Recording {
 public:
  virtual ~Recording() = default;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // ---- memory -----------------------------------------------------------------------------------------------------
  virtual void* allocate(size_t bytes) = 0;  ///< 64-byte aligned; throws std::bad_alloc
  virtual void release(void* data) = 0;
  /// True where the backend works on host memory: then frozen weights are used straight from the mapped file.
  virtual bool usesHostMemory() const { return false; }
  /// True where nothing is computed, and memory only counted.
  virtual bool onlyCounts() const { return false; }
  virtual void upload(void* device, const void* host, size_t bytes) = 0;
  virtual void download(void* host, const void* device, size_t bytes) = 0;
  virtual void synchronize() = 0;
  virtual void zero(const Tensor& x) = 0;
  /// Element by element, converting between dtypes.
  virtual void copy(const Tensor& out, const Tensor& x) = 0;

  /// Whether `matmul` takes operands of this type at full speed.
  virtual bool multiplies(DType dtype) const = 0;
  /// Whether products in bf16 want their weights in bf16 too: then the model keeps a rounded copy of each trained matrix, which `adamw`
  /// renews, and of frozen ones nothing else, and generation computes in bf16 too. Otherwise products round as they read, and generation
  /// is in f32.
  virtual bool keepsRounded() const { return false; }
  /// Whether one product of all layers that share their input is better than one of each: then their weights stand side by side, and what
  /// they make are columns of one tensor. For a backend with memory of its own: in a file weights stand as they do.
  virtual bool stacks() const { return false; }

  // ---- matrix products --------------------------------------------------------------------------------------------
  /// out = alpha * op(a) * op(b) + beta * out, accumulated in fp32. beta is 0 or 1. Each tensor may be f32 or bf16.
  virtual void matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha,
                      float beta) = 0;
  /// out = op(a) * op(b) + addend + bias (1, c), the last two where they are given, of one product and no more passes than it takes. addend
  /// (of out's dtype; f32, unless it is out) may be out itself. Where the product is in bf16, a backend may round the bias to out's dtype first.
  virtual void matmulAdd(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b,
                         Transpose tb) {
    if (addend && addend.data != out.data) copy(out, addend);
    matmul(out, a, ta, b, tb, 1, addend ? 1 : 0);
    if (bias) addBias(out, bias);
  }
  /// x (n, c) += bias (1, c)
  virtual void addBias(const Tensor& x, const Tensor& bias) = 0;
  /// dbias (1, c) += column sums of dout (n, c)
  virtual void addBiasBackward(const Tensor& dbias, const Tensor& dout) = 0;
  /// Both gradients of out (n, c) += low (n, r) * b (c, r)^T: db (f32), if any, += dout^T * low, and dlow = scale * dout * b, overwritten: that
  /// of low before it was multiplied by `scale`. Without db, low may be empty.
  virtual void lowRankBackward(const Tensor& dlow, const Tensor& db, const Tensor& dout, const Tensor& b, const Tensor& low, float scale) {
    matmul(dlow, dout, Transpose::no, b, Transpose::no, scale, 0);
    if (db) matmul(db, dout, Transpose::yes, low, Transpose::no, 1, 1);
  }

  // ---- elementwise ------------------------------------------------------------------------------------------------
  /// out (f32) += x
  virtual void add(const Tensor& out, const Tensor& x) = 0;
  /// out = silu(gate) * up, all (n, c)
  virtual void swiglu(const Tensor& out, const Tensor& gate, const Tensor& up) = 0;
  /// dgate and dup are overwritten, and so is act, if any, by the forward's result once more. Each may be the memory of
  /// `gate`, `up` or `dout`.
  virtual void swigluBackward(const Tensor& dgate, const Tensor& dup, const Tensor& act, const Tensor& dout,
                              const Tensor& gate, const Tensor& up) = 0;
  /// out = x with each element dropped with probability p, the others scaled by 1 / (1 - p). The mask is a function of
  /// (stream, row * cols + col); the backward pass is the same call on the gradient.
  virtual void dropout(const Tensor& out, const Tensor& x, float p, RandomStream stream) = 0;
  /// out = normal(0, deviation) or uniform(-bound, bound), element i a function of (stream, i).
  virtual void fillNormal(const Tensor& out, float deviation, RandomStream stream) = 0;
  virtual void fillUniform(const Tensor& out, float bound, RandomStream stream) = 0;
  virtual void fill(const Tensor& out, float value) = 0;

  // ---- norm and positions -----------------------------------------------------------------------------------------
  /// out (n, c) = x * rstd * weight (1, c); rstd (n, 1) f32 = 1 / sqrt(mean(x^2) + epsilon). `out` may be `x`, or of another
  /// dtype than x.
  /// x, out may have stride > cols only as whole rows; QK-norm passes a (tokens * heads, headSize) reshape.
  virtual void rmsNorm(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon) = 0;
  /// dx (n, c) is added to; dweight (1, c), if any, is added to. x is the forward's input. `rounded` (n, c; bf16), if any, is overwritten by
  /// what dx is then.
  virtual void rmsNormBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x,
                               const Tensor& rstd, const Tensor& weight, const Tensor& rounded = {}) = 0;
  /// Rotates x (n, heads * headSize) in place, the half-split pairing of Hugging Face Llama (i with i + headSize / 2).
  /// `table` (positions, headSize) f32 holds cos in the first half of a row and sin in the second (any attention factor
  /// is already in it); `positions` (n) are rows of it. `inverse` rotates back: the backward pass.
  virtual void rope(const Tensor& x, const Tensor& table, const int32_t* positions, int32_t headSize, bool inverse) = 0;

  /// QK-norm and positions in one: out = rope(rmsNorm(x)), each head of x (n, heads * headSize) a row of the norm. weight (1, headSize),
  /// rstd (n * heads, 1). x and out are of one dtype, and contiguous; where the backend stacks, x may be columns of a wider tensor.
  virtual void normRope(const Tensor& out, const Tensor& rstd, const Tensor& x, const Tensor& weight, float epsilon, const Tensor& table,
                        const int32_t* positions) {
    const int64_t size = weight.cols;
    rmsNorm(out.reshape(out.size() / size, size), rstd, x.reshape(x.size() / size, size), weight, epsilon);
    rope(out, table, positions, static_cast<int32_t>(size), false);
  }
  /// dx and dout are overwritten (the latter by numbers without a meaning); dweight (1, headSize), if any, is added to. x and dx as x above.
  virtual void normRopeBackward(const Tensor& dx, const Tensor& dweight, const Tensor& dout, const Tensor& x, const Tensor& rstd,
                                const Tensor& weight, const Tensor& table, const int32_t* positions) {
    const int64_t size = weight.cols;
    const auto heads = [&](const Tensor& of) { return of.reshape(of.size() / size, size); };
    rope(dout, table, positions, static_cast<int32_t>(size), true);
    zero(dx);
    rmsNormBackward(heads(dx), dweight, heads(dout), heads(x), rstd, weight);
  }

  // ---- attention --------------------------------------------------------------------------------------------------
  /// q, out (m, heads * headSize); k, v (n, kvHeads * headSize); lse (m, heads) f32, the log of each row's softmax sum.
  /// m is n unless `queries` says which tokens are asked about.
  virtual void attention(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                         const AttentionShape& shape, const Sequences& sequences, const Queries& queries) = 0;
  /// dq, dk, dv are overwritten.
  virtual void attentionBackward(const Tensor& dq, const Tensor& dk, const Tensor& dv, const Tensor& dout,
                                 const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k, const Tensor& v,
                                 const AttentionShape& shape, const Sequences& sequences, const Queries& queries) = 0;
  /// Writes row i of k, v into slot slots[i], position positions[i] of the cache.
  virtual void cacheStore(const KeyValueCache& cache, const Tensor& k, const Tensor& v, const int32_t* slots,
                          const int32_t* positions) = 0;
  /// One query a row: row i attends to positions 0..positions[i] of slot slots[i] (its own key is already stored).
  virtual void attentionCached(const Tensor& out, const Tensor& q, const KeyValueCache& cache, const int32_t* slots,
                               const int32_t* positions, const AttentionShape& shape) = 0;

  // ---- rows -------------------------------------------------------------------------------------------------------
  /// out row i = table row ids[i]; out is f32 or of the table's dtype. Embedding lookup, and the choice of rows that have a loss.
  virtual void gatherRows(const Tensor& out, const Tensor& table, const int32_t* ids) = 0;
  /// dtable row ids[i] += dout row i; ids may repeat; deterministic.
  virtual void gatherRowsBackward(const Tensor& dtable, const Tensor& dout, const int32_t* ids) = 0;

  // ---- loss and sampling ------------------------------------------------------------------------------------------
  /// For each row of logits (n, vocabulary): loss[i] = -log p(targets[i]) in nats, entropy[i] in nats, correct[i] = 1 where
  /// the target is the most likely token (lowest id wins ties). loss, entropy: n f32; correct: n uint8.
  /// gradient (n, vocabulary), if any, is overwritten by weights[i] * (softmax - onehot), and logits by numbers without a
  /// meaning. It may be the memory of logits itself, row on row, also as bf16 numbers in rows of twice the stride.
  virtual void crossEntropy(const Tensor& logits, const int32_t* targets, const float* weights, float* loss,
                            float* entropy, uint8_t* correct, const Tensor& gradient) = 0;
  /// Draws one token a row; entropy and logProbability are those of the distribution at temperature 1. Row i draws its
  /// random number from streams[i] (backend memory) at index 0.
  virtual void sample(const Tensor& logits, const SampleOptions& options, const RandomStream* streams, int32_t* tokens,
                      float* entropy, float* logProbability) = 0;

  // ---- optimizer --------------------------------------------------------------------------------------------------
  /// Sum of squares over all gradients, in double.
  virtual double squaredNorm(const std::vector<Tensor>& gradients) = 0;
  /// Decoupled AdamW (Loshchilov and Hutter 2019) as in torch.optim.AdamW, over all tensors in one pass.
  virtual void adamw(const std::vector<AdamParameter>& parameters, const AdamOptions& options) = 0;

  // ---- recordings -------------------------------------------------------------------------------------------------
  /// Whether `record` may give something: where it takes longer to start a small operation than to do it.
  virtual bool records() const { return false; }
  /// Notes what `operations` queue instead of doing it, each with its addresses, shapes and numbers as they are in this call: what shall
  /// differ from run to run has to stand in the backend's memory. Nothing may be allocated, moved from or to the host, or waited for
  /// meanwhile, so the same operations have to have run once before. Empty where it cannot be done; nothing was queued then.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& /*operations*/) { return nullptr; }
  /// Queues what was recorded. False, with nothing queued, where memory of the backend's own was moved since: it has to be recorded again.
  virtual bool replay(const Recording&) { return false; }

  // ---- facts ------------------------------------------------------------------------------------------------------
  virtual size_t currentBytes() const = 0;
  virtual size_t peakBytes() const = 0;
  /// Tokens that one pass of generation takes at most. On the CPU a row's numbers do not depend on the others up to so many.
  virtual int32_t passRows() const { return 256; }
  /// Sequences that generation continues at a time, unless it is told otherwise.
  virtual int32_t passSequences() const { return 64; }
  /// Rows of logits that exist at a time: few enough that they stay small beside a model of this vocabulary (here 64 MB), enough of them
  /// that the products over the vocabulary's weights are bound by arithmetic.
  virtual int64_t headRows(int64_t vocabulary) const { return std::clamp<int64_t>((int64_t{1} << 24) / vocabulary, 128, 512); }
  /// Bytes that the backend takes for itself, whatever the model.
  virtual size_t ownBytes() const { return 0; }
};

}  // namespace sftlab
