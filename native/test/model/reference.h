#pragma once

// What the tests of models share: the tensors that test/reference/make_fixtures.py stored for each family, and the models that
// they are of.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "model/model.h"
#include "test/backend.h"
#include "test/fixtures.h"

namespace sftlab::test {

namespace fs = std::filesystem;

/// Of what is exact but for the order of sums in fp32.
constexpr double kBound = 1e-4;

inline std::vector<std::string> families() {
  std::vector<std::string> names;
  const fs::path root = fixtures() / "reference";
  if (fs::exists(root)) {
    for (const auto& entry : fs::directory_iterator(root)) {
      if (fs::exists(entry.path() / "reference.safetensors")) names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Norm of the difference over norm of what was expected.
inline double relative(const std::vector<float>& actual, const std::vector<float>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(actual[i]) - expected[i], 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

/// Of the angle between the two.
inline double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double product = 0, squaresA = 0, squaresB = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    product += static_cast<double>(a[i]) * b[i];
    squaresA += static_cast<double>(a[i]) * a[i];
    squaresB += static_cast<double>(b[i]) * b[i];
  }
  return product / std::sqrt(squaresA * squaresB);
}

/// A stored batch, with the storage behind it.
struct StoredBatch {
  std::vector<int32_t> tokens, offsets, targets;
  std::vector<float> weights;
  std::vector<uint8_t> groups;

  Batch view() const {
    Batch batch;
    batch.tokens = tokens.data();
    batch.targets = targets.data();
    batch.weights = weights.data();
    batch.groups = groups.data();
    batch.size = static_cast<int32_t>(tokens.size());
    batch.offsets = offsets.data();
    batch.sequences = static_cast<int32_t>(offsets.size()) - 1;
    return batch;
  }
};

/// The tensors that the reference left for one family.
class Reference {
 public:
  explicit Reference(const fs::path& folder) : files_(TensorFiles::open(folder / "reference.safetensors")) {}

  const std::map<std::string, FileTensor>& tensors() const { return files_.tensors(); }
  std::vector<float> values(const std::string& name) const {
    const auto found = files_.tensors().find(name);
    if (found == files_.tensors().end()) throw std::runtime_error("the fixture lacks " + name);
    std::vector<float> values(static_cast<size_t>(found->second.elements()));
    toFloat(found->second, 0, found->second.elements(), values.data());
    return values;
  }
  StoredBatch batch(int index, const std::string& kind) const {
    const std::string prefix = "batch." + std::to_string(index) + ".";
    StoredBatch stored{integers(prefix + "tokens"), integers(prefix + "offsets"), integers(prefix + "targets"),
                       values(prefix + kind), {}};
    // Everything that predicts something is measured, whatever is trained on.
    for (float weight : values(prefix + "all")) stored.groups.push_back(weight > 0 ? 2 : 0);
    return stored;
  }

 private:
  std::vector<int32_t> integers(const std::string& name) const {
    const std::vector<float> stored = values(name);
    return std::vector<int32_t>(stored.begin(), stored.end());
  }

  TensorFiles files_;
};

/// A test of one family.
class FamilyTest : public testing::TestWithParam<std::string> {
 protected:
  FamilyTest() : folder_(fixtures() / "reference" / GetParam()), stored_(folder_) {}

  std::vector<float> reference(const std::string& name) const { return stored_.values(name); }
  StoredBatch batch(int index, const std::string& kind) const { return stored_.batch(index, kind); }

  OpenOptions options(bool train, bool adapter) const {
    OpenOptions options;
    options.directory = folder_;
    options.train = train;
    if (adapter) options.adapter = folder_ / "adapter";
    options.precision = precision_;
    return options;
  }
  std::unique_ptr<Model> open(bool train, bool adapter, int threads = 2) const {
    return Model::open(options(train, adapter), makeBackend(threads));
  }

  /// Gradients of one batch by a model of its own.
  static std::map<std::string, std::vector<float>> gradientsOf(const OpenOptions& options, const Batch& batch, int threads = 2) {
    const auto model = Model::open(options, makeBackend(threads));
    model->accumulate(batch);
    return model->gradients();
  }

  struct Trajectory {
    std::vector<float> losses, norms;
    double after = 0;  ///< mean loss of the last batch, all its tokens, after the last step
    std::map<std::string, std::vector<float>> finals;
  };
  Trajectory train(const std::string& kind, bool adapter, bool accumulate, int threads = 2) const {
    const auto model = open(true, adapter, threads);
    Trajectory result;
    const std::vector<float> rates = reference("learning_rates");
    for (size_t step = 0; step < rates.size(); ++step) {
      double loss = 0, weight = 0;
      for (int i = 0; i < 4; ++i) {
        if (!accumulate && i != static_cast<int>(step % 4)) continue;
        const StoredBatch stored = batch(i, kind);
        const BatchStats stats = model->accumulate(stored.view());
        loss += stats.weightedLoss;
        weight += stats.weight;
      }
      UpdateOptions options;
      options.learningRate = rates[step];
      options.maxGradNorm = 1;
      options.weightDecay = 0.01;
      const UpdateStats update = model->update(options);
      EXPECT_TRUE(update.finite);
      result.losses.push_back(static_cast<float>(loss / weight));
      result.norms.push_back(static_cast<float>(update.gradientNorm));
    }
    result.finals = model->trainedTensors();
    const StoredBatch last = batch(3, "all");
    const TokenStats stats = model->evaluate(last.view());
    double tokens = 0;
    for (size_t t = 0; t < last.weights.size(); ++t) {
      result.after += static_cast<double>(last.weights[t]) * stats.loss[t];
      tokens += last.weights[t];
    }
    result.after /= tokens;
    return result;
  }

  fs::path folder_;
  Reference stored_;
  DType precision_ = DType::f32;
};

inline std::string familyName(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace sftlab::test
