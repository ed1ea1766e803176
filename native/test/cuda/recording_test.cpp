// Operations that are recorded and run again: on a GPU a CUDA graph, in the emulator the kernels' calls with the arguments they were given.

#include "test/cpu/support.h"

#include "io/error.h"
#ifdef SFT_LAB_TEST_EMULATED
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cuda/emulator/emulator.h"
#include "model/model.h"
#include "test/fixtures.h"
#endif

namespace sftlab::test {
namespace {

class Recordings : public CpuTest {
 protected:
  Device table = device(7, 5, randomNumbers(35, 1)), weight = device(3, 5, randomNumbers(15, 2)), bias = device(1, 3, randomNumbers(3, 3));
  Device ids = device(1, 4), rows = device(4, 5), out = device(4, 3);
  std::function<void()> operations = [this] {
    backend->gatherRows(*rows, *table, static_cast<const int32_t*>((*ids).data));
    backend->matmulAdd(*out, {}, *bias, *rows, Transpose::no, *weight, Transpose::yes);
    backend->add(*out, *out);
  };
  void choose(const std::vector<int32_t>& chosen) { backend->upload((*ids).data, chosen.data(), chosen.size() * sizeof(int32_t)); }
  std::vector<float> plain() {
    operations();
    return out.floats();
  }
};

TEST_F(Recordings, ReadWhatStandsInMemoryWhenTheyRun) {
  choose({0, 1, 2, 3});
  const auto first = plain();
  out.set(Numbers(12, 7.0));
  const auto recording = backend->record(operations);
  ASSERT_NE(recording, nullptr);
  EXPECT_EQ(out.get(), Numbers(12, 7.0));  // noted, not done
  ASSERT_TRUE(backend->replay(*recording));
  EXPECT_TRUE(sameBits(out.floats(), first));

  choose({6, 2, 2, 5});
  table.set(randomNumbers(35, 4));
  bias.set(randomNumbers(3, 5));
  ASSERT_TRUE(backend->replay(*recording));
  const auto replayed = out.floats();
  EXPECT_FALSE(sameBits(replayed, first));
  EXPECT_TRUE(sameBits(replayed, plain()));
}

TEST_F(Recordings, HoldNothingThatMovesOrWaits) {
  choose({1, 2, 3, 4});
  const auto expected = plain();
  float number = 0;
  const std::vector<std::function<void()>> forbidden{[&] { backend->allocate(64); }, [&] { backend->upload((*rows).data, &number, sizeof number); },
                                                     [&] { backend->download(&number, (*rows).data, sizeof number); },
                                                     [&] { backend->synchronize(); }};
  for (const auto& operation : forbidden) {
    EXPECT_THROW(backend->record([&] { operations(), operation(); }), std::logic_error);
    out.set(Numbers(12, 0.0));
    EXPECT_TRUE(sameBits(plain(), expected));  // as if nothing had been
  }
}

TEST_F(Recordings, AreNoneWhereTheCardRefuses) {
  choose({1, 2, 3, 4});
  const auto expected = plain();
  EXPECT_EQ(backend->record([&] {
    operations();
    throw Error("refused");
  }), nullptr);
  out.set(Numbers(12, 0.0));
  EXPECT_TRUE(sameBits(plain(), expected));
}

TEST_F(Recordings, AreNotRunWhenTheBackendsMemoryHasMoved) {
  choose({1, 2, 3, 4});
  plain();
  const auto recording = backend->record(operations);
  ASSERT_NE(recording, nullptr);
#ifdef SFT_LAB_TEST_EMULATED
  const int64_t large = 300;
#else
  const int64_t large = 9000;
#endif
  // A product of f32 and bf16 numbers takes a rounded copy of the former.
  const Device wide = device(large, large), memory = device(1, large), product = device(large, 1);
  const Tensor narrow{(*memory).data, 1, large, large, DType::bf16};
  backend->fill(*wide, 1);
  backend->fill(narrow, 1);
  backend->matmul(*product, *wide, Transpose::no, narrow, Transpose::yes, 1, 0);
  EXPECT_EQ(product.get()[0], static_cast<double>(large));
  out.set(Numbers(12, 7.0));
  EXPECT_FALSE(backend->replay(*recording));
  EXPECT_EQ(out.get(), Numbers(12, 7.0));
}

#ifdef SFT_LAB_TEST_EMULATED

/// Sequences that end at different times, so that passes of many sizes follow each other: by recordings the same bits as without.
TEST(Recording, OfGenerationChangesNoBit) {
  for (const std::string family : {"qwen3-tied", "llama-biases-linear-rope"}) {
    OpenOptions open;
    open.directory = fixtures() / "reference" / family;
    open.adapter = open.directory / "adapter";
    const auto reference = nlohmann::json::parse(std::ifstream(open.directory / "generation.json"));
    const auto prompts = reference["prompts"].get<std::vector<std::vector<int32_t>>>();
    GenerateOptions options;
    options.maxNewTokens = 20;
    options.sampling = {0.9f, 60, 0.95f};
    options.batch = 5;
    for (int32_t token = 0; token < 6; ++token) options.stopTokens.push_back(token);
    for (size_t i = 0; i < prompts.size(); ++i) options.seeds.push_back(500 + i);
    setenv("SFT_LAB_CUDA_GRAPHS", "0", 1);
    const auto plain = Model::open(open, makeBackend(1));
    unsetenv("SFT_LAB_CUDA_GRAPHS");
    const unsigned before = emulator::replays;
    const auto wanted = plain->generate(prompts, options);
    ASSERT_EQ(emulator::replays, before);
    const auto actual = Model::open(open, makeBackend(1))->generate(prompts, options);
    EXPECT_GT(emulator::replays, before + 10) << family;
    for (size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_EQ(actual[i].tokens, wanted[i].tokens) << family << " " << i;
      EXPECT_EQ(actual[i].entropies, wanted[i].entropies);
      EXPECT_EQ(actual[i].logProbabilities, wanted[i].logProbabilities);
      EXPECT_EQ(actual[i].stopped, wanted[i].stopped);
    }
  }
}

#endif

}  // namespace
}  // namespace sftlab::test
