// The card itself: what is known of it, and that one which is full can be used on.

#include <gtest/gtest.h>

#include <new>
#include <vector>

#include "cuda/cuda_backend.h"
#include "cuda/devices.h"

namespace sftlab {
namespace {

TEST(Card, IsListedWithWhatItHas) {
  const CudaDevices cards = cudaDevices();
  ASSERT_EQ(cards.missing, "");
  ASSERT_FALSE(cards.list.empty());
  for (const CudaDevice& card : cards.list) {
    EXPECT_FALSE(card.name.empty());
    EXPECT_GT(card.memory, size_t{1} << 30);
    if (const auto use = cudaUse(card)) {
      EXPECT_LE(use->busy, 1);
      EXPECT_LE(use->memoryFree, card.memory);
    }
  }
}

TEST(Card, ThatIsFullSaysSoAndIsUsedOn) {
  const std::shared_ptr<Backend> backend = makeCudaBackend(0);
  const size_t before = backend->currentBytes();
  EXPECT_THROW(backend->allocate(size_t{1} << 46), std::bad_alloc);
  EXPECT_EQ(backend->currentBytes(), before);
  std::vector<float> numbers(1000);
  const Tensor x{backend->allocate(numbers.size() * sizeof(float)), 1, 1000, 1000, DType::f32};
  backend->fill(x, 3);
  backend->download(numbers.data(), x.data, x.bytes());
  EXPECT_EQ(numbers, std::vector<float>(1000, 3.0f));
  backend->release(x.data);
}

}  // namespace
}  // namespace sftlab
