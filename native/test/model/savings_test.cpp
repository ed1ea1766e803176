// What saves work or memory changes nothing: activation checkpointing, rows that nothing is asked about, the order of sequences.

#include <cstring>
#include <numeric>

#include "test/model/reference.h"

namespace sftlab {
namespace {

using namespace test;

/// Both precisions, as far as this processor has them.
class Savings : public FamilyTest {
 protected:
  static std::vector<DType> precisions() {
    std::vector<DType> all{DType::f32};
    if (makeCpuBackend(1)->multiplies(DType::bf16)) all.push_back(DType::bf16);
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
      options.checkpointing = true;
      EXPECT_EQ(gradientsOf(options, stored.view()), kept);
    }
  }
}

TEST_P(Savings, CheckpointingRepeatsDropout) {
  const StoredBatch stored = batch(3, "mixed");
  OpenOptions options = this->options(true, false);
  options.adapter = AdapterOptions{4, 8, 0.3, {"all-linear"}};
  const auto kept = gradientsOf(options, stored.view());
  options.checkpointing = true;
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
      options.checkpointing = true;
      EXPECT_EQ(gradientsOf(options, few.view()), asked);
    }
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

INSTANTIATE_TEST_SUITE_P(Families, Savings, testing::ValuesIn(families()), familyName);

}  // namespace
}  // namespace sftlab
