#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/error.h"
#include "io/json_file.h"
#include "system/system.h"

namespace sftlab {

using nlohmann::json;

namespace {

constexpr const char* kSupported[] = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"};
constexpr double kMaxParameters = 1e12;
constexpr double kLeastTheta = 2, kMostTheta = 1e12;

/// config.json with its path, so that every message can name the key.
class ConfigReader {
 public:
  explicit ConfigReader(const std::filesystem::path& file) : file_(system::textOf(file)), value_(readJsonFile(file, 16 << 20)) {}
  ConfigReader(const ConfigReader& parent, const std::string& key)
      : file_(parent.file_), prefix_(parent.prefix_ + key + "."), value_(parent.value_.at(key)) {}

  [[noreturn]] void fail(const std::string& key, const std::string& message, const std::string& advice = {}) const {
    throw Error(message, file_, prefix_ + key, advice);
  }
  bool has(const std::string& key) const { return value_.contains(key) && !value_.at(key).is_null(); }
  bool isNull(const std::string& key) const { return value_.contains(key) && value_.at(key).is_null(); }
  const json& at(const std::string& key) const { return value_.at(key); }

  int32_t size(const std::string& key, int64_t low = 1, int64_t high = 1 << 24) const {
    if (!has(key)) fail(key, "is missing");
    const json& value = value_.at(key);
    if (!value.is_number_integer() || value.get<int64_t>() < low || value.get<int64_t>() > high) {
      fail(key, "must be a whole number from " + std::to_string(low) + " to " + std::to_string(high) + ", not " + brief(value));
    }
    return static_cast<int32_t>(value.get<int64_t>());
  }
  int32_t sizeOr(const std::string& key, int32_t otherwise) const { return has(key) ? size(key) : otherwise; }
  double number(const std::string& key, double low, double high) const {
    if (!has(key)) fail(key, "is missing");
    const json& value = value_.at(key);
    if (!value.is_number() || !(value.get<double>() >= low && value.get<double>() <= high)) {
      fail(key, "must be a number from " + json(low).dump() + " to " + json(high).dump() + ", not " + brief(value));
    }
    return value.get<double>();
  }
  double numberOr(const std::string& key, double low, double high, double otherwise) const {
    return has(key) ? number(key, low, high) : otherwise;
  }
  bool flag(const std::string& key, bool otherwise) const {
    if (!has(key)) return otherwise;
    if (!value_.at(key).is_boolean()) fail(key, "must be true or false, not " + brief(value_.at(key)));
    return value_.at(key).get<bool>();
  }
  std::string text(const std::string& key, const std::string& otherwise) const {
    if (!has(key)) return otherwise;
    if (!value_.at(key).is_string()) fail(key, "must be a text, not " + brief(value_.at(key)));
    return value_.at(key).get<std::string>();
  }

