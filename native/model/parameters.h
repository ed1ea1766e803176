#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "model/backend.h"
#include "model/config.h"
#include "model/model.h"

namespace sftlab {

/// A named tensor of the model. `gradient`, `first` and `second` are empty where it is not trained.
struct Parameter {
  std::string name;            ///< as in Hugging Face files
  std::vector<int64_t> shape;  ///< one or two dimensions
  Tensor value, gradient, first, second;
  Tensor rounded;  ///< the value in bf16, where the backend wants that of what is in f32
  bool trained = false;
  /// The gradient is zero whatever its memory holds: the product that is to add to it first overwrites it. Clearing it, and reading that
  /// again, would take as long as a third of an update.
  bool zero = false;
  std::vector<Parameter*> parts;  ///< of several that stand as one

  /// beta of a product that adds to the gradient.
  float beginSum(Backend& backend);
  /// Has the memory hold what `zero` says, for those who read it.
  void clear(Backend& backend);

  /// What products of that precision read.
  const Tensor& operand(DType dtype) const { return dtype == DType::bf16 && rounded ? rounded : value; }

  /// Weight decay is for matrices, never for norms and biases, as in Hugging Face's Trainer.
  bool decays() const { return shape.size() == 2; }
};

/// A low-rank addition to a linear layer (Hu et al. 2021): y += scale * B A dropout(x). Layers that share their input share what is dropped of
/// it. Of several layers as one it has an A of the rows of all their A, and each B takes its own part of what that makes.
struct LowRank {
  struct Up {
    Parameter* b = nullptr;  ///< (out, r)
    int64_t column = 0;      ///< the first of y that it adds to
  };
  Parameter* a = nullptr;  ///< (r of each, in)
  std::vector<Up> ups;
  float scale = 0, dropout = 0;
  uint64_t stream = 0;  ///< tells this input's dropout from all others
};

struct LinearWeights {
  Parameter* weight = nullptr;  ///< (out, in)
  Parameter* bias = nullptr;    ///< (out), or none
  std::optional<LowRank> adapter;
  /// (out + r of each, in + r of each) [[W, B], [A, 0]], where all of it stands as one: x and A x side by side make the output in one product,
  /// its gradient and that of A x the input's. Else none.
  Tensor extended{};

  /// Numbers that the adapter makes of a token.
  int64_t ranks() const { return adapter ? adapter->a->shape[0] : 0; }
};

/// Layers that share their input, as they are multiplied: in turn, or, where the backend stacks, as one layer that has the rows of all.
using LinearGroup = std::vector<LinearWeights>;

struct LayerWeights {
  Parameter *inputNorm, *attentionNorm;          ///< before attention; after it, before the MLP
  Parameter *queryNorm = nullptr, *keyNorm = nullptr;
  LinearWeights query, key, value, output, gate, up, down;
  LinearGroup queryKeyValue, keyValue, gateUp;  ///< the same ones
};

/// All weights of a model: where they come from, which are trained, how they are written.
class Parameters {
 public:
  Parameters(const ModelConfig& config, const OpenOptions& options, std::shared_ptr<Backend> backend);
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  Parameter* embedding = nullptr;
  Parameter* finalNorm = nullptr;
  Parameter* head = nullptr;  ///< the embedding where they are tied
  std::vector<LayerWeights> layers;

  const std::vector<Parameter*>& trained() const { return trained_; }
  bool hasAdapter() const { return adapter_.has_value(); }
  int64_t count() const;         ///< numbers in the model, adapter included
  int64_t trainedCount() const;
  size_t trainingBytes() const { return gradients_.bytes() + momentBytes_; }  ///< of gradients and both moments
  /// The gradients of all trained tensors are one block of memory, and so are the moments.
  void zeroGradients();
  /// Has the memory of all of them hold what they are.
  void clearGradients();

  void save(const std::filesystem::path& directory) const;
  void saveState(const std::filesystem::path& directory, const std::map<std::string, std::string>& metadata) const;
  /// Returns the metadata that `saveState` was given.
  std::map<std::string, std::string> loadState(const std::filesystem::path& directory);

 private:
  Parameter* add(const std::string& name, std::vector<int64_t> shape);
  void* allocate(int64_t count, DType dtype = DType::f32);  ///< released with this object, also when its constructor fails
  void addLinear(LinearWeights& linear, const std::string& name, int64_t out, int64_t in, bool bias, uint64_t input);
  /// Tensors that stand one right behind the other in memory, so that they can be read as one.
  using Run = std::vector<Parameter*>;
  /// Has the weights of these layers stand in runs, and so their biases.
  void join(const LinearGroup& layers);
  /// The memory of frozen weights and their adapters as one, where products can read it so.
  void extend(const LinearGroup& layers);
  /// These layers as few as can be, once they have their places.
  LinearGroup stack(const LinearGroup& layers);
  Parameter* stack(const Run& run);
  void place(const OpenOptions& options, const TensorFiles* base);
  void initialize(const OpenOptions& options);
  TensorFiles openChecked(const std::filesystem::path& directory, const std::string& stem, bool adapter) const;
  void read(TensorFiles files, bool adapter);
  /// A tensor of a file into device memory, a piece at a time, converted there.
  void load(const Tensor& value, const FileTensor& tensor);
  bool multiplied(const Parameter& parameter) const;
  bool summedByProducts(const Parameter& parameter) const;
  TensorSource source(const std::string& name, const Parameter& parameter, const Tensor& tensor) const;

  ModelConfig config_;
  std::shared_ptr<Backend> backend_;
  DType dtype_;
  std::optional<AdapterOptions> adapter_;
  std::string baseDirectory_;
  std::vector<std::unique_ptr<Parameter>> all_;
  std::vector<Run> runs_;  ///< all of them
  std::vector<LinearGroup> groups_;  ///< of layers that share their input, all of them
  std::map<const Parameter*, Tensor> extended_;  ///< by the first weight of its layers
  std::vector<std::unique_ptr<Parameter>> stacks_;
  std::vector<Parameter*> trained_;
  std::vector<std::shared_ptr<void>> blocks_;
  Tensor gradients_;
  int64_t cleared_ = 0;  ///< of those, the first ones, which are not summed by products
  size_t momentBytes_ = 0;
  std::vector<TensorFiles> files_;  ///< frozen weights may lie in them
};

/// The adapter that a PEFT folder holds. Throws Error naming what this engine cannot do.
AdapterOptions readAdapterConfig(const std::filesystem::path& directory);
void writeAdapterConfig(const std::filesystem::path& directory, const AdapterOptions& options, const std::string& base);
/// The modules that adapters are put on, `all-linear` written out. Throws Error naming an unknown one.
std::vector<std::string> targetModules(const AdapterOptions& options);

}  // namespace sftlab
