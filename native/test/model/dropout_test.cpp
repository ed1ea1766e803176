// Gradients through dropout are those of the loss that it leaves: each adapter tensor's, by the loss a little further along it.

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "test/model/reference.h"

namespace sftlab {
namespace {

using namespace test;

class Dropout : public FamilyTest {
 protected:
  ~Dropout() override { fs::remove_all(adapter_); }

  /// The reference's adapter with dropout, and `step` of that gradient added to one tensor.
  OpenOptions moved(const std::string& which, const std::vector<float>& gradient, double step) const {
    const TensorFiles files = TensorFiles::openFolder(folder_ / "adapter", "adapter_model");
    std::vector<TensorSource> tensors;
    for (const auto& [name, tensor] : files.tensors()) {
      std::vector<float> values(static_cast<size_t>(tensor.elements()));
      toFloat(tensor, 0, tensor.elements(), values.data());
      for (size_t i = 0; name == which && i < values.size(); ++i) values[i] += static_cast<float>(step * gradient[i]);
      tensors.push_back({name, FileDType::f32, tensor.shape, [values = std::move(values)](size_t offset, size_t bytes, void* out) {
                           std::memcpy(out, reinterpret_cast<const char*>(values.data()) + offset, bytes);
                         }});
    }
    writeTensors(adapter_, "adapter_model", std::move(tensors), {{"format", "pt"}}, SIZE_MAX);
    auto config = nlohmann::json::parse(std::ifstream(folder_ / "adapter" / "adapter_config.json"));
    config["lora_dropout"] = 0.3;
    std::ofstream(adapter_ / "adapter_config.json") << config.dump();
    OpenOptions options = this->options(true, false);
    options.adapter = adapter_;
    return options;
  }

  fs::path adapter_ = temporary("dropout");
};

TEST_P(Dropout, GradientsAreThoseOfTheLoss) {
  const StoredBatch stored = batch(3, "mixed");
  const auto lossOf = [&](const OpenOptions& options) { return Model::open(options, makeBackend(2))->accumulate(stored.view()).weightedLoss; };
  for (const auto& [name, gradient] : gradientsOf(moved("", {}, 0), stored.view())) {
    double squares = 0;
    for (const float one : gradient) squares += static_cast<double>(one) * one;
    const double step = 2e-2 / std::sqrt(squares);  // of so much in all
    const double slope = (lossOf(moved(name, gradient, step)) - lossOf(moved(name, gradient, -step))) / (2 * step);
    EXPECT_NEAR(slope / squares, 1, 0.02) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Dropout, testing::ValuesIn(families()), familyName);

}  // namespace
}  // namespace sftlab
