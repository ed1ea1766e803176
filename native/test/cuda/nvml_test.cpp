#include "cuda/nvml.h"

#include <gtest/gtest.h>

namespace sftlab::cuda {
namespace {

TEST(Nvml, TellsWhatTheLibrarySays) {
  for (int round = 0; round < 2; ++round) {  // ended properly, it starts again
    const auto nvml = Nvml::open(SFT_LAB_FAKE_NVML);
    ASSERT_NE(nvml, nullptr);
    EXPECT_EQ(nvml->driver(), "580.1.2");
    const auto use = nvml->use("0000:65:00.0");
    ASSERT_TRUE(use.has_value());
    EXPECT_EQ(use->busy, 0.75);
    EXPECT_EQ(use->memoryUsed, size_t{30} << 30);
    EXPECT_EQ(use->memoryFree, size_t{50} << 30);
    EXPECT_FALSE(nvml->use("0000:00:00.0").has_value());
  }
}

TEST(Nvml, IsMissingWithoutTheLibraryOrItsFunctions) {
  EXPECT_EQ(Nvml::open("libsft-lab-is-not-there.so.1"), nullptr);
  EXPECT_EQ(Nvml::open("libc.so.6"), nullptr);
}

}  // namespace
}  // namespace sftlab::cuda
