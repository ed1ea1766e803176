#include "model/decoder.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "io/cancel.h"
#include "system/system.h"

namespace sftlab {

std::unique_ptr<Model> Model::open(const OpenOptions& options, std::shared_ptr<Backend> backend) {
  return std::make_unique<Decoder>(readModelConfig(options.directory, options.train), options, std::move(backend));
}

Decoder::Decoder(const ModelConfig& config, const OpenOptions& options, std::shared_ptr<Backend> backend)
    : config_(config),
      backend_(backend),
      parameters_(config, options, backend),
      arena_(backend),
      ropeMemory_(backend),
      seed_(options.seed),
      dtype_(options.precision),
      checkpointing_(options.checkpointing) {
  if (!backend_->multiplies(dtype_)) {
    throw Error("this processor has no bf16 products (AVX512-BF16)", {}, "bf16", "Set bf16 to false: fp32 runs everywhere.");
  }
  arena_.reserve(options.working);
  info_ = {config.architecture, parameters_.count(),    parameters_.trainedCount(), config.layers,
           config.hiddenSize,   config.vocabularySize, config.maxPositions,        config.tiedEmbeddings};
}

void Decoder::growRope(int32_t positions) {
  if (positions > config_.maxPositions) {
    throw Error("a sequence of " + std::to_string(positions) + " tokens is longer than the model's " +
                    std::to_string(config_.maxPositions) + " positions",
                {}, "max_length", "Lower max_length to at most " + std::to_string(config_.maxPositions) + ".");
  }
  if (rope_ && rope_.rows >= positions) return;
  const auto rounded = static_cast<int32_t>(
      std::min<uint64_t>(std::bit_ceil(static_cast<uint32_t>(positions)), static_cast<uint64_t>(config_.maxPositions)));
  const std::vector<float> table = ropeTable(config_, rounded);
  ropeMemory_.reset();
  rope_ = ropeMemory_.take(rounded, config_.headSize);
  backend_->upload(rope_.data, table.data(), rope_.bytes());
}

Pass Decoder::begin(const Batch& batch, bool training, const int32_t*& tokens) {
  arena_.reset();
  std::vector<int32_t> positions(static_cast<size_t>(batch.size));
  int32_t longest = 0;
  for (int32_t s = 0; s < batch.sequences; ++s) {
    const int32_t first = batch.offsets[s], length = batch.offsets[s + 1] - first;
    longest = std::max(longest, length);
    for (int32_t i = 0; i < length; ++i) positions[static_cast<size_t>(first + i)] = i;
  }
  growRope(longest);
  tokens = arena_.put(batch.tokens, static_cast<size_t>(batch.size));
  Pass pass{*backend_, arena_, config_, dtype_};
  pass.tokens = batch.size;
  pass.positions = arena_.put(positions);
  pass.rope = rope_;
  const int32_t* const offsets = arena_.put(batch.offsets, static_cast<size_t>(batch.sequences) + 1);
  pass.sequences = {batch.offsets, offsets, batch.sequences, longest};
  pass.training = training;
  // Every microbatch of every step has dropout of its own; layers add their number below 2^16.
  pass.dropout = {seed_, (static_cast<uint64_t>(steps_) << 28) + (microbatches_ << 16)};
  return pass;
}

Tensor Decoder::forward(const Pass& pass, const int32_t* tokens, const Asked& asked, bool keep) {
  const auto layers = static_cast<size_t>(config_.layers);
  saved_.resize(layers);
  // What outlives a layer: of what is kept as little as its input; two buffers take turns when nothing is.
  std::vector<Tensor>& hidden = inputs_;
  hidden.resize(layers + 1);
  for (size_t i = 0; i < (keep ? layers : std::min<size_t>(layers, 2)); ++i) hidden[i] = arena_.take(pass.tokens, config_.hiddenSize);
  if (!keep) {
    for (size_t i = 2; i < layers; ++i) hidden[i] = hidden[i - 2];
  }
  hidden[layers] = arena_.take(asked ? asked.count : pass.tokens, config_.hiddenSize);
  backend_->gatherRows(hidden[0], parameters_.embedding->value, tokens);
  for (size_t i = 0; i < layers; ++i) {
    throwIfCancelled();
    const LayerWeights& weights = parameters_.layers[i];
    const Arena::Mark mark = arena_.mark();
    const Tensor middle = attentionBlock(pass, weights, static_cast<int32_t>(i), i + 1 == layers ? asked : Asked{}, hidden[i],
                                         saved_[i].attention);
    mlpBlock(pass, weights, hidden[i + 1], middle, saved_[i].mlp);
    if (!keep || static_cast<int32_t>(i) < checkpointing_) arena_.rewind(mark);
  }
  return hidden[layers];
}

void Decoder::backward(const Pass& pass, const int32_t* tokens, const Asked& asked, const Tensor& dhidden) {
  const StreamGradient dresult = readable(pass, parameters_.layers.front(), dhidden);
  if (dresult.rounded()) backend_->copy(dresult.operand, dhidden);
  const StreamGradient dinput = asked ? readable(pass, parameters_.layers.front(), arena_.take(pass.tokens, config_.hiddenSize)) : dresult;
  for (int32_t i = config_.layers - 1; i >= 0; --i) {
    throwIfCancelled();
    const LayerWeights& weights = parameters_.layers[static_cast<size_t>(i)];
    const bool last = i + 1 == config_.layers;
    const Asked chosen = last ? asked : Asked{};
    SavedLayer& layer = saved_[static_cast<size_t>(i)];
    const ArenaScope scope(arena_);
    if (i < checkpointing_) {
      const Tensor middle = attentionBlock(pass, weights, i, chosen, inputs_[static_cast<size_t>(i)], layer.attention);
      mlpBlock(pass, weights, {}, middle, layer.mlp);
    }
    mlpBlockBackward(pass, weights, last ? dresult : dinput, layer.mlp);
    attentionBlockBackward(pass, weights, i, chosen, dresult, dinput, i > 0 || parameters_.embedding->trained, layer.attention);
  }
  if (Parameter& embedding = *parameters_.embedding; embedding.trained) {
    embedding.clear(*backend_);
    backend_->gatherRowsBackward(embedding.gradient, dinput.exact, tokens);
  }
}

Asked Decoder::ask(const Batch& batch, HeadRows& rows, std::vector<int32_t>& offsets) {
  std::vector<int32_t> place(static_cast<size_t>(batch.size), -1), asked, positions;
  for (int32_t row : rows.rows) place[static_cast<size_t>(row)] = 0;
  Asked result;
  offsets = {0};
  for (int32_t s = 0; s < batch.sequences; ++s) {
    for (int32_t i = batch.offsets[s]; i < batch.offsets[s + 1]; ++i) {
      if (place[static_cast<size_t>(i)] < 0) continue;
      place[static_cast<size_t>(i)] = static_cast<int32_t>(asked.size());
      asked.push_back(i);
      positions.push_back(i - batch.offsets[s]);
    }
    result.queries.most = std::max(result.queries.most, static_cast<int32_t>(asked.size()) - offsets.back());
    offsets.push_back(static_cast<int32_t>(asked.size()));
  }
  // Without any there is nothing to compute but the layers' memory must be there; with all, places are the rows themselves.
  if (asked.empty() || static_cast<int32_t>(asked.size()) == batch.size) return {};
  for (int32_t& row : rows.rows) row = place[static_cast<size_t>(row)];
  result.rows = arena_.put(asked);
  result.count = static_cast<int64_t>(asked.size());
  result.queries.host = offsets.data();
  result.queries.device = arena_.put(offsets);
  result.queries.positions = arena_.put(positions);
  return result;
}

namespace {

/// Rows that predict something: the trained ones first, then those that are only measured.
HeadRows chooseRows(const Batch& batch, bool training) {
  HeadRows rows;
  const auto take = [&](bool trained) {
    for (int32_t i = 0; i < batch.size; ++i) {
      const bool weighted = training && batch.weights[i] > 0;
      if (weighted != trained || (!weighted && batch.groups[i] == 0)) continue;
      rows.rows.push_back(i);
      rows.targets.push_back(batch.targets[i]);
      rows.weights.push_back(batch.weights[i]);
    }
  };
  take(true);
  rows.trained = static_cast<int64_t>(rows.rows.size());
  take(false);
  return rows;
}

}  // namespace

BatchStats Decoder::accumulate(const Batch& batch) {
  const int32_t* tokens;
  const Pass pass = begin(batch, true, tokens);
  const HeadRows rows = chooseRows(batch, true);
  HeadRows places = rows;
  std::vector<int32_t> offsets;
  const Asked asked = ask(batch, places, offsets);
  const Tensor hidden = forward(pass, tokens, asked, true);
  const Tensor dhidden = arena_.take(hidden.rows, hidden.cols);
  const HeadResult head = headLoss(pass, parameters_, hidden, places, dhidden);
  if (rows.trained > 0) backward(pass, tokens, asked, dhidden);
  backend_->synchronize();
  ++microbatches_;

  BatchStats stats;
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows.rows[i]);
    if (static_cast<int64_t>(i) < rows.trained) {
      stats.weightedLoss += static_cast<double>(rows.weights[i]) * head.loss[i];
      stats.weight += rows.weights[i];
    }
    if (batch.groups[row] == 0) continue;
    GroupStats& group = batch.groups[row] == 1 ? stats.prompt : stats.completion;
    ++group.tokens;
    group.loss += head.loss[i];
    group.entropy += head.entropy[i];
    group.correct += head.correct[i];
  }
  weight_ += stats.weight;
  return stats;
}

