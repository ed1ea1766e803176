// AdamW's moments in bf16: as good a trainer, half the memory, and a run that is taken up again goes on bit for bit.

#include "io/error.h"
#include "test/model/reference.h"

namespace sftlab {
namespace {

using namespace test;

class Moments : public testing::Test {
 protected:
  Moments() : folder_(fixtures() / "reference" / "qwen3-tied"), stored_(folder_) {}

  OpenOptions options(DType moments) const {
    OpenOptions options;
    options.directory = folder_;
    options.train = true;
    options.seed = 5;
    options.moments = moments;
    return options;
  }
  std::vector<double> train(Model& model, int first, int count) const {
    std::vector<double> losses;
    for (int step = first; step < first + count; ++step) {
      const StoredBatch batch = stored_.batch(step % 4, "all");
      const BatchStats stats = model.accumulate(batch.view());
      model.update({.learningRate = 1e-3, .maxGradNorm = 1});
      losses.push_back(stats.weightedLoss / stats.weight);
    }
    return losses;
  }

  fs::path folder_;
  Reference stored_;
};

TEST_F(Moments, InBf16TrainAsWellInHalfTheMemory) {
  const auto wide = Model::open(options(DType::f32), makeBackend(2)), half = Model::open(options(DType::bf16), makeBackend(2));
  const auto expected = train(*wide, 0, 8), actual = train(*half, 0, 8);
  EXPECT_LT(expected.back(), expected.front());
  for (size_t step = 0; step < expected.size(); ++step) EXPECT_NEAR(actual[step], expected[step], 0.01 * expected[step]);
  EXPECT_NE(actual, expected);

  const auto backend = makeBackend(1);
  const Work work{{64, 32, 64, 0}, {}, 0, 0, 0};
  const size_t before = Model::plan(options(DType::f32), work, *backend).training, after = Model::plan(options(DType::bf16), work, *backend).training;
  EXPECT_EQ(before % 3, 0u);
  EXPECT_EQ(after, before / 3 * 2);
}

TEST_F(Moments, TakenUpAgainGoOnBitForBit) {
  const fs::path saved = temporary("moments");
  const auto whole = Model::open(options(DType::bf16), makeBackend(2));
  train(*whole, 0, 2);
  whole->save(saved);
  whole->saveState(saved);
  fs::copy_file(folder_ / "config.json", saved / "config.json");
  OpenOptions again = options(DType::bf16);
  again.directory = saved;
  const auto resumed = Model::open(again, makeBackend(2));
  resumed->loadState(saved);
  EXPECT_EQ(train(*resumed, 2, 2), train(*whole, 2, 2));
  EXPECT_EQ(resumed->trainedTensors(), whole->trainedTensors());

  again.moments = DType::f32;
  try {
    Model::open(again, makeBackend(1))->loadState(saved);
    FAIL() << "moments of another kind were taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("F32"), std::string::npos);
    EXPECT_NE(error.advice.find("bf16_moments"), std::string::npos);
  }
  fs::remove_all(saved);
}

}  // namespace
}  // namespace sftlab
