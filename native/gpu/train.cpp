// Training steps on a device, timed; our side of gpu/peers.py.
//
//   sft_lab_gpu_train --model FOLDER --records FILE [--device cuda:0] [--precision bf16] [--lora 16] [--dropout 0.05] [--batch 8]
//                     [--accumulation 1] [--join TOKENS] [--steps 8] [--warmup 3] [--initialize 1] [--save FOLDER]
//                     [--checkpointing LAYERS] [--moments bf16] [--started SECONDS]
//   sft_lab_gpu_train --make FILE --count 256 --shortest 2048 --longest 2048 --share 0 --vocabulary 151936
//   sft_lab_gpu_train --prompts FILE --count 64 --shortest 32 --longest 192 --vocabulary 151936
//
// A microbatch is `batch` records in the file's order, over and over; a step is `accumulation` of them. `--join` puts microbatches of a step
// together up to so many tokens, as the trainer does. `--initialize` draws random weights, so that config.json is enough, and `--save` writes
// them before the first step and stops there. `--started` is when the process was started, in seconds since 1970, for the time to the first
// step. Prints one JSON object.

#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>

#include "bench/device.h"
#include "gpu/records.h"
#include "model/config.h"

namespace {

using namespace sftlab;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

class Flags {
 public:
  Flags(int argc, char** argv) {
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      if (!name.starts_with("--") || i + 1 == argc) throw std::invalid_argument("flags come as --name value; seen: " + name);
      values_[name.substr(2)] = argv[i + 1];
    }
  }
  bool has(const std::string& name) const { return values_.contains(name); }
  std::string text(const std::string& name, const std::string& otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
  }
  std::string text(const std::string& name) const {
    if (!has(name)) throw std::invalid_argument("--" + name + " is missing");
    return values_.at(name);
  }
  double number(const std::string& name, double otherwise) const { return has(name) ? std::stod(values_.at(name)) : otherwise; }
  int32_t whole(const std::string& name, int32_t otherwise) const { return static_cast<int32_t>(number(name, otherwise)); }

 private:
  std::map<std::string, std::string> values_;
};

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Numbers that take part in matrix products outside the head, which useful FLOP are counted over.
double blockParameters(const ModelConfig& c) {
  const double queries = static_cast<double>(c.heads) * c.headSize, keys = static_cast<double>(c.kvHeads) * c.headSize;
  return c.layers * (c.hiddenSize * (2 * queries + 2 * keys) + 3.0 * c.hiddenSize * c.intermediateSize);
}

using Records = std::vector<const bench::Record*>;

int32_t tokensIn(const Records& records) {
  int32_t tokens = 0;
  for (const bench::Record* record : records) tokens += static_cast<int32_t>(record->tokens.size());
  return tokens;
}

/// The microbatches of each step, in the file's order, over and over.
std::vector<std::vector<Records>> cut(const std::vector<bench::Record>& records, int32_t steps, int32_t accumulation, int32_t batch, int32_t join) {
  std::vector<std::vector<Records>> all(static_cast<size_t>(steps));
  size_t next = 0;
  for (std::vector<Records>& step : all) {
    for (int32_t micro = 0; micro < accumulation; ++micro) {
      Records one;
      for (int32_t i = 0; i < batch; ++i) one.push_back(&records[next++ % records.size()]);
      if (!step.empty() && tokensIn(step.back()) + tokensIn(one) <= join) {
        step.back().insert(step.back().end(), one.begin(), one.end());
      } else {
        step.push_back(std::move(one));
      }
    }
  }
  return all;
}

/// What of all microbatches is largest, each for itself.
BatchShape largest(const std::vector<std::vector<Records>>& steps) {
  BatchShape shape;
  for (const std::vector<Records>& step : steps) {
    for (const Records& micro : step) {
      int32_t trained = 0;
      for (const bench::Record* record : micro) {
        const auto tokens = static_cast<int32_t>(record->tokens.size());
        trained += tokens - std::max(record->prompt, 1);
        shape.longest = std::max(shape.longest, tokens);
      }
      shape.tokens = std::max(shape.tokens, tokensIn(micro));
      shape.trained = std::max(shape.trained, trained);
    }
  }
  return shape;
}