/// Apart from the streams of dropout and of initial weights; each step has a million of its own.
constexpr uint64_t kRoundingStream = 1ull << 63;

UpdateStats Decoder::update(const UpdateOptions& options) {
  parameters_.clearGradients();
  std::vector<Tensor> gradients;
  std::vector<AdamParameter> list;
  for (const Parameter* parameter : parameters_.trained()) {
    gradients.push_back(parameter->gradient);
    list.push_back({parameter->value, parameter->gradient, parameter->first, parameter->second, parameter->decays(), parameter->rounded});
  }
  const double scale = weight_ > 0 ? 1 / weight_ : 0;
  UpdateStats stats;
  stats.gradientNorm = std::sqrt(backend_->squaredNorm(gradients)) * scale;
  stats.finite = std::isfinite(stats.gradientNorm);
  if (stats.finite) {
    // As torch.nn.utils.clip_grad_norm_.
    const double clip = options.maxGradNorm > 0 ? std::min(1.0, options.maxGradNorm / (stats.gradientNorm + 1e-6)) : 1.0;
    ++steps_;
    backend_->adamw(list, {static_cast<float>(options.learningRate), static_cast<float>(options.beta1),
                           static_cast<float>(options.beta2), static_cast<float>(options.epsilon),
                           static_cast<float>(options.weightDecay), static_cast<float>(scale * clip), steps_,
                           {seed_, kRoundingStream + (static_cast<uint64_t>(steps_) << 20)}});
  }
  parameters_.zeroGradients();
  backend_->synchronize();
  weight_ = 0;
  microbatches_ = 0;
  return stats;
}

