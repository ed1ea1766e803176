#pragma once

// How kernels are written, so that nvcc compiles them for a GPU and any C++ compiler for the emulator. A kernel is KERNEL, what it
// calls is DEVICE; it asks `self()` where it stands, and is started by `launch`.

#include <cstddef>
#include <cstdint>

#include "cuda/failure.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>

#include <cstdlib>
#include <source_location>

#define KERNEL __global__
#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")  ///< before a loop whose counter picks registers
#define BOUNDS(threads, blocks) __launch_bounds__(threads, blocks)  ///< after KERNEL: threads of a block, and blocks that a processor shall hold
#else
#include <cmath>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "cuda/emulator/emulator.h"
#define KERNEL
#define DEVICE inline
#define UNROLL
#define BOUNDS(threads, blocks)
#endif

namespace sftlab::cuda {

/// Where a thread stands.
struct Self {
  unsigned thread, threads;      ///< in its block, and how many there are
  unsigned blockX, blockY, blockZ, blocksX;
  DEVICE unsigned lane() const { return thread % 32; }
  DEVICE unsigned warp() const { return thread / 32; }
  DEVICE unsigned warps() const { return threads / 32; }
  /// In the grid along x, for loops of step `everyone()`.
  DEVICE int64_t index() const { return static_cast<int64_t>(blockX) * threads + thread; }
  DEVICE int64_t everyone() const { return static_cast<int64_t>(blocksX) * threads; }
};

struct Grid {
  unsigned x = 1, y = 1, z = 1;
};

#ifdef __CUDACC__

using Stream = cudaStream_t;

DEVICE Self self() { return {threadIdx.x, blockDim.x, blockIdx.x, blockIdx.y, blockIdx.z, gridDim.x}; }
DEVICE void syncBlock() { __syncthreads(); }
DEVICE void syncWarp() { __syncwarp(); }
template <typename T>
DEVICE T shuffleXor(T value, unsigned mask) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, mask);
}
template <typename T>
DEVICE T shuffle(T value, unsigned lane) {
  return __shfl_sync(0xFFFFFFFFu, value, lane);
}
/// The block's shared memory, as large as `launch` was told, at a multiple of 1,024 bytes.
template <typename T>
DEVICE T* sharedMemory() {
  extern __shared__ __align__(1024) unsigned char sftlabShared[];
  return reinterpret_cast<T*>(sftlabShared);
}

/// Where a pointer into shared memory points to, as PTX counts there.
DEVICE uint32_t placeInShared(const void* at) { return static_cast<uint32_t>(__cvta_generic_to_shared(at)); }

/// Adds to a sum in shared memory to which other threads may add at the same time. By halves: cards add 64 bits there only by trying again
/// until nobody came between.
DEVICE void addShared(uint64_t* sum, uint64_t amount) {
  auto* const halves = reinterpret_cast<uint32_t*>(sum);
  const auto low = static_cast<uint32_t>(amount);
  auto high = static_cast<uint32_t>(amount >> 32);
  if (atomicAdd(halves, low) > ~low) ++high;  // what is carried
  if (high > 0) atomicAdd(halves + 1, high);
}

/// 2^x by one instruction, within 2^-22 of it (PTX ISA, ex2.approx).
DEVICE float fastExp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/// What is read for the last time: others stay in the cache instead.
DEVICE void loadLast(float (&to)[1], const float* from) { to[0] = __ldcs(from); }
DEVICE void loadLast(float (&to)[4], const float* from) {
  const float4 four = __ldcs(reinterpret_cast<const float4*>(from));
  to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
}

/// A call that failed, with the operation that made it. What fails on the card itself is told by a later call, and by all after it: the
/// process cannot use the card any more. Environment SFT_LAB_CUDA_SYNC=1 waits for each kernel, so that the right one is named.
inline void check(cudaError_t error, const std::source_location& from = std::source_location::current()) {
  if (error == cudaSuccess) return;
  std::string operation = from.function_name();
  operation = operation.substr(0, operation.find('('));
  throw failure(operation.substr(operation.rfind(' ') + 1), cudaGetErrorString(error));
}

/// What the card is like.
inline int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&value, which, device));
  return value;
}
/// Bytes of shared memory that a block can have on this card.
inline size_t mostShared() { return static_cast<size_t>(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)); }
/// How many blocks run at the same time at least.
inline int processors() { return attribute(cudaDevAttrMultiProcessorCount); }

/// A stream, and who starts a kernel on it: taken where an operation says `stream_`.
struct Caller {
  Stream stream;
  std::source_location from;
  Caller(Stream stream, const std::source_location& from = std::source_location::current()) : stream(stream), from(from) {}
};

inline bool waitsForEach() {
  static const bool waits = std::getenv("SFT_LAB_CUDA_SYNC") != nullptr;
  return waits;
}

