// The memory plan: all the work once over a backend that computes nothing and counts what is taken. It is the model's own code that
// is counted, so the plan is right whatever that code comes to do.

#include <algorithm>
#include <map>
#include <new>

#include "model/decoder.h"
#include "system/system.h"

namespace sftlab {

namespace {

/// Hands out addresses without memory behind them: whoever touches one is found out at once.
class CountingBackend final : public Backend {
 public:
  explicit CountingBackend(const Backend& device) : device_(device) {}
  ~CountingBackend() override {
    for (const auto& [data, bytes] : blocks_) system::releaseAddresses(data, bytes);
  }

  void* allocate(size_t bytes) override {
    const size_t size = std::max<size_t>(bytes, 1);
    void* const data = system::reserveAddresses(size);
    if (!data) throw std::bad_alloc();
    blocks_[data] = size;
    current_ += bytes;
    peak_ = std::max(peak_, current_);
    return data;
  }
  void release(void* data) override {
    const auto found = blocks_.find(data);
    if (found == blocks_.end()) return;
    system::releaseAddresses(data, found->second);
    current_ -= found->second;
    blocks_.erase(found);
  }
  bool usesHostMemory() const override { return device_.usesHostMemory(); }
  bool onlyCounts() const override { return true; }
  bool multiplies(DType dtype) const override { return device_.multiplies(dtype); }
  bool keepsRounded() const override { return device_.keepsRounded(); }
  bool stacks() const override { return device_.stacks(); }
  bool records() const override { return device_.records(); }
  int32_t passRows() const override { return device_.passRows(); }
  int32_t passSequences() const override { return device_.passSequences(); }
  int64_t headRows(int64_t vocabulary) const override { return device_.headRows(vocabulary); }
  size_t ownBytes() const override { return device_.ownBytes(); }
  size_t currentBytes() const override { return current_; }
  size_t peakBytes() const override { return peak_; }

  void upload(void*, const void*, size_t) override {}
  void download(void*, const void*, size_t) override {}
  void synchronize() override {}
  void zero(const Tensor&) override {}
  void copy(const Tensor&, const Tensor&) override {}
  void matmul(const Tensor&, const Tensor&, Transpose, const Tensor&, Transpose, float, float) override {}
  void addBias(const Tensor&, const Tensor&) override {}
  void addBiasBackward(const Tensor&, const Tensor&) override {}
  void add(const Tensor&, const Tensor&) override {}
  void swiglu(const Tensor&, const Tensor&, const Tensor&) override {}
  void swigluBackward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) override {}
  void dropout(const Tensor&, const Tensor&, float, RandomStream) override {}
  void fillNormal(const Tensor&, float, RandomStream) override {}
  void fillUniform(const Tensor&, float, RandomStream) override {}
  void fill(const Tensor&, float) override {}
  void rmsNorm(const Tensor&, const Tensor&, const Tensor&, const Tensor&, float) override {}
  void rmsNormBackward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) override {}
  void rope(const Tensor&, const Tensor&, const int32_t*, int32_t, bool) override {}
  void attention(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const AttentionShape&, const Sequences&,
                 const Queries&) override {}
  void attentionBackward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                         const Tensor&, const Tensor&, const AttentionShape&, const Sequences&, const Queries&) override {}
  void cacheStore(const KeyValueCache&, const Tensor&, const Tensor&, const int32_t*, const int32_t*) override {}
  void attentionCached(const Tensor&, const Tensor&, const KeyValueCache&, const int32_t*, const int32_t*,
                       const AttentionShape&) override {}
  void gatherRows(const Tensor&, const Tensor&, const int32_t*) override {}
  void gatherRowsBackward(const Tensor&, const Tensor&, const int32_t*) override {}
  void crossEntropy(const Tensor&, const int32_t*, const float*, float*, float*, uint8_t*, const Tensor&) override {}
  void sample(const Tensor&, const SampleOptions&, const RandomStream*, int32_t*, float*, float*) override {}
  double squaredNorm(const std::vector<Tensor>&) override { return 0; }
  void adamw(const std::vector<AdamParameter>&, const AdamOptions&) override {}

 private:
  const Backend& device_;
  std::map<void*, size_t> blocks_;
  size_t current_ = 0, peak_ = 0;
};

/// A batch of that shape.
class ShapedBatch {
 public:
  explicit ShapedBatch(const BatchShape& shape)
      : tokens_(static_cast<size_t>(shape.tokens)), weights_(tokens_.size()), groups_(tokens_.size()) {
    for (int32_t at = 0; at < shape.tokens; at += std::max(1, shape.longest)) offsets_.push_back(at);
    offsets_.push_back(shape.tokens);
    // A sequence's last token predicts nothing: the last block is asked about some rows, which takes more than all. How many sequences there
    // are is not known, but one at least.
    const int32_t predicting = shape.tokens - 1;
    for (int32_t i = 0; i < std::min(predicting, shape.trained + shape.measured); ++i) {
      weights_[static_cast<size_t>(i)] = i < shape.trained ? 1 : 0;
      groups_[static_cast<size_t>(i)] = 1;
    }
  }
  Batch view() const {
    return {tokens_.data(),  tokens_.data(), weights_.data(), groups_.data(), static_cast<int32_t>(tokens_.size()),
            offsets_.data(), static_cast<int32_t>(offsets_.size()) - 1};
  }

 private:
  std::vector<int32_t> tokens_, offsets_;
  std::vector<float> weights_;
  std::vector<uint8_t> groups_;
};

}  // namespace

MemoryPlan Model::plan(const OpenOptions& options, const Work& work, const Backend& device) {
  const ModelConfig config = readModelConfig(options.directory);
  MemoryPlan plan;
  OpenOptions planned = options;
  // Once to learn how much working memory there has to be, once with that taken from the start, as the model itself does.
  for (int round = 0; round < 2; ++round) {
    planned.working = plan.working;
    const auto backend = std::make_shared<CountingBackend>(device);
    Decoder model(config, planned, backend);
    plan.training = model.trainingBytes();
    plan.weights = backend->currentBytes() - plan.training - plan.working;
    if (work.training.tokens > 0 && options.train) {
      const ShapedBatch batch(work.training);
      model.accumulate(batch.view());
      model.update({});
    }
    if (work.evaluation.tokens > 0) {
      const ShapedBatch batch(work.evaluation);
      model.evaluate(batch.view());
    }
    if (work.prompts > 0) {
      GenerateOptions generate;
      generate.maxNewTokens = work.newTokens;
      model.generate({static_cast<size_t>(work.prompts), std::vector<int32_t>(static_cast<size_t>(work.promptLength))}, generate);
    }
    plan.working = model.workingBytes();
    plan.layers = config.layers;
    plan.peak = backend->peakBytes() + backend->ownBytes();
  }
  return plan;
}

}  // namespace sftlab