 private:
  std::string file_, prefix_;
  json value_;
};

std::string readArchitecture(const ConfigReader& reader) {
  const auto fail = [&](const std::string& message) {
    std::string advice = "The engine trains";
    for (const char* name : kSupported) advice += (name == kSupported[0] ? " " : ", ") + std::string(name);
    reader.fail("architectures", message, advice + ".");
  };
  if (!reader.has("architectures") || !reader.at("architectures").is_array() || reader.at("architectures").empty() ||
      !reader.at("architectures")[0].is_string()) {
    fail("is missing");
  }
  const auto name = reader.at("architectures")[0].get<std::string>();
  if (std::find(std::begin(kSupported), std::end(kSupported), name) == std::end(kSupported)) fail(brief(name) + " is not supported");
  return name;
}

RopeScaling readScaling(const ConfigReader& reader, const ConfigReader& rope, int32_t maxPositions) {
  for (const char* kind : {"full_attention", "sliding_attention"}) {
    if (rope.has(kind)) rope.fail(kind, "rotary positions that differ from layer to layer are not supported");
  }
  if (rope.numberOr("partial_rotary_factor", 0, 1, 1) != 1) rope.fail("partial_rotary_factor", "only 1 is supported");
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  RopeScaling scaling;
  if (type == "default") return scaling;
  scaling.factor = rope.number("factor", 1, 1e6);
  const char* const original = "original_max_position_embeddings";
  scaling.originalMaxPositions = (reader.has(original) ? reader : rope).numberOr(original, 1, 1e9, maxPositions);
  if (type == "linear") {
    scaling.kind = RopeScaling::Kind::linear;
  } else if (type == "llama3") {
    scaling.kind = RopeScaling::Kind::llama3;
    scaling.lowFrequencyFactor = rope.number("low_freq_factor", 1e-6, 1e6);
    scaling.highFrequencyFactor = rope.number("high_freq_factor", 1e-6, 1e6);
    if (scaling.highFrequencyFactor <= scaling.lowFrequencyFactor) {
      rope.fail("high_freq_factor", "must be greater than low_freq_factor");
    }
  } else if (type == "yarn") {
    scaling.kind = RopeScaling::Kind::yarn;
    scaling.betaFast = rope.numberOr("beta_fast", 1e-6, 1e6, 32);
    scaling.betaSlow = rope.numberOr("beta_slow", 1e-6, 1e6, 1);
    scaling.truncate = rope.flag("truncate", true);
    const auto scale = [&](double mscale) { return scaling.factor <= 1 ? 1.0 : 0.1 * mscale * std::log(scaling.factor) + 1; };
    if (rope.has("attention_factor")) {
      scaling.attentionFactor = rope.number("attention_factor", 0, 1e6);
    } else if (rope.has("mscale") && rope.has("mscale_all_dim")) {
      scaling.attentionFactor = scale(rope.number("mscale", 0, 1e6)) / scale(rope.number("mscale_all_dim", 0, 1e6));
    } else {
      scaling.attentionFactor = scale(1);
    }
  } else {
    rope.fail("rope_type", brief(type) + " is not supported", "The engine knows default, linear, llama3 and yarn.");
  }
  return scaling;
}

/// The attention window of each layer. Mistral: one for all; Qwen: only with use_sliding_window, from a layer on.
std::vector<int32_t> readWindows(const ConfigReader& reader, const ModelConfig& config) {
  std::vector<int32_t> windows(static_cast<size_t>(config.layers), 0);
  const bool mistral = config.architecture == "MistralForCausalLM";
  const bool qwen = config.architecture.starts_with("Qwen") && reader.flag("use_sliding_window", false);
  if ((!mistral && !qwen) || reader.isNull("sliding_window")) return windows;
  const int32_t window = reader.sizeOr("sliding_window", 4096);
  const int32_t from = qwen ? (reader.has("max_window_layers") ? reader.size("max_window_layers", 0) : 28) : 0;
  for (int32_t layer = from; layer < config.layers; ++layer) windows[static_cast<size_t>(layer)] = window;
  if (qwen && reader.has("layer_types")) {
    const json& types = reader.at("layer_types");
    if (!types.is_array() || types.size() != windows.size()) reader.fail("layer_types", "must have one entry for each layer");
    for (size_t layer = 0; layer < windows.size(); ++layer) {
      if (types[layer] != "full_attention" && types[layer] != "sliding_attention") {
        reader.fail("layer_types", brief(types[layer]) + " is not supported");
      }
      windows[layer] = types[layer] == "sliding_attention" ? window : 0;
    }
  }
  return windows;
}

/// About; in floating point, so that no sizes can overflow it.
double parameterCount(const ModelConfig& config) {
  const double hidden = config.hiddenSize, width = config.headSize;
  const double layer = 2 * hidden * width * (config.heads + static_cast<double>(config.kvHeads)) + 3 * hidden * config.intermediateSize;
  return config.layers * layer + 2 * hidden * config.vocabularySize;
}

}  // namespace

ModelConfig readModelConfig(const std::filesystem::path& directory, bool train) {
  const ConfigReader reader(directory / "config.json");
  ModelConfig config;
  config.architecture = readArchitecture(reader);
  if (reader.has("quantization_config")) {
    reader.fail("quantization_config", "quantised weights are not supported", "Use the model's unquantised checkpoint.");
  }
  const std::string activation = reader.text("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") reader.fail("hidden_act", brief(activation) + " is not supported, only silu");
  if (reader.numberOr("attention_dropout", 0, 1, 0) > 0 && train) {
    reader.fail("attention_dropout", "dropout of attention weights is not supported in training", "Set it to 0 to train without it.");
  }

  config.layers = reader.size("num_hidden_layers", 1, 4096);
  config.hiddenSize = reader.size("hidden_size");
  config.intermediateSize = reader.size("intermediate_size");
  config.vocabularySize = reader.size("vocab_size");
  config.maxPositions = reader.size("max_position_embeddings", 1, INT32_MAX);
  config.heads = reader.size("num_attention_heads", 1, 1 << 16);
  // What a key means that is not there is what transformers' class of the architecture takes it for.
  const bool llama = config.architecture == "LlamaForCausalLM", mistral = config.architecture == "MistralForCausalLM";
  const bool qwen2 = config.architecture == "Qwen2ForCausalLM", qwen3 = config.architecture == "Qwen3ForCausalLM";
  const int32_t usualKvHeads = llama || reader.isNull("num_key_value_heads") ? config.heads : mistral ? 8 : 32;
  config.kvHeads = reader.sizeOr("num_key_value_heads", usualKvHeads);
  if (config.heads % config.kvHeads != 0) reader.fail("num_key_value_heads", "must divide num_attention_heads");
  if (reader.has("head_dim")) {
    config.headSize = reader.size("head_dim", 2, 4096);
  } else if (qwen3) {
    config.headSize = 128;
  } else {
    if (config.hiddenSize % config.heads != 0) {
      reader.fail("num_attention_heads", "must divide hidden_size where head_dim is not given");
    }
    config.headSize = config.hiddenSize / config.heads;
  }
  if (config.headSize % 2 != 0) reader.fail("head_dim", "must be even");
  config.normEpsilon = static_cast<float>(reader.numberOr("rms_norm_eps", 0, 1, 1e-6));
  config.initializerRange = static_cast<float>(reader.numberOr("initializer_range", 0, 10, 0.02));

  const bool attentionBias = (llama || qwen3) && reader.flag("attention_bias", false);
  config.qkvBias = qwen2 || attentionBias;
  config.outputBias = attentionBias;
  config.mlpBias = llama && reader.flag("mlp_bias", false);
  config.qkNorm = qwen3;
  config.tiedEmbeddings = reader.flag("tie_word_embeddings", false);

  // Newer files keep all about rotary positions in `rope_parameters`; older ones have `rope_theta` and `rope_scaling`,
  // which transformers lets take the place of the former.
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (reader.has(key) && !reader.at(key).is_object()) reader.fail(key, "must be an object");
  }
  config.ropeTheta = reader.numberOr("rope_theta", kLeastTheta, kMostTheta, 10000);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!reader.has(key) || reader.at(key).empty()) continue;
    const ConfigReader rope(reader, key);
    config.ropeTheta = rope.numberOr("rope_theta", kLeastTheta, kMostTheta, config.ropeTheta);
    config.ropeScaling = readScaling(reader, rope, config.maxPositions);
    break;
  }
  if (reader.numberOr("partial_rotary_factor", 0, 1, 1) != 1) reader.fail("partial_rotary_factor", "only 1 is supported");
  config.windows = readWindows(reader, config);
  if (parameterCount(config) > kMaxParameters) {
    reader.fail("hidden_size", "with the other sizes asks for more than 10^12 parameters", "The file is damaged, or not a model's.");
  }
  return config;
}

