#pragma once

// Blocks of threads on an ordinary processor: the source of a kernel, compiled as plain C++, does here what it does on a GPU. Each
// thread of a block is a fibre; barriers and warp exchanges switch between them. One block runs at a time. What a GPU would do
// in some undefined way is an error here: threads that wait at different barriers, shared memory read before it was written (it
// starts as NaN), an address outside of what was allocated (under the address sanitizer).

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

namespace sftlab::emulator {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

constexpr unsigned kWarp = 32;

/// Runs `kernel` once for each thread of each block. From the `SFT_LAB_EMULATED_LOST`-th on all of them fail, as those of a card that is lost.
void launch(Index grid, unsigned threads, size_t sharedBytes, const std::function<void()>& kernel);

/// All threads of the block, or those of this thread's warp, wait for each other.
void blockBarrier();
void warpBarrier();
/// What lane `lane` of this warp gave in the same call.
uint64_t exchange(uint64_t value, unsigned lane);
/// What all lanes of this warp gave in the same call. An address that is given may be read by the others until `warpBarrier`.
void exchangeAll(uint64_t value, uint64_t (&all)[kWarp]);
void* sharedMemory();

/// The card's memory, `SFT_LAB_EMULATED_MEMORY` bytes of it (80 GB where nothing is set). What is beyond throws std::bad_alloc.
void* allocate(size_t bytes);
void release(void* data);
size_t memoryBytes();
int cardNumber();  ///< `SFT_LAB_EMULATED_NUMBER`, as where others are too old

extern unsigned replays;  ///< of recordings, so far: for tests
extern Index thread, block, grid;
extern unsigned threads;

}  // namespace sftlab::emulator
