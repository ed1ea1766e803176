// adapter_config.json as PEFT writes and reads it (https://github.com/huggingface/peft, LoraConfig).

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/error.h"
#include "io/json_file.h"
#include "io/text_file.h"
#include "model/parameters.h"
#include "system/system.h"

namespace sftlab {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

const std::vector<std::string> kModules = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

/// Keys that are read here, or that change nothing about a finished adapter of the kind that is supported.
constexpr const char* kKnownKeys[] = {
    "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying", "eva_config",
    "inference_mode", "init_lora_weights", "layers_pattern", "loftq_config", "lora_alpha", "lora_dropout",
    "lora_ga_config", "megatron_config", "megatron_core", "peft_type", "peft_version", "qalora_group_size", "r",
    "revision", "runtime_config", "target_modules", "task_type"};

}  // namespace

std::vector<std::string> targetModules(const AdapterOptions& options) {
  std::vector<std::string> modules;
  for (const std::string& name : options.targetModules) {
    if (name == "all-linear") return kModules;
    if (std::find(kModules.begin(), kModules.end(), name) == kModules.end()) {
      throw Error("\"" + name + "\" is not a module that can have an adapter", {}, "lora_target_modules",
                  "Choose among q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or all-linear.");
    }
    if (std::find(modules.begin(), modules.end(), name) == modules.end()) modules.push_back(name);
  }
  if (modules.empty()) throw Error("names no module", {}, "lora_target_modules");
  return modules;
}

AdapterOptions readAdapterConfig(const std::filesystem::path& directory) {
  const auto path = directory / "adapter_config.json";
  const json config = readJsonFile(path, 16 << 20);
  const auto fail = [&](const std::string& key, const std::string& message) { throw Error(message, system::textOf(path), key); };
  if (config.value("peft_type", json()) != "LORA") fail("peft_type", "only LORA adapters are supported");
  // Whatever else is switched on changes what the adapter computes, in ways that newer versions of PEFT keep adding to.
  for (const auto& [key, value] : config.items()) {
    const bool off = value.is_null() || value == false || value.empty();
    if (!off && std::find(std::begin(kKnownKeys), std::end(kKnownKeys), key) == std::end(kKnownKeys)) {
      fail(key, "is not supported");
    }
  }
  // These starts change the base model's weights too.
  const json start = config.value("init_lora_weights", json());
  for (const char* name : {"pissa", "olora", "corda", "loftq", "lora_ga"}) {
    if (start.is_string() && start.get<std::string>().starts_with(name)) fail("init_lora_weights", brief(start) + " is not supported");
  }
  if (config.contains("bias") && config["bias"] != "none") fail("bias", "only \"none\" is supported");
  AdapterOptions options;
  if (!config.contains("r") || !config["r"].is_number_integer() || config["r"].get<int64_t>() < 1 ||
      config["r"].get<int64_t>() > 1 << 16) {
    fail("r", "must be a whole number above 0");
  }
  options.r = config["r"].get<int32_t>();
  if (!config.contains("lora_alpha") || !config["lora_alpha"].is_number()) fail("lora_alpha", "must be a number");
  options.alpha = config["lora_alpha"].get<double>();
  const json dropout = config.value("lora_dropout", json(0));
  if (!dropout.is_number()) fail("lora_dropout", "must be a number");
  options.dropout = dropout.get<double>();
  if (!(options.dropout >= 0 && options.dropout < 1)) fail("lora_dropout", "must be from 0 to below 1");
  const json modules = config.value("target_modules", json());
  if (modules.is_string()) {
    if (modules != "all-linear") fail("target_modules", "patterns are not supported, only names");
    options.targetModules = {"all-linear"};
  } else if (modules.is_array()) {
    for (const json& name : modules) {
      if (!name.is_string()) fail("target_modules", "must be a list of names");
      options.targetModules.push_back(name.get<std::string>());
    }
  } else {
    fail("target_modules", "must be a list of names");
  }
  try {
    options.targetModules = targetModules(options);
  } catch (const Error& error) {
    throw Error(error.what(), system::textOf(path), "target_modules", error.advice);
  }
  return options;
}

void writeAdapterConfig(const std::filesystem::path& directory, const AdapterOptions& options, const std::string& base) {
  ordered_json config;
  config["base_model_name_or_path"] = base;
  config["bias"] = "none";
  config["fan_in_fan_out"] = false;
  config["inference_mode"] = true;
  config["init_lora_weights"] = true;
  config["lora_alpha"] = options.alpha;
  config["lora_dropout"] = options.dropout;
  config["modules_to_save"] = nullptr;
  config["peft_type"] = "LORA";
  config["r"] = options.r;
  config["target_modules"] = targetModules(options);
  config["task_type"] = "CAUSAL_LM";
  config["use_dora"] = false;
  config["use_rslora"] = false;
  writeTextFile(directory / "adapter_config.json", config.dump(2) + "\n");
}

}  // namespace sftlab
