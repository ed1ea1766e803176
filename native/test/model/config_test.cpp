// Broken and hostile model folders: each is refused with the key or tensor named, none crashes.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cpu/cpu_backend.h"
#include "io/error.h"
#include "model/config.h"
#include "model/model.h"
#include "test/fixtures.h"

namespace sftlab {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class ModelFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::temporary("config");
    config_ = json::parse(R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 16, "intermediate_size": 24,
      "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 32, "max_position_embeddings": 64})");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& text) const { std::ofstream(folder_ / "config.json") << text; }
  void expectRefused(const std::string& field, const std::string& message) const {
    try {
      readModelConfig(folder_);
      FAIL() << "was read, but should name " << field;
    } catch (const Error& error) {
      EXPECT_EQ(error.field, field) << error.what();
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  }
  void expectRefused(const std::string& key, const json& value, const std::string& field, const std::string& message,
                     const json& others = json::object()) const {
    json config = config_;
    config.update(others);
    config[key] = value;
    write(config.dump());
    expectRefused(field, message);
  }
  OpenOptions fresh() const {
    OpenOptions options;
    options.directory = folder_;
    options.train = true;
    options.initialize = true;
    return options;
  }

  fs::path folder_;
  json config_;
};

TEST_F(ModelFolder, BrokenConfigs) {
  expectRefused("", "cannot be opened");
  write("not json");
  expectRefused("", "is not valid JSON (line 1, column 2)");
  write("[]");
  expectRefused("", "not a JSON object");
  write("{\"hidden_size\": NaN}");
  expectRefused("", "is not valid JSON");
  write("{\"hidden_size\": 16, \"hidden_size\": 32}");
  expectRefused("", "has the name \"hidden_size\" twice");
  write("{\"hidden_size\": " + std::string(1000000, '[') + std::string(1000000, ']') + "}");
  expectRefused("", "is nested too deeply");
  write("{}");
  expectRefused("architectures", "is missing");
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"}) {
    json config = config_;
    config.erase(key);
    write(config.dump());
    expectRefused(key, "is missing");
    expectRefused(key, 0, key, "whole number");
    expectRefused(key, -4, key, "whole number");
    expectRefused(key, 1e30, key, "whole number");
    expectRefused(key, "many", key, "whole number");
    expectRefused(key, int64_t{1} << 40, key, "whole number");
  }
  expectRefused("architectures", {"GPT2LMHeadModel"}, "architectures", "\"GPT2LMHeadModel\" is not supported");
  expectRefused("architectures", {"LlamaForCausalLM, MistralForCausalLM"}, "architectures", "is not supported");
  expectRefused("architectures", {std::string(1000, 'x')}, "architectures", "...");
  expectRefused("rope_parameters", 7, "rope_parameters", "must be an object");
  expectRefused("vocab_size", 1 << 24, "hidden_size", "more than 10^12", {{"hidden_size", 1 << 20}});
  expectRefused("num_key_value_heads", 3, "num_key_value_heads", "must divide");
  expectRefused("num_attention_heads", 3, "num_attention_heads", "must divide hidden_size");
  expectRefused("head_dim", 7, "head_dim", "even");
  expectRefused("hidden_act", "gelu", "hidden_act", "not supported");
  expectRefused("rms_norm_eps", -1, "rms_norm_eps", "must be a number");
  expectRefused("rope_theta", "nan", "rope_theta", "must be a number");
  expectRefused("rope_theta", 0, "rope_theta", "must be a number");
  expectRefused("rope_theta", 1e13, "rope_theta", "must be a number from 2.0 to");
  expectRefused("tie_word_embeddings", 1, "tie_word_embeddings", "true or false");
  expectRefused("quantization_config", {{"bits", 4}}, "quantization_config", "not supported");
  expectRefused("rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2}}, "rope_scaling.rope_type", "not supported");
  expectRefused("rope_scaling", {{"type", "linear"}}, "rope_scaling.factor", "is missing");
  expectRefused("rope_scaling", {{"type", "linear"}, {"factor", 0.5}}, "rope_scaling.factor", "must be a number");
  expectRefused("rope_parameters", {{"rope_type", "llama3"}, {"factor", 8}}, "rope_parameters.low_freq_factor", "is missing");
}

