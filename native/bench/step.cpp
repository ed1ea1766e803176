// Steps of training on synthetic records, without Node around them: the thing to run under `perf`.
//
//   sft_lab_bench_step --model FOLDER [--precision fp32|bf16] [--lora R] [--tokens 8192] [--length 1024]
//                      [--completion 0.2] [--dropout 0] [--steps 4] [--warmup 1] [--threads 0] [--initialize 1]
//
// Records have lengths spread evenly over [length / 8, length]; the last fifth of each is its completion. One step is one
// `accumulate` over whole records of about `tokens` tokens, and one `update`. With `--initialize 1` config.json is enough.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "cpu/cpu_backend.h"
#include "model/config.h"
#include "model/model.h"

namespace {

using sftlab::Batch;
using Clock = std::chrono::steady_clock;

struct Records {
  std::vector<int32_t> tokens, targets, offsets{0};
  std::vector<float> weights;
  std::vector<uint8_t> groups;

  void add(int32_t length, double completion, int32_t vocabulary, std::mt19937& random) {
    const int32_t first = std::clamp(static_cast<int32_t>(length * (1 - completion)), 1, length - 1);
    const size_t start = tokens.size();
    for (int32_t i = 0; i < length; ++i) tokens.push_back(static_cast<int32_t>(random() % vocabulary));
    for (int32_t i = 0; i < length; ++i) {
      const bool last = i + 1 == length, trained = !last && i + 1 >= first;
      targets.push_back(last ? 0 : tokens[start + i + 1]);
      weights.push_back(trained ? 1.0f : 0.0f);
      groups.push_back(trained ? 2 : 0);
    }
    offsets.push_back(static_cast<int32_t>(tokens.size()));
  }

  Batch batch() const {
    return {tokens.data(), targets.data(),  weights.data(),
            groups.data(), static_cast<int32_t>(tokens.size()),
            offsets.data(), static_cast<int32_t>(offsets.size() - 1)};
  }
};

/// False where this engine has no such precision.
template <typename Options>
bool setPrecision(Options& options, const std::string& name) {
  if constexpr (requires { options.precision; }) {
    using Precision = std::remove_cvref_t<decltype(options.precision)>;
    if (name == "bf16") {
      options.precision = Precision::bf16;
      return true;
    }
  }
  return name == "fp32";
}

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

/// Parameters that take part in matrix products outside the head: what 6 (or 4, for LoRA) FLOPs a token are counted on.
double blockParameters(const sftlab::ModelConfig& c) {
  const double q = static_cast<double>(c.heads) * c.headSize, kv = static_cast<double>(c.kvHeads) * c.headSize;
  return c.layers * (c.hiddenSize * (2 * q + 2 * kv) + 3.0 * c.hiddenSize * c.intermediateSize);
}

int run(std::map<std::string, std::string> flags) {
  const auto number = [&](const char* name, double otherwise) {
    const auto found = flags.find(name);
    return found == flags.end() ? otherwise : std::stod(found->second);
  };
  const std::string precision = flags.contains("precision") ? flags["precision"] : "fp32";
  const int32_t rank = static_cast<int32_t>(number("lora", 0));

  sftlab::OpenOptions options;
  options.directory = flags["model"];
  options.train = true;
  options.initialize = number("initialize", 0) != 0;
  if (!setPrecision(options, precision)) {
    std::fprintf(stderr, "this engine has no precision \"%s\"\n", precision.c_str());
    return 2;
  }
  if (rank > 0) {
    options.adapter = sftlab::AdapterOptions{
        .r = rank, .alpha = 2.0 * rank, .dropout = number("dropout", 0),
        .targetModules = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}};
  }
  const auto opening = Clock::now();
  const auto backend = sftlab::makeCpuBackend(static_cast<int>(number("threads", 0)));
  const auto model = sftlab::Model::open(options, backend);
  const sftlab::ModelConfig config = sftlab::readModelConfig(options.directory);
  std::printf("open %.0f ms, %lld parameters, %lld trained\n", milliseconds(opening, Clock::now()),
              static_cast<long long>(model->info().parameters),
              static_cast<long long>(model->info().trainableParameters));

  const int32_t longest = static_cast<int32_t>(number("length", 1024));
  const int32_t wanted = static_cast<int32_t>(number("tokens", 8192));
  std::mt19937 random(1);
  std::vector<double> times;
  const int warmup = static_cast<int>(number("warmup", 1)), steps = static_cast<int>(number("steps", 4));
  for (int step = 0; step < warmup + steps; ++step) {
    Records records;
    while (static_cast<int32_t>(records.tokens.size()) < wanted) {
      const int32_t shortest = std::max(longest / 8, 2);
      const int32_t drawn = shortest + static_cast<int32_t>(random() % (longest - shortest + 1));
      const int32_t left = wanted - static_cast<int32_t>(records.tokens.size());
      records.add(left - drawn < shortest ? std::max(left, 2) : drawn, number("completion", 0.2), config.vocabularySize,
                  random);
    }
    const auto start = Clock::now();
    const sftlab::BatchStats stats = model->accumulate(records.batch());
    const auto middle = Clock::now();
    const sftlab::UpdateStats update = model->update({.learningRate = 1e-4, .maxGradNorm = 1});
    const auto end = Clock::now();
    const double tokens = static_cast<double>(records.tokens.size()), ms = milliseconds(start, end);
    const double flops = (rank > 0 ? 4 : 6) * (blockParameters(config) * tokens + static_cast<double>(config.hiddenSize) *
                                               config.vocabularySize * stats.weight);
    std::printf("step %d%s: %.0f ms (accumulate %.0f, update %.0f), %.0f tokens/s, %.1f GFLOP/s, loss %.5f, norm %.4f\n",
                step + 1, step < warmup ? " (warm-up)" : "", ms, milliseconds(start, middle), milliseconds(middle, end),
                tokens / ms * 1e3, flops / ms / 1e6, stats.weightedLoss / stats.weight, update.gradientNorm);
    std::fflush(stdout);
    if (step >= warmup) times.push_back(ms);
  }
  std::sort(times.begin(), times.end());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  if (!times.empty()) std::printf("median %.1f ms a step; ", times[times.size() / 2]);
  std::printf("engine peak %.0f MB, process peak %.0f MB\n", static_cast<double>(backend->peakBytes()) / 1e6,
              static_cast<double>(usage.ru_maxrss) * 1024 / 1e6);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i + 1 < argc; i += 2) flags[std::string(argv[i]).substr(2)] = argv[i + 1];
  if (!flags.contains("model") || argc % 2 == 0) {
    std::fprintf(stderr, "usage: sft_lab_bench_step --model FOLDER [--precision fp32|bf16] [--lora R] [--tokens N] ...\n");
    return 2;
  }
  try {
    return run(std::move(flags));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