/// Whether kernels compiled for Hopper alone run, whose warps multiply in groups.
inline bool multipliesInGroups() { return attribute(cudaDevAttrComputeCapabilityMajor) == 9; }

template <typename... Parameters, typename... Arguments>
void launch(const Caller& caller, Grid grid, unsigned threads, size_t shared, void (*kernel)(Parameters...), Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  // Beyond 48 KB a kernel has to be told of it.
  if (shared > 48 << 10) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)), caller.from);
  }
  kernel<<<dim3(grid.x, grid.y, grid.z), threads, shared, caller.stream>>>(arguments...);
  check(cudaGetLastError(), caller.from);
  if (waitsForEach()) check(cudaStreamSynchronize(caller.stream), caller.from);
}

#else

/// Does at once what is queued, or notes it while that is recorded.
struct EmulatedStream {
  using Notes = std::vector<std::function<void()>>;
  std::shared_ptr<Notes*> notes = std::make_shared<Notes*>(nullptr);
  void queue(std::function<void()> work) const {
    if (*notes) {
      (*notes)->push_back(std::move(work));
    } else {
      work();
    }
  }
};
using Stream = EmulatedStream;
using Caller = EmulatedStream;

inline Self self() {
  namespace e = emulator;
  return {e::thread.x, e::threads, e::block.x, e::block.y, e::block.z, e::grid.x};
}
inline void syncBlock() { emulator::blockBarrier(); }
inline void syncWarp() { emulator::warpBarrier(); }
template <typename T>
T shuffle(T value, unsigned lane) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = emulator::exchange(bits, lane);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <typename T>
T shuffleXor(T value, unsigned mask) {
  return shuffle(value, self().lane() ^ mask);
}
template <typename T>
T* sharedMemory() {
  return static_cast<T*>(emulator::sharedMemory());
}
inline void addShared(uint64_t* sum, uint64_t amount) { *sum += amount; }
inline float fastExp2(float x) { return exp2f(x); }
template <int width>
void loadLast(float (&to)[width], const float* from) {
  std::memcpy(to, from, sizeof to);
}
inline size_t mostShared() { return 8 << 10; }  // less than any card's, so that small tests go beyond it
inline int processors() { return 6; }           // likewise

inline bool multipliesInGroups() { return false; }

template <typename... Parameters, typename... Arguments>
void launch(const Stream& stream, Grid grid, unsigned threads, size_t shared, void (*kernel)(Parameters...), Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  stream.queue([=] { emulator::launch({grid.x, grid.y, grid.z}, threads, shared, [&] { kernel(arguments...); }); });
}

#endif

constexpr float kLog2e = 1.44269504f;  ///< e^x = 2^(x kLog2e), for `fastExp2`

// ---- what every kernel needs -----------------------------------------------------------------------------------------

/// The sum, or the largest, of all lanes' values, the same bits in every lane.
template <typename T>
DEVICE T warpSum(T value) {
  for (unsigned mask = 16; mask > 0; mask /= 2) value += shuffleXor(value, mask);
  return value;
}
DEVICE int32_t warpLeast(int32_t value) {
  for (unsigned mask = 16; mask > 0; mask /= 2) {
    const int32_t other = shuffleXor(value, mask);
    value = other < value ? other : value;
  }
  return value;
}
DEVICE float warpMax(float value) {
  for (unsigned mask = 16; mask > 0; mask /= 2) value = fmaxf(value, shuffleXor(value, mask));
  return value;
}

/// The same over a block of whole warps. `shared` has room for one value a warp; all threads call it.
template <typename T>
DEVICE T blockSum(T value, T* shared) {
  const Self me = self();
  value = warpSum(value);
  syncBlock();  // `shared` may still be read
  if (me.lane() == 0) shared[me.warp()] = value;
  syncBlock();
  T total = 0;
  for (unsigned w = 0; w < me.warps(); ++w) total += shared[w];
  return total;
}
DEVICE float blockMax(float value, float* shared) {
  const Self me = self();
  value = warpMax(value);
  syncBlock();
  if (me.lane() == 0) shared[me.warp()] = value;
  syncBlock();
  float most = shared[0];
  for (unsigned w = 1; w < me.warps(); ++w) most = fmaxf(most, shared[w]);
  return most;
}

constexpr unsigned kThreads = 256;  ///< of a block, unless a kernel says otherwise

/// Threads for a block that works on one row of so many columns.
inline unsigned threadsFor(int64_t cols) {
  const int64_t whole = (cols + 31) / 32 * 32;
  return static_cast<unsigned>(whole < 32 ? 32 : whole < kThreads ? whole : kThreads);
}

inline unsigned blocksFor(int64_t items, int64_t each) { return static_cast<unsigned>((items + each - 1) / each); }

}  // namespace sftlab::cuda