TEST_F(ModelFolder, OldAndNewRopeKeysAreTheSame) {
  config_["rope_theta"] = 500000;
  config_["rope_scaling"] = {{"type", "linear"}, {"factor", 4}};
  write(config_.dump());
  const auto before = ropeTable(readModelConfig(folder_), 8);
  config_.erase("rope_theta");
  config_.erase("rope_scaling");
  config_["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 4}, {"rope_theta", 500000}};
  write(config_.dump());
  EXPECT_EQ(before, ropeTable(readModelConfig(folder_), 8));
}

TEST_F(ModelFolder, RopeScalingTakesThePlaceOfRopeParameters) {
  config_["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 4}, {"rope_theta", 500000}};
  write(config_.dump());
  const auto newer = readModelConfig(folder_);
  EXPECT_EQ(newer.ropeTheta, 500000);
  EXPECT_EQ(newer.ropeScaling.factor, 4);
  config_["rope_theta"] = 7000;  // what stands with the scaling comes first
  write(config_.dump());
  EXPECT_EQ(readModelConfig(folder_).ropeTheta, 500000);
  config_["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
  write(config_.dump());
  EXPECT_EQ(readModelConfig(folder_).ropeTheta, 7000);
  EXPECT_EQ(readModelConfig(folder_).ropeScaling.factor, 2);
  config_.erase("rope_scaling");
  expectRefused("rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}, "rope_parameters.full_attention",
                "not supported");
  expectRefused("rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}},
                "rope_parameters.partial_rotary_factor", "only 1");
}

/// What transformers takes a key for that a config.json leaves out.
TEST_F(ModelFolder, MissingKeysMeanWhatTheFamilysClassSays) {
  const auto read = [&](const std::string& architecture, const json& others) {
    json config = config_;
    config["architectures"] = {architecture};
    config.update(others);
    write(config.dump());
    return readModelConfig(folder_);
  };
  EXPECT_EQ(read("LlamaForCausalLM", json::object()).kvHeads, 2);
  EXPECT_EQ(read("LlamaForCausalLM", json::object()).headSize, 8);
  const json wide = {{"num_attention_heads", 64}, {"hidden_size", 256}};
  EXPECT_EQ(read("MistralForCausalLM", wide).kvHeads, 8);
  EXPECT_EQ(read("Qwen2ForCausalLM", wide).kvHeads, 32);
  EXPECT_EQ(read("Qwen2ForCausalLM", wide).headSize, 4);
  EXPECT_EQ(read("Qwen3ForCausalLM", wide).headSize, 128);
  json null = wide;
  null["num_key_value_heads"] = nullptr;
  EXPECT_EQ(read("MistralForCausalLM", null).kvHeads, 64);
  EXPECT_EQ(read("MistralForCausalLM", wide).windows, std::vector<int32_t>{4096});
  null["sliding_window"] = nullptr;
  EXPECT_EQ(read("MistralForCausalLM", null).windows, std::vector<int32_t>{0});
  EXPECT_EQ(read("Qwen3ForCausalLM", wide).windows, std::vector<int32_t>{0});
}

/// Leaving it out would train another model than the config describes; a model that only answers never drops anything.
TEST_F(ModelFolder, AttentionDropoutIsRefusedInTrainingAlone) {
  config_["attention_dropout"] = 0.1;
  write(config_.dump());
  EXPECT_NO_THROW(readModelConfig(folder_));
  try {
    Model::open(fresh(), makeCpuBackend(1));
    FAIL() << "was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.field, "attention_dropout");
    EXPECT_FALSE(error.advice.empty());
  }
  expectRefused("attention_dropout", "some", "attention_dropout", "must be a number");
  config_["attention_dropout"] = 0.0;
  write(config_.dump());
  EXPECT_NO_THROW(Model::open(fresh(), makeCpuBackend(1)));
}

TEST_F(ModelFolder, MissingAndMisshapenTensors) {
  write(config_.dump());
  OpenOptions options = fresh();
  Model::open(options, makeCpuBackend(1))->save(folder_);
  options.initialize = false;
  EXPECT_NO_THROW(Model::open(options, makeCpuBackend(1)));
  const auto refused = [&](const std::string& key, const json& value, const std::string& tensor) {
    json config = config_;
    config[key] = value;
    write(config.dump());
    try {
      Model::open(options, makeCpuBackend(1));
      FAIL() << key;
    } catch (const Error& error) {
      EXPECT_EQ(error.field, tensor) << error.what();
    }
  };
  refused("num_hidden_layers", 2, "model.layers.1.input_layernorm.weight");
  refused("vocab_size", 33, "model.embed_tokens.weight");
  refused("attention_bias", true, "model.layers.0.self_attn.q_proj.bias");
  fs::resize_file(folder_ / "model.safetensors", fs::file_size(folder_ / "model.safetensors") - 4);
  write(config_.dump());
  EXPECT_THROW(Model::open(options, makeCpuBackend(1)), Error);
}

TEST_F(ModelFolder, AdapterConfigs) {
  write(config_.dump());
  const json good = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 4}, {"target_modules", {"q_proj"}}};
  const auto refused = [&](const json& patch, const std::string& field) {
    json adapter = good;
    adapter.update(patch);
    std::ofstream(folder_ / "adapter_config.json") << adapter.dump();
    OpenOptions options = fresh();
    options.adapter = folder_;
    try {
      Model::open(options, makeCpuBackend(1));
      FAIL() << patch.dump();
    } catch (const Error& error) {
      EXPECT_EQ(error.field, field) << error.what();
    }
  };
  refused({{"peft_type", "IA3"}}, "peft_type");
  refused({{"use_dora", true}}, "use_dora");
  refused({{"bias", "all"}}, "bias");
  refused({{"r", 0}}, "r");
  refused({{"rank_pattern", {{"q_proj", 3}}}}, "rank_pattern");
  refused({{"modules_to_save", {"lm_head"}}}, "modules_to_save");
  refused({{"target_modules", {"wq"}}}, "target_modules");
  refused({{"target_modules", ".*proj"}}, "target_modules");
  refused({{"lora_dropout", 1.0}}, "lora_dropout");
  refused({{"lora_dropout", "much"}}, "lora_dropout");
  refused({{"alora_invocation_tokens", {1, 2}}}, "alora_invocation_tokens");
  refused({{"what_peft_adds_next_year", true}}, "what_peft_adds_next_year");
  refused({{"init_lora_weights", "pissa_niter_4"}}, "init_lora_weights");
}

/// Every key of every family's config takes every one of these values: the model opens or is refused by an Error, and neither memory
/// nor time is spent on sizes that the weights do not have.
TEST(HostileConfigs, OpenOrAreRefused) {
  const fs::path root = test::fixtures() / "reference";
  const fs::path folder = test::temporary("hostile");
  json deep = 1;
  for (int i = 0; i < 50; ++i) deep = json::array({deep});
  const std::vector<json> values = {nullptr, true, false, 0, 1, -1, 2, 3, 1e-300, 1e300, -0.5, 65536, 16777216, INT64_MIN, INT64_MAX, UINT64_MAX,
                                    "", "NaN", std::string("\0x", 2), std::string(100000, 'y'), json::array(), json::array({1, "a"}),
                                    json::object(), {{"rope_type", "yarn"}, {"factor", 1e6}}, {{"rope_type", 1}}, {{"type", "llama3"}}, deep};
  const auto backend = makeCpuBackend(1);
  size_t opened = 0, refused = 0;
  const auto attempt = [&](const fs::path& from, const std::string& name, const json& config, bool adapter) {
    std::ofstream(folder / name) << config.dump();
    OpenOptions options;
    options.directory = adapter ? from : folder;
    options.train = true;
    if (adapter) options.adapter = folder;
    try {
      Model::open(options, backend);
      ++opened;
    } catch (const Error& error) {
      EXPECT_FALSE(std::string(error.what()).empty());
      EXPECT_LT(std::string(error.what()).size(), 400u);
      ++refused;
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what() << "\n" << config.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 2000);
    }
  };
  for (const char* family : {"llama3-tied", "qwen2-tied-window", "qwen2-untied-yarn"}) {
    for (const auto& [source, name] : {std::pair{root / family, "config.json"}, std::pair{root / family / "adapter", "adapter_config.json"}}) {
      if (source.filename() == "adapter" && family != std::string("llama3-tied")) continue;  // they are all alike
      fs::remove_all(folder);
      fs::copy(source, folder);
      const json config = json::parse(std::ifstream(source / name));
      const bool adapter = source.filename() == "adapter";
      attempt(root / family, name, config, adapter);
      ASSERT_EQ(refused, 0u) << family;
      for (const auto& [key, unused] : config.items()) {
        json changed = config;
        for (const json& value : values) {
          changed[key] = value;
          attempt(root / family, name, changed, adapter);
        }
        changed.erase(key);
        attempt(root / family, name, changed, adapter);
        if (!config[key].is_object()) continue;
        for (const auto& [inner, ignored] : config[key].items()) {
          for (const json& value : values) {
            changed[key] = config[key];
            changed[key][inner] = value;
            attempt(root / family, name, changed, adapter);
          }
        }
      }
      EXPECT_GT(refused, 50u);
      refused = 0;
    }
  }
  EXPECT_GT(opened, 0u);
  EXPECT_EQ(backend->currentBytes(), 0u);  // what was refused half way gave its memory back
  EXPECT_LT(backend->peakBytes(), size_t{64} << 20);
  fs::remove_all(folder);
}

