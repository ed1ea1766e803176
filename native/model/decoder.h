#pragma once

#include "model/layers.h"

namespace sftlab {

class KvCache;
struct PassPlan;

/// The one decoder family of this engine, over any backend.
class Decoder final : public Model {
 public:
  Decoder(const ModelConfig& config, const OpenOptions& options, std::shared_ptr<Backend> backend);

  const ModelInfo& info() const override { return info_; }
  size_t workingBytes() const { return arena_.most(); }
  size_t trainingBytes() const { return parameters_.trainingBytes(); }
  BatchStats accumulate(const Batch& batch) override;
  UpdateStats update(const UpdateOptions& options) override;
  TokenStats evaluate(const Batch& batch) override;
  std::vector<Generated> generate(const std::vector<std::vector<int32_t>>& prompts, const GenerateOptions& options) override;
  void save(const std::filesystem::path& directory) override { parameters_.save(directory); }
  void saveState(const std::filesystem::path& directory) override;
  void loadState(const std::filesystem::path& directory) override;

  std::vector<float> logits(const Batch& batch) override;
  std::map<std::string, std::vector<float>> gradients() override;
  std::map<std::string, std::vector<float>> trainedTensors() override;

 private:
  struct SavedLayer {
    SavedAttention attention;
    SavedMlp mlp;
  };

  /// A pass over the batch's sequences; `tokens` receives its ids in the backend's memory.
  Pass begin(const Batch& batch, bool training, const int32_t*& tokens);
  /// The tokens of `rows` in their order in the batch, each once; `rows` are made places among them.
  Asked ask(const Batch& batch, HeadRows& rows, std::vector<int32_t>& offsets);
  /// Hidden states before the final norm, of the rows asked about (all, unless some are). With `keep`, leaves in `saved_` and `inputs_`
  /// what `backward` reads; otherwise each layer's memory is reused.
  Tensor forward(const Pass& pass, const int32_t* tokens, const Asked& asked, bool keep);
  /// dhidden: the gradient of what `forward` returned.
  void backward(const Pass& pass, const int32_t* tokens, const Asked& asked, const Tensor& dhidden);
  /// cos and sin for at least that many positions.
  void growRope(int32_t positions);
  // Generation (generate.cpp).
  struct Drawn {
    std::vector<int32_t> tokens, rows;
    std::vector<float> entropies, logProbabilities, all;
  };
  struct Steps;
  struct Draw;
  Pass beginCached(const PassPlan& plan, const KvCache& cache);
  void compute(const PassPlan& plan, const SampleOptions& sampling, const KvCache& cache, Drawn& drawn);
  void step(const PassPlan& plan, const SampleOptions& sampling, const KvCache& cache, Steps& steps, Drawn& drawn);
  void draw(const Pass& pass, const Asked& asked, const SampleOptions& sampling, const Draw& to);
  void fetch(const Draw& from, Drawn& drawn);

  ModelConfig config_;
  std::shared_ptr<Backend> backend_;
  Parameters parameters_;
  Arena arena_;
  Arena ropeMemory_;
  Tensor rope_;
  ModelInfo info_;
  uint64_t seed_;
  DType dtype_;                     ///< of what goes into and comes out of matrix products
  int32_t checkpointing_;           ///< layers of which the input alone is kept, and the rest made again in the backward pass
  std::vector<SavedLayer> saved_;
  std::vector<Tensor> inputs_;      ///< of the layers, with `checkpointing_`
  double weight_ = 0;           ///< of the gradient accumulated so far
  int64_t steps_ = 0;           ///< updates done
  uint64_t microbatches_ = 0;   ///< since the last update
};

}  // namespace sftlab
