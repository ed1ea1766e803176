#pragma once

// The layers of a decoder, forward and backward. A forward that is trained keeps in its `Saved...` what its backward reads.

#include <vector>

#include "model/arena.h"
#include "model/parameters.h"

namespace sftlab {

/// One walk over a flat batch: what all layers share.
struct Pass {
  Backend& backend;
  Arena& arena;
  const ModelConfig& config;
  int64_t tokens = 0;
  const int32_t* positions = nullptr;  ///< of each token in its sequence
  Tensor rope{};                       ///< (positions, headSize)
  Sequences sequences{};
  bool training = false;               ///< dropout is on, activations are kept
  RandomStream dropout{};               ///< of this microbatch; layers add their own number

  // Generation: keys and values are written into `caches`; with `cached`, queries read them from there (one token a sequence).
  const std::vector<KeyValueCache>* caches = nullptr;
  const int32_t* slots = nullptr;  ///< of each token
  bool cached = false;
};

struct SavedLinear {
  Tensor low;  ///< A dropout(x): (tokens, r)
};

/// out (n, out) = x (n, in) W^T + b, plus the adapter's part; with `addTo`, added to what `out` holds.
void linear(const Pass& pass, const LinearWeights& weights, const Tensor& out, const Tensor& x, SavedLinear& saved,
            bool addTo = false);
/// Adds to the gradients of the trained weights, and to dx (n, in) if there is one; with `overwrite`, dx is set.
void linearBackward(const Pass& pass, const LinearWeights& weights, const Tensor& dx, bool overwrite, const Tensor& dout,
                    const Tensor& x, const SavedLinear& saved);

struct SavedAttention {
  Tensor input, rstd, normed;              ///< (n, hidden), (n, 1), (n, hidden)
  Tensor queryRaw, keyRaw, queryRstd, keyRstd;  ///< before QK-norm, if there is one
  Tensor query, key, value, out, lse;
  SavedLinear queryLow, keyLow, valueLow, outputLow;
};

/// Returns input + attention(norm(input)).
Tensor attentionBlock(const Pass& pass, const LayerWeights& weights, int32_t layer, const Tensor& input,
                      SavedAttention& saved);
/// dx (n, hidden) holds the gradient of the block's result and receives that of its input, unless `needInput` is false.
void attentionBlockBackward(const Pass& pass, const LayerWeights& weights, int32_t layer, const Tensor& dx, bool needInput,
                            const SavedAttention& saved);

struct SavedMlp {
  Tensor input, rstd, normed, gate, up, act;
  SavedLinear gateLow, upLow, downLow;
};

/// Returns input + down(silu(gate(norm(input))) * up(norm(input))).
Tensor mlpBlock(const Pass& pass, const LayerWeights& weights, const Tensor& input, SavedMlp& saved);
void mlpBlockBackward(const Pass& pass, const LayerWeights& weights, const Tensor& dx, const SavedMlp& saved);

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