json train(const Flags& flags) {
  const auto opening = Clock::now();
  OpenOptions options;
  options.directory = flags.text("model");
  options.train = !flags.has("save");
  options.initialize = flags.number("initialize", 0) != 0;
  options.precision = flags.text("precision", "bf16") == "bf16" ? DType::bf16 : DType::f32;
  options.checkpointing = flags.whole("checkpointing", 0);
  options.moments = flags.text("moments", "fp32") == "bf16" ? DType::bf16 : DType::f32;
  const int32_t rank = flags.whole("lora", 0);
  if (rank > 0) {
    options.adapter = AdapterOptions{.r = rank, .alpha = 2.0 * rank, .dropout = flags.number("dropout", 0), .targetModules =
        {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}};
  }
  const auto backend = bench::device(flags.text("device", "cuda:0"), flags.whole("threads", 0));
  const int32_t steps = flags.whole("steps", 8), warmup = flags.whole("warmup", 3);
  std::vector<bench::Record> records;
  std::vector<std::vector<Records>> work;
  if (options.train) {
    records = bench::readRecords(flags.text("records"));
    work = cut(records, warmup + steps, flags.whole("accumulation", 1), flags.whole("batch", 8), flags.whole("join", 0));
    // Working memory is taken at once, as the trainer does.
    options.working = Model::plan(options, {.training = largest(work), .evaluation = {}}, *backend).working;
  }
  const auto model = Model::open(options, backend);
  backend->synchronize();
  json result{{"open_seconds", secondsSince(opening)}, {"parameters", model->info().parameters}, {"trained", model->info().trainableParameters}};
  if (flags.has("save")) {
    std::filesystem::create_directories(flags.text("save"));
    model->save(flags.text("save"));
    std::filesystem::copy_file(options.directory / "config.json", std::filesystem::path(flags.text("save")) / "config.json",
                               std::filesystem::copy_options::overwrite_existing);
    return result;
  }

  const ModelConfig config = readModelConfig(options.directory);
  const double started = flags.number("started", 0);
  double seconds = 0, tokens = 0, rows = 0, microbatches = 0;
  json losses = json::array();
  for (int32_t step = 0; step < warmup + steps; ++step) {
    const auto start = Clock::now();
    double loss = 0, weight = 0, size = 0;
    for (const Records& micro : work[static_cast<size_t>(step)]) {
      bench::FlatBatch flat;
      for (const bench::Record* record : micro) flat.add(*record);
      const BatchStats stats = model->accumulate(flat.view());
      loss += stats.weightedLoss;
      weight += stats.weight;
      size += static_cast<double>(flat.tokens.size());
    }
    const UpdateStats update = model->update({.learningRate = flags.number("rate", 1e-4), .maxGradNorm = 1});
    if (!update.finite) throw std::runtime_error("the gradient of step " + std::to_string(step + 1) + " is not finite");
    losses.push_back(loss / weight);
    if (step == 0 && started > 0) {
      const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
      result["start_to_first_step"] = now - started;
    }
    if (step < warmup) continue;
    seconds += secondsSince(start);
    tokens += size;
    rows += weight;
    microbatches += static_cast<double>(work[static_cast<size_t>(step)].size());
  }
  const double flops = (rank > 0 ? 4 : 6) * (blockParameters(config) * tokens + static_cast<double>(config.hiddenSize) * config.vocabularySize * rows);
  result.update({{"step_seconds", seconds / steps}, {"tokens_per_second", tokens / seconds}, {"tokens_per_step", tokens / steps},
                 {"microbatches_per_step", microbatches / steps}, {"useful_tflops", flops / seconds / 1e12}, {"peak_bytes", backend->peakBytes()}, {"losses", losses}});
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Flags flags(argc, argv);
    if (flags.has("make")) {
      bench::writeRecords(flags.text("make"), bench::makeRecords(flags.whole("count", 64), flags.whole("shortest", 2048), flags.whole("longest", 2048),
                                                                 flags.number("share", 0), flags.whole("vocabulary", 151'936)));
      return 0;
    }
    if (flags.has("prompts")) {
      json prompts = json::array();
      for (const auto& record : bench::makeRecords(flags.whole("count", 64), flags.whole("shortest", 32), flags.whole("longest", 192), 0,
                                                   flags.whole("vocabulary", 151'936))) {
        prompts.push_back(record.tokens);
      }
      std::ofstream out(flags.text("prompts"));
      out << prompts.dump();
      if (!out.flush()) throw std::runtime_error("cannot write " + flags.text("prompts"));
      return 0;
    }
    std::printf("%s\n", train(flags).dump().c_str());
    return 0;
  } catch (const std::bad_alloc&) {
    std::printf("%s\n", json{{"failed", "out of memory"}}.dump().c_str());
    return 1;
  } catch (const std::exception& error) {
    std::printf("%s\n", json{{"failed", error.what()}}.dump().c_str());
    return 1;
  }
}