TEST_F(ModelFolder, DropoutRepeatsWithItsSeedAndHasTheRightMean) {
  write(config_.dump());
  const std::vector<int32_t> tokens{1, 2, 3, 4, 5, 6, 7, 8}, targets{2, 3, 4, 5, 6, 7, 8, 0}, offsets{0, 8};
  const std::vector<float> weights{1, 1, 1, 1, 1, 1, 1, 0};
  const std::vector<uint8_t> groups{2, 2, 2, 2, 2, 2, 2, 0};
  Batch batch{tokens.data(), targets.data(), weights.data(), groups.data(), 8, offsets.data(), 1};
  const auto losses = [&](uint64_t seed, double dropout) {
    OpenOptions options = fresh();
    AdapterOptions adapter;
    adapter.r = 4;
    adapter.dropout = dropout;
    adapter.targetModules = {"all-linear"};
    options.adapter = adapter;
    options.seed = seed;
    const auto model = Model::open(options, makeCpuBackend(1));
    std::vector<double> found;
    UpdateOptions update;
    update.learningRate = 0.05;
    for (int i = 0; i < 6; ++i) {
      found.push_back(model->accumulate(batch).weightedLoss);
      model->update(update);
    }
    return found;
  };
  EXPECT_EQ(losses(1, 0.3), losses(1, 0.3));
  EXPECT_NE(losses(1, 0.3), losses(1, 0.0));
  EXPECT_LT(losses(1, 0.3).back(), losses(1, 0.3).front());
}

}  // namespace
}  // namespace sftlab
