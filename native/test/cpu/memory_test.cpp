#include <atomic>
#include <limits>
#include <new>
#include <stdexcept>

#include "cpu/thread_pool.h"
#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

class Memory : public CpuTest {};

TEST_F(Memory, IsAlignedCountedAndGivenBack) {
  const size_t before = backend->currentBytes();
  void* const small = backend->allocate(100);
  void* const large = backend->allocate(size_t{5} << 20);
  void* const empty = backend->allocate(0);
  for (void* block : {small, large, empty}) EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
  std::memset(small, 1, 100);
  std::memset(large, 1, size_t{5} << 20);
  EXPECT_EQ(backend->currentBytes() - before, 100 + (size_t{5} << 20));
  backend->release(large);
  backend->release(nullptr);
  EXPECT_EQ(backend->currentBytes() - before, 100u);
  backend->release(small);
  backend->release(empty);
  EXPECT_EQ(backend->currentBytes(), before);
  EXPECT_GE(backend->peakBytes(), before + 100 + (size_t{5} << 20));
}

TEST_F(Memory, TooMuchIsRefused) {
  EXPECT_THROW(backend->allocate(std::numeric_limits<size_t>::max()), std::bad_alloc);
  EXPECT_THROW(backend->allocate(std::numeric_limits<size_t>::max() / 2), std::bad_alloc);
  EXPECT_EQ(backend->currentBytes(), 0u);
}

TEST_F(Memory, ZeroAndCopyTouchTheirColumnsAlone) {
  const auto x = randomNumbers(50 * 30, 1);
  const Device a = device(50, 30, x), b = device(50, 30, Numbers(1500, 1.0));
  backend->zero((*b).columns(10, 5));
  backend->copy((*b).columns(20, 10), (*a).columns(0, 10));
  const auto actual = b.get();
  for (size_t r = 0; r < 50; ++r) {
    for (size_t c = 0; c < 30; ++c)
      ASSERT_EQ(actual[r * 30 + c], c >= 20 ? x[r * 30 + c - 20] : c >= 10 && c < 15 ? 0.0 : 1.0);
  }
  const Device large = device(1, 300'000, Numbers(300'000, 1.0));
  backend->zero(*large);
  EXPECT_EQ(large.get(), Numbers(300'000, 0.0));
}

TEST_F(Memory, CopyRoundsToBf16AndBack) {
  const double infinity = std::numeric_limits<double>::infinity();
  // 1 + 2^-8 lies between two neighbours and goes to the even one, as 1 + 3 * 2^-8 does upwards.
  const Numbers x{1, -2.5, 1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1p-8 + 0x1p-20, infinity, std::nan(""), 3.4e38};
  const Numbers expected{1, -2.5, 1, 1 + 4 * 0x1p-8, 1 + 2 * 0x1p-8, infinity, std::nan(""), infinity};
  const Device from = device(1, 8, x), to = device(1, 8), narrow = device(1, 4);
  const Tensor half{(*narrow).data, 1, 8, 8, DType::bf16};
  backend->copy(half, *from);
  backend->copy(*to, half);
  const auto actual = to.get();
  for (size_t i = 0; i < 8; ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(actual[i]));
    } else {
      EXPECT_EQ(actual[i], expected[i]) << i;
    }
  }
}

TEST(ThreadPool, RunsEachPieceOnce) {
  ThreadPool pool(4);
  EXPECT_EQ(pool.threads(), 4);
  std::vector<std::atomic<int>> ran(300);
  for (int round = 0; round < 3000; ++round) {
    const int pieces = round % 300;
    pool.run(pieces, [&](int64_t piece, int thread) {
      ran[static_cast<size_t>(piece)] += thread >= 0 && thread < 4 ? 1 : 100;
    });
    for (int i = 0; i < 300; ++i) {
      ASSERT_EQ(ran[static_cast<size_t>(i)].exchange(0), i < pieces) << "round " << round;
    }
  }
}

TEST(ThreadPool, ThrowsOnTheCallerAndGoesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> ran = 0;
    EXPECT_THROW(pool.run(20,
                          [&](int64_t piece, int) {
                            ++ran;
                            if (piece % 7 == 3) throw std::bad_alloc();
                          }),
                 std::bad_alloc);
    EXPECT_EQ(ran, 20);
    pool.run(20, [&](int64_t, int) { --ran; });
    EXPECT_EQ(ran, 0);
  }
}

TEST(ThreadPool, WakesUpAfterSleep) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // past the pool's patience
    std::atomic<int> ran = 0;
    pool.run(64, [&](int64_t, int) { ++ran; });
    EXPECT_EQ(ran, 64);
  }
}

}  // namespace
}  // namespace sftlab::test
