// Generation against transformers' `generate` (test/reference/make_generation.py), and against itself: alone or among others, in whatever
// order, with prompts in one part or in several, a sequence is the same bit for bit.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <numeric>

#include "io/cancel.h"
#include "model/model.h"
#include "test/backend.h"
#include "test/fixtures.h"

namespace {

std::atomic<int64_t> allocations{0};

}  // namespace

// Counted, for the test that a token costs none; the address sanitizer has its own. Not inlined, or the compiler sees `new` and `free` side by
// side and warns.
#ifndef __SANITIZE_ADDRESS__
[[gnu::noinline]] void* operator new(size_t bytes) {
  ++allocations;
  if (void* const memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace sftlab {
namespace {

namespace fs = std::filesystem;
using Prompts = std::vector<std::vector<int32_t>>;

std::unique_ptr<Model> open(const std::string& family, bool adapter = false, int threads = 2, DType precision = DType::f32) {
  OpenOptions options;
  options.precision = precision;
  options.directory = test::fixtures() / "reference" / family;
  if (adapter) options.adapter = options.directory / "adapter";
  return Model::open(options, test::makeBackend(threads));
}

nlohmann::json answers(const std::string& family) {
  return nlohmann::json::parse(std::ifstream(test::fixtures() / "reference" / family / "generation.json"));
}

void expectSame(const Generated& actual, const Generated& wanted) {
  EXPECT_EQ(actual.tokens, wanted.tokens);
  EXPECT_EQ(actual.stopped, wanted.stopped);
  EXPECT_EQ(actual.entropies, wanted.entropies);                // bits, not bounds
  EXPECT_EQ(actual.logProbabilities, wanted.logProbabilities);
}

class Generation : public ::testing::TestWithParam<std::string> {};

TEST_P(Generation, GreedyAnswersAreThoseOfTransformers) {
  const auto reference = answers(GetParam());
  const auto prompts = reference["prompts"].get<Prompts>();
  for (const bool adapter : {false, true}) {
    for (const bool stops : {false, true}) {
      const auto& wanted = reference[adapter ? "adapter" : "model"][stops ? "stopped" : "free"];
      GenerateOptions options;
      options.maxNewTokens = reference["max_new_tokens"];
      if (stops) options.stopTokens = {reference["stop"]};
      for (const int32_t batch : {0, 3}) {
        options.batch = batch;
        const auto generated = open(GetParam(), adapter)->generate(prompts, options);
        ASSERT_EQ(generated.size(), wanted.size());
        for (size_t p = 0; p < generated.size(); ++p) {
          SCOPED_TRACE(::testing::Message() << "adapter " << adapter << " stops " << stops << " batch " << batch << " prompt " << p);
          EXPECT_EQ(generated[p].tokens, wanted[p]["tokens"].get<std::vector<int32_t>>());
          const auto logs = wanted[p]["log_probabilities"].get<std::vector<float>>();
          ASSERT_EQ(generated[p].logProbabilities.size(), logs.size());
          for (size_t i = 0; i < logs.size(); ++i) EXPECT_NEAR(generated[p].logProbabilities[i], logs[i], 1e-4);
          EXPECT_EQ(generated[p].stopped, stops && generated[p].tokens.back() == reference["stop"]);
        }
      }
    }
  }
}

TEST_P(Generation, CompanyOrderAndPartsChangeNoBit) {
  const auto prompts = answers(GetParam())["prompts"].get<Prompts>();
  for (const float temperature : {0.0f, 0.8f}) {
    GenerateOptions options;
    options.maxNewTokens = 15;
    options.sampling = {temperature, 40, 0.95f};
    for (size_t i = 0; i < prompts.size(); ++i) options.seeds.push_back(100 + i);
    const auto all = open(GetParam())->generate(prompts, options);
    for (size_t i = 0; i < prompts.size(); ++i) {
      SCOPED_TRACE(::testing::Message() << "alone " << i);
      GenerateOptions alone = options;
      alone.seeds = {options.seeds[i]};
      expectSame(open(GetParam(), false, 1)->generate({prompts[i]}, alone)[0], all[i]);
    }
    std::vector<size_t> order(prompts.size());
    std::iota(order.begin(), order.end(), 0);
    std::reverse(order.begin(), order.end());
    for (const int32_t batch : {1, 2, 3, 10}) {
      for (const int32_t part : {1, 5, 16}) {
        SCOPED_TRACE(::testing::Message() << "batch " << batch << " part " << part);
        Prompts turned;
        GenerateOptions other = options;
        other.batch = batch;
        other.passTokens = part;
        for (size_t i = 0; i < order.size(); ++i) {
          turned.push_back(prompts[order[i]]);
          other.seeds[i] = options.seeds[order[i]];
        }
        const auto generated = open(GetParam())->generate(turned, other);
        for (size_t i = 0; i < order.size(); ++i) expectSame(generated[i], all[order[i]]);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Generation,
                         ::testing::Values("llama2", "llama3-tied", "llama-biases-linear-rope", "mistral-window", "qwen2-tied-window",
                                           "qwen2-untied-yarn", "qwen2-bf16", "qwen3-tied", "qwen3-untied-sharded"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Generate, DrawsOnlyByTheSequencesSeed) {
  const auto model = open("qwen3-tied");
  const Prompts prompts{{3, 5, 7}, {3, 5, 7}, {9}};
  GenerateOptions options;
  options.maxNewTokens = 30;
  options.sampling.temperature = 1.5f;
  options.seeds = {1, 1, 2};
  const auto first = model->generate(prompts, options);
  expectSame(first[1], first[0]);
  options.seeds = {1, 3, 2};
  const auto second = model->generate(prompts, options);
  expectSame(second[0], first[0]);
  expectSame(second[2], first[2]);
  EXPECT_NE(second[1].tokens, first[1].tokens);
  options.seeds = {1, 2};
  EXPECT_THROW(model->generate(prompts, options), Error);
}

/// Frozen weights that are stored as bf16 stay so in a bf16 model. The CPU's generation widens them, and so answers as the fp32 model; a
/// GPU multiplies them as they are, in sums of fp32 over activations of bf16.
TEST(Generate, WeightsInHalfTheMemoryAnswerTheSame) {
  if (!test::makeBackend(1)->multiplies(DType::bf16)) GTEST_SKIP() << "this processor has no bf16 products";
  const auto prompts = answers("qwen2-bf16")["prompts"].get<Prompts>();
  for (const bool adapter : {false, true}) {
    GenerateOptions options;
    options.maxNewTokens = 12;
    const auto full = open("qwen2-bf16", adapter)->generate(prompts, options);
    const auto half = open("qwen2-bf16", adapter, 2, DType::bf16)->generate(prompts, options);
    for (size_t i = 0; i < full.size(); ++i) {
#ifdef SFT_LAB_TEST_CUDA
      EXPECT_NEAR(half[i].entropies[0], full[i].entropies[0], 0.02);
      EXPECT_NEAR(half[i].logProbabilities[0], full[i].logProbabilities[0], 0.02);
#else
      expectSame(half[i], full[i]);
#endif
    }
  }
}

/// A prompt of several hundred tokens beside short ones, against the logits of one plain pass.
TEST(Generate, LongPromptsInPartsAgreeWithThePlainPass) {
  const auto model = open("llama3-tied");
  Prompts prompts{{}, {5}, {}};
  for (int i = 0; i < 240; ++i) prompts[0].push_back(3 + i * 7 % 90);
  for (int i = 0; i < 150; ++i) prompts[2].push_back(3 + i * 11 % 90);
  GenerateOptions options;
  options.maxNewTokens = 6;
  options.passTokens = 50;
  const auto generated = model->generate(prompts, options);
  const auto vocabulary = static_cast<size_t>(model->info().vocabularySize);
  for (size_t p = 0; p < prompts.size(); ++p) {
    std::vector<int32_t> tokens = prompts[p];
    tokens.insert(tokens.end(), generated[p].tokens.begin(), generated[p].tokens.end());
    const std::vector<int32_t> offsets{0, static_cast<int32_t>(tokens.size())};
    Batch batch;
    batch.tokens = tokens.data();
    batch.size = offsets[1];
    batch.offsets = offsets.data();
    batch.sequences = 1;
    const auto logits = model->logits(batch);
    for (size_t i = 0; i < 6; ++i) {
      const float* const row = logits.data() + (prompts[p].size() - 1 + i) * vocabulary;
      double sum = 0, entropy = 0;
      for (size_t v = 0; v < vocabulary; ++v) sum += std::exp(static_cast<double>(row[v]));
      for (size_t v = 0; v < vocabulary; ++v) entropy -= std::exp(row[v]) / sum * (row[v] - std::log(sum));
      const auto token = static_cast<size_t>(generated[p].tokens[i]);
      EXPECT_EQ(token, static_cast<size_t>(std::max_element(row, row + vocabulary) - row)) << p << " " << i;
      EXPECT_NEAR(generated[p].logProbabilities[i], row[token] - std::log(sum), 1e-4);
      EXPECT_NEAR(generated[p].entropies[i], entropy, 1e-4);
    }
  }
}

#ifndef SFT_LAB_TEST_CUDA  // where what starts a kernel allocates: the emulator, and the driver
TEST(Generate, ATokenCostsNoAllocation) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "allocations are counted without the address sanitizer";
#endif
  const auto model = open("llama3-tied");
  const Prompts prompts{{3, 5, 7, 11}, {4}, {8, 9}};
  const auto count = [&](int32_t tokens) {
    GenerateOptions options;
    options.maxNewTokens = tokens;
    model->generate(prompts, options);  // grows what is kept from call to call
    const int64_t before = allocations;
    model->generate(prompts, options);
    return allocations - before;
  };
  EXPECT_EQ(count(30), count(200));
}
#endif

TEST(Generate, IsCalledOffBetweenTokens) {
  const auto model = open("llama2");
  const std::atomic<bool> cancelled{true};
  GenerateOptions options;
  options.maxNewTokens = 5;
  cancelFlag = &cancelled;
  EXPECT_THROW(model->generate({{1, 2, 3}}, options), Error);
  cancelFlag = nullptr;
  EXPECT_EQ(model->generate({{1, 2, 3}}, options)[0].tokens.size(), 5u);  // as if nothing had been
}

TEST(Generate, NothingAskedNothingGiven) {
  const auto model = open("llama2");
  GenerateOptions options;
  EXPECT_EQ(model->generate({{1, 2}, {3}}, options).size(), 2u);
  options.maxNewTokens = 4;
  EXPECT_TRUE(model->generate({}, options).empty());
  EXPECT_THROW(model->generate({std::vector<int32_t>(65, 3)}, options), Error);
}

}  // namespace
}  // namespace sftlab