namespace {

constexpr double kTwoPi = 6.283185307179586;

/// Llama 3.1: long wavelengths are slowed by the factor, short ones kept, those between blended.
double llama3Frequency(double frequency, const RopeScaling& scaling) {
  const double wavelength = kTwoPi / frequency;
  const double original = scaling.originalMaxPositions;
  if (wavelength < original / scaling.highFrequencyFactor) return frequency;
  if (wavelength > original / scaling.lowFrequencyFactor) return frequency / scaling.factor;
  const double smooth = (original / wavelength - scaling.lowFrequencyFactor) /
                        (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
  return (1 - smooth) * frequency / scaling.factor + smooth * frequency;
}

/// YaRN (Peng et al. 2023): from interpolation to extrapolation by a ramp over the dimensions.
double yarnFrequency(double frequency, int32_t index, const ModelConfig& config) {
  const RopeScaling& scaling = config.ropeScaling;
  const double size = config.headSize;
  const auto dimension = [&](double rotations) {
    return size * std::log(scaling.originalMaxPositions / (rotations * kTwoPi)) / (2 * std::log(config.ropeTheta));
  };
  double low = dimension(scaling.betaFast), high = dimension(scaling.betaSlow);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, size - 1);
  if (low == high) high += 0.001;
  const double ramp = std::clamp((index - low) / (high - low), 0.0, 1.0);
  return frequency / scaling.factor * ramp + frequency * (1 - ramp);
}

}  // namespace

std::vector<float> ropeTable(const ModelConfig& config, int32_t positions) {
  const int32_t half = config.headSize / 2;
  const RopeScaling& scaling = config.ropeScaling;
  std::vector<float> table(static_cast<size_t>(positions) * config.headSize);
  for (int32_t i = 0; i < half; ++i) {
    double frequency = std::pow(config.ropeTheta, -2.0 * i / config.headSize);
    if (scaling.kind == RopeScaling::Kind::linear) frequency /= scaling.factor;
    if (scaling.kind == RopeScaling::Kind::llama3) frequency = llama3Frequency(frequency, scaling);
    if (scaling.kind == RopeScaling::Kind::yarn) frequency = yarnFrequency(frequency, i, config);
    const auto single = static_cast<float>(frequency);  // the reference keeps frequencies and angles in fp32
    for (int32_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * single;
      float* const row = table.data() + static_cast<size_t>(p) * config.headSize;
      row[i] = static_cast<float>(std::cos(angle) * scaling.attentionFactor);
      row[half + i] = static_cast<float>(std::sin(angle) * scaling.attentionFactor);
    }
  }
  return table;
}

}  // namespace sftlab
