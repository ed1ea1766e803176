#pragma once

// The backend under test: the CPU's, or in programs of their own CUDA's kernels, in their emulator or on a GPU.

#ifdef SFT_LAB_TEST_CUDA
#include "cuda/cuda_backend.h"
#else
#include "cpu/cpu_backend.h"
#endif

namespace sftlab::test {

inline std::shared_ptr<Backend> makeBackend([[maybe_unused]] int threads) {
#ifdef SFT_LAB_TEST_CUDA
  return makeCudaBackend(0);
#else
  return makeCpuBackend(threads);
#endif
}

/// Thread counts that results are compared over; a GPU has none to choose.
#ifdef SFT_LAB_TEST_CUDA
constexpr int kThreadCounts[] = {1, 1};
#else
constexpr int kThreadCounts[] = {1, 2, 3, 2, 5};
#endif

}  // namespace sftlab::test
