// The card, as JSON: {"name", "memory", "capability", "driver"}. Where none can be used, what is missing, and exit code 1.

#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/device.h"

int main() {
#ifdef SFT_LAB_BENCH_CUDA
  const sftlab::CudaDevices found = sftlab::cudaDevices();
  if (!found.missing.empty()) {
    std::fprintf(stderr, "%s\n", found.missing.c_str());
    return 1;
  }
  const sftlab::CudaDevice& card = found.list.front();
  std::printf("%s\n", nlohmann::json{{"name", card.name}, {"memory", card.memory}, {"capability", card.capability}, {"cuda", found.driver}, {"driver", found.driverVersion}}.dump().c_str());
  return 0;
#else
  std::fprintf(stderr, "this program was built without CUDA: nvcc was not there\n");
  return 1;
#endif
}
