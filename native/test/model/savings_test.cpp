// What saves work or memory changes nothing: activation checkpointing, rows that nothing is asked about, the order of sequences.

#include <algorithm>

#include "test/model/reference.h"

namespace sftlab {
namespace {

using namespace test;

/// Both precisions, as far as this processor has them.
class Savings : public FamilyTest {
 protected:
  static std::vector<DType> precisions() {
    std::vector<DType> all{DType::f32};
    if (makeBackend(1)->multiplies(DType::bf16)) all.push_back(DType::bf16);
    return all;
  }
  /// Of sums in another order.
  static double bound(DType precision) { return precision == DType::f32 ? 1e-5 : 0.02; }

  void expectSame(const std::map<std::string, std::vector<float>>& actual, const std::map<std::string, std::vector<float>>& expected,
                  double bound) const {
    ASSERT_EQ(actual.size(), expected.size());
    for (const auto& [name, values] : actual) EXPECT_LE(relative(values, expected.at(name)), bound) << name;
  }
};

TEST_P(Savings, CheckpointingChangesNoBit) {
  const StoredBatch stored = batch(3, "mixed");
  for (const DType precision : precisions()) {
    for (const bool adapter : {false, true}) {
      OpenOptions options = this->options(true, adapter);
      options.precision = precision;
      const auto kept = gradientsOf(options, stored.view());
      for (const int32_t layers : {1, kAllLayers}) {
        options.checkpointing = layers;
        EXPECT_EQ(gradientsOf(options, stored.view()), kept);
      }
    }
  }
}

TEST_P(Savings, CheckpointingRepeatsDropout) {
  const StoredBatch stored = batch(3, "mixed");
  OpenOptions options = this->options(true, false);
  options.adapter = AdapterOptions{4, 8, 0.3, {"all-linear"}};
  const auto kept = gradientsOf(options, stored.view());
  options.checkpointing = kAllLayers;
  EXPECT_EQ(gradientsOf(options, stored.view()), kept);
}

TEST_P(Savings, RowsThatNothingIsAskedAboutChangeOnlyRounding) {
  StoredBatch stored = batch(3, "mixed");
  StoredBatch few = stored;
  for (size_t i = 0; i < few.groups.size(); ++i) few.groups[i] = few.weights[i] > 0 ? 2 : 0;
  for (const DType precision : precisions()) {
    for (const bool adapter : {false, true}) {
      OpenOptions options = this->options(true, adapter);
      options.precision = precision;
      const auto all = gradientsOf(options, stored.view()), asked = gradientsOf(options, few.view());
      expectSame(asked, all, bound(precision));
      options.checkpointing = kAllLayers;
      EXPECT_EQ(gradientsOf(options, few.view()), asked);
    }
  }
}

/// What a step adds first overwrites what the last one left, whichever layers its products are of: those of all rows, or of some.
TEST_P(Savings, NothingIsLeftOfTheLastStep) {
  const StoredBatch all = batch(3, "mixed");
  StoredBatch few = all, none = all;
  for (size_t i = 0; i < few.groups.size(); ++i) few.groups[i] = few.weights[i] > 0 ? 2 : 0;
  std::fill(none.weights.begin(), none.weights.end(), 0.0f);
  const std::vector<std::vector<const StoredBatch*>> steps{{&few, &all}, {&all, &few}, {&none}, {&none, &few}};
  const auto model = Model::open(options(true, false), makeBackend(1));
  for (const auto& step : steps) {
    const auto fresh = Model::open(options(true, false), makeBackend(1));
    for (const StoredBatch* stored : step) {
      model->accumulate(stored->view());
      fresh->accumulate(stored->view());
    }
    EXPECT_EQ(model->gradients(), fresh->gradients());
    model->update({});  // at a rate of zero
    for (const auto& [name, values] : model->gradients()) EXPECT_EQ(values, std::vector<float>(values.size())) << name;
  }
}

TEST_P(Savings, OneRowIsEnough) {
  StoredBatch stored = batch(3, "all");
  StoredBatch few = stored;
  for (size_t i = 0; i < stored.weights.size(); ++i) {
    stored.weights[i] = few.weights[i] = i == 30 ? 1.0f : 0.0f;
    few.groups[i] = i == 30 ? 2 : 0;
  }
  for (const DType precision : precisions()) {
    OpenOptions options = this->options(true, false);
    options.precision = precision;
    expectSame(gradientsOf(options, few.view()), gradientsOf(options, stored.view()), bound(precision));
  }
}

TEST_P(Savings, TheOrderOfSequencesChangesOnlyRounding) {
  const StoredBatch stored = batch(3, "mixed");
  StoredBatch turned;
  turned.offsets = {0};
  for (size_t s = stored.offsets.size() - 1; s-- > 0;) {
    for (auto i = static_cast<size_t>(stored.offsets[s]); i < static_cast<size_t>(stored.offsets[s + 1]); ++i) {
      turned.tokens.push_back(stored.tokens[i]);
      turned.targets.push_back(stored.targets[i]);
      turned.weights.push_back(stored.weights[i]);
      turned.groups.push_back(stored.groups[i]);
    }
    turned.offsets.push_back(static_cast<int32_t>(turned.tokens.size()));
  }
  for (const DType precision : precisions()) {
    OpenOptions options = this->options(true, false);
    options.precision = precision;
    expectSame(gradientsOf(options, turned.view()), gradientsOf(options, stored.view()), bound(precision));
  }
}

/// What a model was seen to take is what was planned, and a step takes nothing more than was taken at the start.
TEST_P(Savings, ThePlanIsWhatIsTaken) {
  const StoredBatch all = batch(3, "all"), mixed = batch(3, "mixed");
  int32_t longest = 0, trained = 0;
  for (size_t s = 1; s < all.offsets.size(); ++s) longest = std::max(longest, all.offsets[s] - all.offsets[s - 1]);
  for (const float weight : mixed.weights) trained += weight > 0;
  const int32_t measured = static_cast<int32_t>(std::count(mixed.groups.begin(), mixed.groups.end(), 2)) - trained;
  const auto size = static_cast<int32_t>(all.tokens.size());
  const std::vector<std::vector<int32_t>> prompts(5, std::vector<int32_t>(7, 3));
  GenerateOptions generate;
  generate.maxNewTokens = 9;
  for (const DType precision : precisions()) {
    for (const bool adapter : {false, true}) {
      for (const int32_t checkpointing : {0, 1, kAllLayers}) {
        OpenOptions options = this->options(true, adapter);
        options.precision = precision;
        options.checkpointing = checkpointing;
        const auto backend = makeBackend(2);
        const Work work{{size, longest, trained, measured}, {size, longest, 0, trained + measured}, 5, 7, 9};
        const MemoryPlan plan = Model::plan(options, work, *backend);
        options.working = plan.working;
        const auto model = Model::open(options, backend);
        EXPECT_EQ(plan.weights + plan.training + plan.working, backend->currentBytes());
        model->accumulate(mixed.view());
        const size_t bytes = backend->currentBytes();
        model->accumulate(mixed.view());
        model->update({});
        model->evaluate(all.view());
        EXPECT_EQ(backend->currentBytes(), bytes);
        model->generate(prompts, generate);
        EXPECT_NEAR(static_cast<double>(backend->peakBytes()), static_cast<double>(plan.peak), 0.02 * static_cast<double>(plan.peak));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Savings, testing::ValuesIn(families()), familyName);

}  // namespace
}  // namespace sftlab
