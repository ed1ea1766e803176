// The engine against transformers, peft and torch: logits, every gradient, and 20 steps of AdamW for each family of models, by
// the tensors that test/reference/make_fixtures.py stored. Bounds are relative: norm of the difference over norm.

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "test/model/reference.h"

namespace sftlab {
namespace {

using namespace test;

class Parity : public FamilyTest {
 protected:
  void checkGradients(bool adapter) const {
    const auto model = open(true, adapter);
    const StoredBatch stored = batch(3, "mixed");
    model->accumulate(stored.view());
    const auto gradients = model->gradients();
    const std::string prefix = adapter ? "lora.gradient." : "gradient.";
    size_t compared = 0;
    for (const auto& [name, tensor] : stored_.tensors()) {
      if (!name.starts_with(prefix)) continue;
      const auto found = gradients.find(name.substr(prefix.size()));
      ASSERT_NE(found, gradients.end()) << name;
      EXPECT_LT(relative(found->second, reference(name)), kBound) << name;
      ++compared;
    }
    EXPECT_EQ(compared, gradients.size());
  }

  void checkTrajectory(const std::string& label, const std::string& kind, bool adapter, bool accumulate,
                       const std::string& finals) const {
    const Trajectory actual = train(kind, adapter, accumulate);
    const std::vector<float> losses = reference(label + ".losses"), norms = reference(label + ".norms");
    ASSERT_EQ(actual.losses.size(), losses.size());
    for (size_t step = 0; step < losses.size(); ++step) {
      EXPECT_NEAR(actual.losses[step], losses[step], kBound) << label << " step " << step;
      EXPECT_NEAR(actual.norms[step], norms[step], kBound * norms[step]) << label << " step " << step;
    }
    EXPECT_NEAR(actual.after, reference(label + ".after")[0], kBound) << label;
    if (finals.empty()) return;
    for (const auto& [name, values] : actual.finals) {
      // Adam divides by the root of tiny second moments, so rounding shows more in weights than in losses.
      EXPECT_LT(relative(values, reference(finals + name)), 1e-3) << name;
    }
  }
};

TEST_P(Parity, Logits) {
  const StoredBatch stored = batch(3, "all");
  EXPECT_LT(relative(open(false, false)->logits(stored.view()), reference("logits")), kBound);
}

TEST_P(Parity, TokenFigures) {
  const auto model = open(false, false);
  for (int i = 0; i < 4; ++i) {
    const StoredBatch stored = batch(i, "all");
    const TokenStats stats = model->evaluate(stored.view());
    const std::string prefix = "batch." + std::to_string(i) + ".";
    const auto loss = reference(prefix + "loss"), entropy = reference(prefix + "entropy"), correct = reference(prefix + "correct");
    for (size_t t = 0; t < loss.size(); ++t) {
      if (stored.groups[t] == 0) continue;
      EXPECT_NEAR(stats.loss[t], loss[t], kBound) << t;
      EXPECT_NEAR(stats.entropy[t], entropy[t], kBound) << t;
      EXPECT_EQ(stats.correct[t], correct[t]) << t;
    }
  }
}

TEST_P(Parity, Gradients) { checkGradients(false); }
TEST_P(Parity, AdapterGradients) { checkGradients(true); }
TEST_P(Parity, FullTrajectory) { checkTrajectory("all", "all", false, false, "final."); }
TEST_P(Parity, CompletionTrajectory) { checkTrajectory("completion", "completion", false, false, ""); }
TEST_P(Parity, AccumulatedTrajectory) { checkTrajectory("accumulate", "all", false, true, ""); }
TEST_P(Parity, AdapterTrajectory) { checkTrajectory("lora", "completion", true, false, "lora.final."); }

TEST_P(Parity, RepeatsBitwise) {
  for (const bool adapter : {false, true}) {
    const Trajectory first = train("all", adapter, false), second = train("all", adapter, false);
    EXPECT_EQ(std::memcmp(first.losses.data(), second.losses.data(), first.losses.size() * sizeof(float)), 0);
    EXPECT_EQ(first.finals, second.finals);
  }
}

TEST_P(Parity, ThreadsChangeOnlyRounding) {
  const Trajectory one = train("all", false, false, 1), two = train("all", false, false, 2);
  for (size_t step = 0; step < one.losses.size(); ++step) EXPECT_NEAR(one.losses[step], two.losses[step], kBound);
}

TEST_P(Parity, SplittingABatchChangesOnlyRounding) {
  const auto whole = open(true, false), parts = open(true, false);
  const StoredBatch stored = batch(3, "mixed");
  whole->accumulate(stored.view());
  for (size_t s = 0; s + 1 < stored.offsets.size(); ++s) {
    const auto first = static_cast<size_t>(stored.offsets[s]);
    const int32_t length = stored.offsets[s + 1] - stored.offsets[s];
    const std::vector<int32_t> offsets{0, length};
    Batch part = stored.view();
    part.tokens += first;
    part.targets += first;
    part.weights += first;
    part.groups += first;
    part.size = length;
    part.offsets = offsets.data();
    part.sequences = 1;
    parts->accumulate(part);
  }
  const auto expected = whole->gradients();
  for (const auto& [name, values] : parts->gradients()) EXPECT_LT(relative(values, expected.at(name)), 1e-5) << name;
}

TEST_P(Parity, SavedModelOpensTheSame) {
  const fs::path saved = temporary("saved");
  open(false, false)->save(saved);
  fs::copy_file(folder_ / "config.json", saved / "config.json");
  OpenOptions options;
  options.directory = saved;
  const StoredBatch stored = batch(3, "all");
  EXPECT_EQ(Model::open(options, makeBackend(2))->logits(stored.view()), open(false, false)->logits(stored.view()));
  fs::remove_all(saved);
}

TEST_P(Parity, SavedAdapterIsPeftsAgain) {
  const fs::path saved = temporary("adapter");
  open(true, true)->save(saved);
  {
    const TensorFiles ours = TensorFiles::openFolder(saved, "adapter_model"), theirs = TensorFiles::openFolder(folder_ / "adapter", "adapter_model");
    EXPECT_EQ(ours.tensors().size(), theirs.tensors().size());
    for (const auto& [name, tensor] : theirs.tensors()) {
      const FileTensor& same = ours.require(name, tensor.shape);
      ASSERT_EQ(same.bytes, tensor.bytes) << name;
      EXPECT_EQ(std::memcmp(same.data, tensor.data, tensor.bytes), 0) << name;
    }
  }  // Windows removes no file that is mapped
  fs::remove_all(saved);
}

/// The most likely next token, by logits over the whole sequence: what greedy generation with a cache must give.
TEST_P(Parity, GenerationWithCacheEqualsWithout) {
  for (const bool adapter : {false, true}) {
    const auto model = open(false, adapter);
    const std::vector<std::vector<int32_t>> prompts = {{3, 5, 7, 11, 13, 17, 19}, {90}, {4, 8, 15, 16, 23, 42, 4, 8, 15}};
    GenerateOptions options;
    options.maxNewTokens = 12;
    const auto generated = model->generate(prompts, options);
    ASSERT_EQ(generated.size(), prompts.size());
    for (size_t p = 0; p < prompts.size(); ++p) {
      std::vector<int32_t> tokens = prompts[p];
      for (size_t step = 0; step < generated[p].tokens.size(); ++step) {
        const std::vector<int32_t> offsets{0, static_cast<int32_t>(tokens.size())};
        Batch batch;
        batch.tokens = tokens.data();
        batch.size = static_cast<int32_t>(tokens.size());
        batch.offsets = offsets.data();
        batch.sequences = 1;
        const std::vector<float> logits = model->logits(batch);
        const auto vocabulary = static_cast<std::ptrdiff_t>(model->info().vocabularySize);
        const auto row = logits.end() - vocabulary;
        const auto best = std::max_element(row, logits.end());
        EXPECT_EQ(generated[p].tokens[step], best - row);
        double sum = 0;
        for (auto it = row; it != logits.end(); ++it) sum += std::exp(static_cast<double>(*it) - *best);
        EXPECT_NEAR(generated[p].logProbabilities[step], -std::log(sum), 1e-4);
        tokens.push_back(generated[p].tokens[step]);
      }
      EXPECT_EQ(generated[p].tokens.size(), 12u);
    }
  }
}

/// The bounds notice what they are there for: a model opened with one key of its config changed is not within them.
TEST(ParityFixtures, NoticeEachKey) {
  using nlohmann::json;
  const std::vector<std::pair<std::string, json>> patches = {
      {"llama2", {{"rms_norm_eps", 1e-3}}},
      {"llama3-tied", {{"rope_parameters", {{"low_freq_factor", 2}}}}},
      {"llama3-tied", {{"rope_parameters", {{"high_freq_factor", 8}}}}},
      {"llama3-tied", {{"rope_parameters", {{"rope_type", "linear"}}}}},
      {"llama-biases-linear-rope", {{"rope_parameters", {{"factor", 2.5}}}}},
      {"llama-biases-linear-rope", {{"attention_bias", false}}},
      {"llama-biases-linear-rope", {{"mlp_bias", false}}},
      {"mistral-window", {{"sliding_window", 6}}},
      {"qwen2-tied-window", {{"use_sliding_window", false}}},
      {"qwen2-tied-window", {{"layer_types", {"sliding_attention", "sliding_attention"}}}},
      {"qwen2-untied-yarn", {{"rope_parameters", {{"beta_fast", 1}}}}},
      {"qwen2-untied-yarn", {{"rope_parameters", {{"attention_factor", 1}}}}},
      {"qwen3-tied", {{"rope_parameters", {{"rope_theta", 9000.0}}}}},
      {"qwen3-untied-sharded", {{"tie_word_embeddings", true}}}};
  const fs::path copy = temporary("patched");
  for (const auto& [family, patch] : patches) {
    const fs::path folder = test::fixtures() / "reference" / family;
    fs::remove_all(copy);
    fs::copy(folder, copy);
    json config = json::parse(std::ifstream(folder / "config.json"));
    config.merge_patch(patch);
    std::ofstream(copy / "config.json") << config.dump();
    const Reference reference(folder);
    const StoredBatch stored = reference.batch(3, "all");
    OpenOptions options;
    options.directory = copy;
    const auto logits = Model::open(options, makeBackend(1))->logits(stored.view());
    EXPECT_GT(relative(logits, reference.values("logits")), 5 * kBound) << family << " " << patch.dump();
  }
  fs::remove_all(copy);
}

INSTANTIATE_TEST_SUITE_P(Families, Parity, testing::ValuesIn(families()), familyName);

TEST(ParityFixtures, AreThere) { EXPECT_GE(families().size(), 9u); }

}  // namespace
}  // namespace sftlab
