#pragma once

// The model as its users see it (the addon, the tests, the bench): open, accumulate, update, evaluate, generate, save.
// Mirrors `src/engine/types.ts`, where every option is documented and checked.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/backend.h"

namespace sftlab {

/// A flat batch; see `Batch` in src/engine/types.ts. Host memory, borrowed for the call.
struct Batch {
  const int32_t* tokens = nullptr;
  const int32_t* targets = nullptr;
  const float* weights = nullptr;
  const uint8_t* groups = nullptr;
  int32_t size = 0;
  const int32_t* offsets = nullptr;
  int32_t sequences = 0;
};

struct GroupStats {
  int64_t tokens = 0;
  double loss = 0, entropy = 0;
  int64_t correct = 0;
};

struct BatchStats {
  double weightedLoss = 0, weight = 0;
  GroupStats prompt, completion;
};

struct TokenStats {
  std::vector<float> loss, entropy;
  std::vector<uint8_t> correct;
};

struct AdapterOptions {
  int32_t r = 8;
  double alpha = 16, dropout = 0;
  std::vector<std::string> targetModules;
};

/// The largest batch of its kind.
struct BatchShape {
  int32_t tokens = 0, longest = 0;  ///< altogether; of one sequence
  int32_t trained = 0, measured = 0;  ///< rows with a loss; rows that are measured only
};

/// The largest of everything that a model will be asked to do.
struct Work {
  BatchShape training, evaluation;
  int32_t prompts = 0, promptLength = 0, newTokens = 0;  ///< of one call of `generate`
};

/// Bytes of a device's memory that a model takes for some work. Weights that are used in their file are not in it.
struct MemoryPlan {
  size_t weights = 0;   ///< all but those that stay in their file
  size_t training = 0;  ///< gradients and moments
  size_t working = 0;   ///< activations and whatever else lives for one batch
  int32_t layers = 0;   ///< of the model: what `checkpointing` counts
  size_t peak = 0;      ///< everything, caches of generation too, at the worst moment
};

constexpr int32_t kAllLayers = INT32_MAX;

struct OpenOptions {
  std::filesystem::path directory;
  uint64_t seed = 0;
  bool train = false;
  bool initialize = false;
  /// Of matrix products and what goes into them; sums, statistics, trained weights and the optimizer are f32 all the same.
  DType precision = DType::f32;
  /// Of so many layers, from the first on, keep the input alone, and make the rest again in the backward pass: the same numbers, less memory,
  /// with all of them a third more work.
  int32_t checkpointing = 0;
  DType moments = DType::f32;  ///< of AdamW; in bf16 they are rounded at random, so that small changes add up
  size_t working = 0;  ///< bytes of working memory to take at once, as `plan` gave them; 0: as they are needed
  /// None, a new adapter, or the folder of a PEFT adapter.
  std::variant<std::monostate, AdapterOptions, std::filesystem::path> adapter;
};

struct UpdateOptions {
  double learningRate = 0, maxGradNorm = 0, weightDecay = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};

struct UpdateStats {
  double gradientNorm = 0;
  bool finite = true;
};

struct GenerateOptions {
  int32_t maxNewTokens = 0;
  SampleOptions sampling;
  uint64_t seed = 0;                ///< of all sequences, which draw from streams of their own by their place in the list
  std::vector<uint64_t> seeds;      ///< one for each prompt: then what it draws does not depend on its place
  std::vector<int32_t> stopTokens;
  int32_t batch = 0;                ///< sequences at a time; 0: as many as is good
  int32_t passTokens = 0;           ///< of a pass at most, which longer prompts are cut into; 0: as many as is good
};

struct Generated {
  std::vector<int32_t> tokens;
  std::vector<float> entropies, logProbabilities;
  bool stopped = false;
};

struct ModelInfo {
  std::string architecture;
  int64_t parameters = 0, trainableParameters = 0;
  int32_t layers = 0, hiddenSize = 0, vocabularySize = 0, maxPositions = 0;
  bool tiedEmbeddings = false;
};

class Model {
 public:
  /// Throws sftlab::Error (io/error.h) naming file, tensor or key.
  static std::unique_ptr<Model> open(const OpenOptions& options, std::shared_ptr<Backend> backend);
  /// What `open` with these options would take of a device's memory for that work: counted by doing all of it without computing.
  static MemoryPlan plan(const OpenOptions& options, const Work& work, const Backend& device);
  virtual ~Model() = default;

  virtual const ModelInfo& info() const = 0;
  virtual BatchStats accumulate(const Batch& batch) = 0;
  virtual UpdateStats update(const UpdateOptions& options) = 0;
  virtual TokenStats evaluate(const Batch& batch) = 0;
  virtual std::vector<Generated> generate(const std::vector<std::vector<int32_t>>& prompts,
                                          const GenerateOptions& options) = 0;
  virtual void save(const std::filesystem::path& directory) = 0;
  virtual void saveState(const std::filesystem::path& directory) = 0;
  virtual void loadState(const std::filesystem::path& directory) = 0;

  // For tests: all logits (tokens, vocabulary) of a batch; the gradient accumulated so far (raw sums, by the tensor names of the
  // file that `save` writes); the values of the trained tensors.
  virtual std::vector<float> logits(const Batch& batch) = 0;
  virtual std::map<std::string, std::vector<float>> gradients() = 0;
  virtual std::map<std::string, std::vector<float>> trainedTensors() = 0;
};

}  // namespace sftlab
