// Layers that share their input, multiplied as one and each by itself: the same numbers but for the order of sums.

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "test/model/reference.h"

namespace sftlab {
namespace {

using namespace test;
using nlohmann::json;

std::shared_ptr<Backend> stacking() { return makeBackend(1); }
std::shared_ptr<Backend> apart() {
  setenv("SFT_LAB_CUDA_STACK", "0", 1);
  const auto backend = makeBackend(1);
  unsetenv("SFT_LAB_CUDA_STACK");
  return backend;
}

class Stack : public FamilyTest {
 protected:
  ~Stack() override { fs::remove_all(copy_); }

  /// The reference's adapter, whose B are not zero, on some modules and with that dropout.
  fs::path adapter(const json& modules, double dropout) const {
    fs::remove_all(copy_);
    fs::copy(folder_ / "adapter", copy_);
    return configured(modules, dropout);
  }

  fs::path configured(const json& modules, double dropout) const {
    json config = json::parse(std::ifstream(copy_ / "adapter_config.json"));
    config["lora_dropout"] = dropout;
    config["target_modules"] = modules;
    std::ofstream(copy_ / "adapter_config.json") << config.dump();
    return copy_;
  }

  /// An adapter of that rank on some modules, trained for some steps so that its B are not zero; with that dropout from then on.
  fs::path trained(int32_t rank, const std::vector<std::string>& modules, double dropout = 0) const {
    fs::remove_all(copy_);
    fs::create_directories(copy_);
    OpenOptions options = this->options(true, false);
    options.adapter = AdapterOptions{.r = rank, .alpha = 2.0 * rank, .dropout = 0, .targetModules = modules};
    const auto model = Model::open(options, apart());
    const StoredBatch stored = batch(1, "all");
    UpdateOptions update;
    update.learningRate = 2e-2;
    for (int step = 0; step < 2; ++step) {
      model->accumulate(stored.view());
      model->update(update);
    }
    model->save(copy_);
    return configured(modules, dropout);
  }

  void expectSame(const OpenOptions& options) const {
    const StoredBatch all = batch(3, "mixed");
    StoredBatch few = all;  // the last block has queries of its own for these
    for (size_t i = 0; i < few.groups.size(); ++i) few.groups[i] = few.weights[i] > 0 ? 2 : 0;
    const auto one = Model::open(options, stacking()), each = Model::open(options, apart());
    const bool exact = options.precision == DType::f32;
    for (const StoredBatch& stored : {all, few}) {
      const double loss = each->accumulate(stored.view()).weightedLoss;
      EXPECT_NEAR(one->accumulate(stored.view()).weightedLoss, loss, (exact ? 1e-5 : 1e-3) * loss);
      const auto gradients = each->gradients();
      // In bf16 what adapters add is rounded by itself, or with the rest.
      for (const auto& [name, values] : one->gradients()) EXPECT_LT(relative(values, gradients.at(name)), exact ? 1e-5 : 0.04) << name;
      for (const auto& model : {one.get(), each.get()}) model->update({});  // at a rate of zero: the next batch's gradients are its own
    }
  }

  fs::path copy_ = temporary("stack");
};

TEST_P(Stack, ChangesOnlyRounding) {
  ASSERT_TRUE(stacking()->stacks());
  ASSERT_FALSE(apart()->stacks());
  for (const DType precision : {DType::f32, DType::bf16}) {
    precision_ = precision;
    expectSame(options(true, false));
    OpenOptions lowRank = options(true, true);
    expectSame(lowRank);
    lowRank.adapter = adapter({"q_proj", "v_proj", "up_proj"}, 0);
    expectSame(lowRank);
    lowRank.adapter = adapter({"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"}, 0.3);
    expectSame(lowRank);
  }
}

/// Ranks of eights stand beside their weights in bf16: what adapters make is rounded less often, never more.
TEST_P(Stack, WithAdaptersIsAsCloseToExact) {
  const std::vector<std::string> all{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
  const std::vector<std::tuple<int32_t, std::vector<std::string>, double>> cases{
      {16, all, 0}, {8, {"q_proj", "v_proj", "up_proj"}, 0.3}, {24, {"down_proj"}, 0}};
  double ours = 0, theirs = 0;
  for (const auto& [rank, modules, dropout] : cases) {
    precision_ = DType::f32;
    OpenOptions options = this->options(true, false);
    options.adapter = trained(rank, modules, dropout);
    const auto exact = Model::open(options, apart());
    options.precision = DType::bf16;
    expectSame(options);
    const auto one = Model::open(options, stacking()), each = Model::open(options, apart());
    const StoredBatch stored = batch(3, "mixed");
    for (const auto& model : {exact.get(), one.get(), each.get()}) model->accumulate(stored.view());
    const auto expected = exact->gradients(), rounded = each->gradients();
    for (const auto& [name, values] : one->gradients()) {
      ours += relative(values, expected.at(name));
      theirs += relative(rounded.at(name), expected.at(name));
    }
  }
  EXPECT_LT(ours, 1.05 * theirs);
}

/// What is written knows nothing of how weights stand in memory.
TEST_P(Stack, GoesOnWhereTheOtherStopped) {
  for (const std::string kind : {"full", "adapter", "adapter of eights"}) {
    const bool adapter = kind != "full";
    OpenOptions options = this->options(true, adapter);
    if (kind == "adapter of eights") {
      options.adapter = trained(8, {"q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"});
      options.precision = DType::bf16;
    }
    const auto first = Model::open(options, stacking());
    const StoredBatch stored = batch(2, "all");
    const auto step = [&](Model& model) {
      model.accumulate(stored.view());
      UpdateOptions update;
      update.learningRate = 1e-3;
      model.update(update);
    };
    step(*first);
    first->save(copy_);
    first->saveState(copy_);
    if (adapter) {
      options.adapter = copy_;
    } else {
      fs::copy_file(folder_ / "config.json", copy_ / "config.json", fs::copy_options::overwrite_existing);
      options.directory = copy_;
    }
    const auto second = Model::open(options, apart());
    second->loadState(copy_);
    EXPECT_EQ(second->trainedTensors(), first->trainedTensors());
    step(*first);
    step(*second);
    const auto expected = first->trainedTensors();
    // Adam divides by the root of tiny second moments, so rounding shows more in weights than in gradients.
    const double bound = options.precision == DType::f32 ? 1e-3 : 1e-2;
    for (const auto& [name, values] : second->trainedTensors()) EXPECT_LT(relative(values, expected.at(name)), bound) << name;
  }
}

/// Heads of one's own and biases everywhere, shared heads and QK-norm, each in attention's exact form or in tiles.
INSTANTIATE_TEST_SUITE_P(Families, Stack, testing::Values("llama-biases-linear-rope", "qwen2-tied-window", "qwen3-tied", "qwen3-untied-sharded"),
                         familyName);

}  // namespace
}  // namespace sftlab