TokenStats Decoder::evaluate(const Batch& batch) {
  const int32_t* tokens;
  const Pass pass = begin(batch, false, tokens);
  const HeadRows rows = chooseRows(batch, false);
  HeadRows places = rows;
  std::vector<int32_t> offsets;
  const Asked asked = ask(batch, places, offsets);
  const HeadResult head = headLoss(pass, parameters_, forward(pass, tokens, asked, false), places, Tensor{});
  const auto size = static_cast<size_t>(batch.size);
  TokenStats stats{std::vector<float>(size), std::vector<float>(size), std::vector<uint8_t>(size)};
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows.rows[i]);
    stats.loss[row] = head.loss[i];
    stats.entropy[row] = head.entropy[i];
    stats.correct[row] = head.correct[i];
  }
  return stats;
}

void Decoder::saveState(const std::filesystem::path& directory) {
  if (weight_ != 0 || microbatches_ != 0) throw Error("the state of a model can be saved only between steps");
  parameters_.saveState(directory, {{"format", "pt"}, {"steps", std::to_string(steps_)}});
}

void Decoder::loadState(const std::filesystem::path& directory) {
  const auto metadata = parameters_.loadState(directory);
  const auto steps = metadata.find("steps");
  const bool valid = steps != metadata.end() && !steps->second.empty() && steps->second.size() < 16 &&
                     steps->second.find_first_not_of("0123456789") == std::string::npos;
  if (!valid) throw Error("lacks the number of steps done", system::textOf(directory / "optimizer.safetensors"), "steps");
  steps_ = std::stoll(steps->second);
}

std::vector<float> Decoder::logits(const Batch& batch) {
  const int32_t* tokens;
  const Pass pass = begin(batch, false, tokens);
  const Tensor hidden = forward(pass, tokens, {}, false);
  std::vector<int32_t> rows(static_cast<size_t>(batch.size));
  for (int32_t i = 0; i < batch.size; ++i) rows[static_cast<size_t>(i)] = i;
  const Tensor all = headLogits(pass, parameters_, hidden, arena_.put(rows), batch.size);
  std::vector<float> values(static_cast<size_t>(all.size()));
  backend_->download(values.data(), all.data, all.bytes());
  return values;
}

std::map<std::string, std::vector<float>> Decoder::gradients() {
  parameters_.clearGradients();
  std::map<std::string, std::vector<float>> all;
  for (const Parameter* parameter : parameters_.trained()) {
    std::vector<float>& values = all[parameter->name];
    values.resize(static_cast<size_t>(parameter->gradient.size()));
    backend_->download(values.data(), parameter->gradient.data, parameter->gradient.bytes());
  }
  return all;
}

std::map<std::string, std::vector<float>> Decoder::trainedTensors() {
  std::map<std::string, std::vector<float>> all;
  for (const Parameter* parameter : parameters_.trained()) {
    std::vector<float>& values = all[parameter->name];
    values.resize(static_cast<size_t>(parameter->value.size()));
    backend_->download(values.data(), parameter->value.data, parameter->value.bytes());
  }
  return all;
}

}  // namespace sftlab
