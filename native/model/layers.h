#pragma once

// The layers of a decoder, forward and backward. A forward that is trained keeps in its `Saved...` what its backward reads:
// the residual stream in f32, what matrix products made in the pass's dtype. Norms and SwiGLU are made again in the backward pass,
// which costs little beside the products and halves what has to be kept.

#include <array>
#include <span>
#include <vector>

#include "model/arena.h"
#include "model/parameters.h"

namespace sftlab {

/// One walk over a flat batch: what all layers share.
struct Pass {
  Backend& backend;
  Arena& arena;
  const ModelConfig& config;
  DType dtype = DType::f32;            ///< of what goes into and comes out of matrix products
  int64_t tokens = 0;
  const int32_t* positions = nullptr;  ///< of each token in its sequence
  Tensor rope{};                       ///< (positions, headSize)
  Sequences sequences{};
  bool training = false;               ///< dropout is on
  RandomStream dropout{};               ///< of this microbatch; layers add their own number

  // Generation: keys and values are written into `caches`; with `cached`, queries read them from there.
  const std::vector<KeyValueCache>* caches = nullptr;
  const int32_t* slots = nullptr;  ///< of each token
  bool cached = false;
};

/// The tokens that something is asked about after the last block; of the others that block needs keys and values alone.
struct Asked {
  const int32_t* rows = nullptr;  ///< backend's memory, rising
  int64_t count = 0;
  Queries queries{};
  const int32_t* slots = nullptr;  ///< of each, where queries read caches
  explicit operator bool() const { return rows != nullptr; }
};

/// Layers that share their input, as they are multiplied; often one alone.
using Layers = std::span<const LinearWeights>;
inline Layers alone(const LinearWeights& layer) { return {&layer, 1}; }
/// One of each product of such layers, of which there are three at most: a pass takes nothing from the heap.
template <typename T>
using OfGroup = std::array<T, 3>;

/// Takes (rows, cols) in the pass's dtype for what a layer reads: its input, or the gradient of its output. Where the layer is extended there is
/// room beside for what its adapters make of that.
Tensor takeBeside(const Pass& pass, const LinearWeights& layer, int64_t rows, int64_t cols);
/// Takes what the products make: (rows, columns of the layers that it is of).
OfGroup<Tensor> takeOutputs(const Pass& pass, Layers layers, int64_t rows);
/// What each layer makes, of so many columns, in what the products make.
OfGroup<Tensor> split(const OfGroup<Tensor>& outputs, std::initializer_list<int64_t> columns);

struct SavedLinear {
  Tensor low;  ///< scale * A dropout(x) of all adapters: (tokens, r of each)
};
/// Takes what `linear` keeps, for so many rows. Before anything that the caller takes for itself and gives back.
SavedLinear reserve(const Pass& pass, Layers layers, int64_t rows);
/// The adapters' part of `linear` that is kept.
void lower(const Pass& pass, Layers layers, const Tensor& x, const SavedLinear& saved);
/// Each output (n, out) = x (n, in) W^T + b, plus the adapter's part, plus `addend`, if any (for one alone), which may be the output itself.
/// x is from `takeBeside`.
void linear(const Pass& pass, Layers layers, const OfGroup<Tensor>& outputs, const Tensor& x, const SavedLinear& saved,
            const Tensor& addend = {});

/// The gradients of the layers' outputs (from `takeBeside`), and from them scale * that of `SavedLinear::low`.
struct OutputGradient {
  OfGroup<Tensor> doutputs;
  Tensor dlow;
};
/// Adds to the gradients of the adapters' B, too.
OutputGradient outputGradient(const Pass& pass, Layers layers, const OfGroup<Tensor>& doutputs, const SavedLinear& saved);
/// Overwrites dx (n, in).
void inputGradient(const Pass& pass, Layers layers, const Tensor& dx, const OutputGradient& gradient);
/// Whether `weightGradient` reads x.
bool readsInput(Layers layers);
/// Adds to the gradients of the trained weights, and of the adapters' A.
void weightGradient(const Pass& pass, Layers layers, const OutputGradient& gradient, const Tensor& x);
/// All of it; dx is overwritten, or empty.
void linearBackward(const Pass& pass, Layers layers, const Tensor& dx, const OfGroup<Tensor>& doutputs, const Tensor& x,
                    const SavedLinear& saved);

/// The gradient of the residual stream, (n, hidden): in f32, and as products read it, which is the same tensor or one from `takeBeside`.
struct StreamGradient {
  Tensor exact, operand;
  /// What has to be kept equal to `exact`, if anything.
  Tensor rounded() const { return operand.data == exact.data ? Tensor{} : operand; }
};
/// With an operand for any of the layers; what it holds has no meaning yet.
StreamGradient readable(const Pass& pass, const LayerWeights& weights, const Tensor& exact);

/// Queries, keys and values as their products make them, before QK-norm and positions; or the gradients of these.
struct Projected {
  OfGroup<Tensor> products;  ///< of the layers that see all rows: without the queries where only some are asked about
  Tensor query, key, value;
};

struct SavedAttention {
  Tensor input;  ///< (n, hidden) f32
  Projected projected;
  Tensor queryRstd, keyRstd;    ///< of QK-norm, if there is one
  Tensor query, key, out, lse;  ///< query, out and lse: of the rows asked about
  SavedLinear low, queryLow, outputLow;
};

/// Returns input + attention(norm(input)), of the rows asked about (all, unless some are). Takes from the arena what it returns and
/// saves, and nothing more.
Tensor attentionBlock(const Pass& pass, const LayerWeights& weights, int32_t layer, const Asked& asked, const Tensor& input,
                      SavedAttention& saved);
/// dstream (n, hidden) holds the gradient of the block's result and receives that of its input, unless `needInput` is false. Where
/// only some rows are asked about, `dresult` (their count, hidden) holds the gradient of the result, and dstream is overwritten.
void attentionBlockBackward(const Pass& pass, const LayerWeights& weights, int32_t layer, const Asked& asked, const StreamGradient& dresult,
                            const StreamGradient& dstream, bool needInput, const SavedAttention& saved);

struct SavedMlp {
  Tensor input;
  OfGroup<Tensor> products;  ///< of gate and up
  SavedLinear low, downLow;
};

/// result = input + down(silu(gate(norm(input))) * up(norm(input))). Takes from the arena what it saves, and nothing more. Without a
/// result, only makes what is saved.
void mlpBlock(const Pass& pass, const LayerWeights& weights, const Tensor& result, const Tensor& input, SavedMlp& saved);
/// Overwrites what was saved of gate and up.
void mlpBlockBackward(const Pass& pass, const LayerWeights& weights, const StreamGradient& dstream, const SavedMlp& saved);

/// Rows of a batch that predict something, in the order trained first, then measured only.
struct HeadRows {
  std::vector<int32_t> rows, targets;
  std::vector<float> weights;
  int64_t trained = 0;
};

/// What the head found, for each entry of `HeadRows`.
struct HeadResult {
  std::vector<float> loss, entropy;
  std::vector<uint8_t> correct;
};

/// Final norm, vocabulary projection and loss of the chosen rows of hidden (n, hidden), in chunks, so that logits are never all held.
/// With `dhidden` (n, hidden; overwritten), the gradient of the rows that are trained.
HeadResult headLoss(const Pass& pass, const Parameters& parameters, const Tensor& hidden, const HeadRows& rows,
                    const Tensor& dhidden);
/// Logits (count, vocabulary) of the given rows of hidden; lives in the pass's arena.
Tensor headLogits(const Pass& pass, const Parameters& parameters, const Tensor& hidden, const int32_t* rows, int64_t count);

}  // namespace sftlab
