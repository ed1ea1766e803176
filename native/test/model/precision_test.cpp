// bf16 against fp32 and against transformers in bf16. The bound is what bf16 explains: how far transformers itself gets from its own
// fp32 figures under autocast with fp32 weights, as stored in bf16.json.

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "test/model/reference.h"

namespace sftlab {
namespace {

using namespace test;
using nlohmann::json;

class Precision : public FamilyTest {
 protected:
  void SetUp() override {
    if (!makeBackend(1)->multiplies(DType::bf16)) GTEST_SKIP() << "this processor has no bf16 products";
    precision_ = DType::bf16;
    const json stored = json::parse(std::ifstream(folder_ / "bf16.json"));
    theirs_ = stored.at("autocast");
    cosines_ = stored.at("cosines");
  }

  json theirs_, cosines_;
};

TEST_P(Precision, LogitsAreAsCloseAsTheirs) {
  const StoredBatch stored = batch(3, "all");
  EXPECT_LT(relative(open(false, false)->logits(stored.view()), reference("logits")), 1.1 * theirs_.at("logits").get<double>());
}

TEST_P(Precision, GradientsAreAsCloseAsTheirs) {
  const StoredBatch stored = batch(3, "mixed");
  double ours = 0, theirs = 0;
  for (const auto& [name, values] : gradientsOf(options(true, false), stored.view())) {
    const double error = relative(values, reference("gradient." + name)), other = theirs_.at("gradients").at(name).get<double>();
    EXPECT_LT(error, 2 * other) << name;  // one tensor is a small sample of roundings
    ours += error;
    theirs += other;
  }
  EXPECT_LT(ours, 1.1 * theirs);
}

/// What `drawn_batches` of test/reference/make_fixtures.py draws by the same rule.
std::vector<StoredBatch> drawnBatches() {
  uint32_t state = 12345;
  std::vector<StoredBatch> batches(24);
  for (StoredBatch& batch : batches) {
    batch.offsets = {0};
    for (const int length : {13, 22, 5, 17}) {
      for (int i = 0; i < length; ++i) {
        state = (1103515245u * state + 12345u) % (1u << 31);
        batch.tokens.push_back(static_cast<int32_t>((state >> 16) % 96));
        batch.weights.push_back(i + 1 < length ? 1.0f : 0.0f);
      }
      batch.offsets.push_back(static_cast<int32_t>(batch.tokens.size()));
    }
    batch.groups.assign(batch.tokens.size(), 0);
    batch.targets.assign(batch.tokens.begin() + 1, batch.tokens.end());
    batch.targets.push_back(0);
  }
  return batches;
}

/// By cosine with the gradient in fp32, which is the engine's own here: it is transformers' but for 1e-4 (parity_test.cpp).
TEST_P(Precision, GradientsPointWhereTheExactOnesDo) {
  const std::vector<StoredBatch> batches = drawnBatches();
  OpenOptions inFull = options(true, false);
  inFull.precision = DType::f32;
  std::map<std::string, double> ours;  // mean of 1 - cosine
  for (const StoredBatch& batch : batches) {
    const auto exact = gradientsOf(inFull, batch.view());
    for (const auto& [name, values] : gradientsOf(options(true, false), batch.view())) {
      ours[name] += (1 - cosine(values, exact.at(name))) / static_cast<double>(batches.size());
    }
  }
  double logs = 0;
  for (const auto& [name, value] : ours) {
    const double ratio = value / (1 - cosines_.at(name).get<double>());
    EXPECT_LT(ratio, 1.15) << name;  // what chance leaves over with so many batches
    logs += std::log(ratio);
  }
  EXPECT_LT(std::exp(logs / static_cast<double>(ours.size())), 1.0);
}

TEST_P(Precision, LossesStayAsCloseAsTheirs) {
  const Trajectory actual = train("all", false, false);
  const std::vector<float> exact = reference("all.losses");
  const auto theirs = theirs_.at("losses").get<std::vector<double>>();
  double sum = 0;
  for (size_t step = 0; step < exact.size(); ++step) sum += std::abs(actual.losses[step] - exact[step]);
  EXPECT_LT(sum, 2 * std::accumulate(theirs.begin(), theirs.end(), 0.0));
}

TEST_P(Precision, AdapterGradients) {
  const StoredBatch stored = batch(3, "mixed");
  for (const auto& [name, values] : gradientsOf(options(true, true), stored.view())) {
    EXPECT_LT(relative(values, reference("lora.gradient." + name)), 0.06) << name;  // some ten roundings of 2^-9, and sums that cancel
  }
}

TEST_P(Precision, RepeatsBitwise) {
  for (const bool adapter : {false, true}) {
    const Trajectory first = train("all", adapter, false), second = train("all", adapter, false);
    EXPECT_EQ(first.losses, second.losses);
    EXPECT_EQ(first.finals, second.finals);
  }
}

TEST_P(Precision, ThreadsChangeOnlyRounding) {
  const Trajectory one = train("all", false, false, 1), two = train("all", false, false, 2);
  for (size_t step = 0; step < one.losses.size(); ++step) EXPECT_NEAR(one.losses[step], two.losses[step], 0.01);
}

INSTANTIATE_TEST_SUITE_P(Families, Precision, testing::ValuesIn(families()), familyName);

/// What the files hold is used where it lies: frozen weights in bf16 are neither copied nor converted; a device of its own memory holds them
/// as they are.
TEST(Precision, FrozenWeightsStayInTheirFile) {
  OpenOptions options;
  options.directory = test::fixtures() / "reference" / "qwen2-bf16";
  const auto exact = makeBackend(1);
  if (!exact->multiplies(DType::bf16)) GTEST_SKIP() << "this processor has no bf16 products";
  const auto converted = Model::open(options, exact);
  const size_t bytes = exact->currentBytes();
  EXPECT_GE(bytes, static_cast<size_t>(converted->info().parameters) * sizeof(float));
  options.precision = DType::bf16;
  const auto backend = makeBackend(1);
  const auto mapped = Model::open(options, backend);
  EXPECT_LT(static_cast<double>(backend->currentBytes()), (backend->usesHostMemory() ? 0.05 : 0.53) * static_cast<double>(bytes));

  const Reference reference(options.directory);
  const StoredBatch stored = reference.batch(3, "all");
  EXPECT_LT(relative(mapped->logits(stored.view()), reference.values("logits")), 0.01);
  const fs::path saved = temporary("bf16");
  mapped->save(saved);
  fs::copy_file(options.directory / "config.json", saved / "config.json");
  options.directory = saved;
  EXPECT_EQ(Model::open(options, makeBackend(1))->logits(stored.view()), mapped->logits(stored.view()));
  fs::remove_all(saved);
}

}  // namespace
}  // namespace sftlab
