#pragma once

// The device that a bench program works on, by its name: cpu, or cuda:0 where CUDA is built in.

#include <memory>
#include <stdexcept>
#include <string>

#include "model/backend.h"
#ifdef SFT_LAB_BENCH_CUDA
#include "cuda/cuda_backend.h"
#include "cuda/devices.h"
#endif
#ifndef SFT_LAB_BENCH_NO_CPU
#include "cpu/cpu_backend.h"
#endif

namespace sftlab::bench {

#ifdef SFT_LAB_BENCH_CUDA
inline std::shared_ptr<Backend> cudaDevice(int number) {
  const CudaDevices devices = cudaDevices();
  if (!devices.missing.empty()) throw std::runtime_error("no GPU can be used: " + devices.missing);
  return makeCudaBackend(number);
}
#endif

inline std::shared_ptr<Backend> device(const std::string& name, [[maybe_unused]] int threads) {
#ifdef SFT_LAB_BENCH_CUDA
  if (name.starts_with("cuda:")) return cudaDevice(std::stoi(name.substr(5)));
  if (name == "cuda") return cudaDevice(0);
#endif
#ifndef SFT_LAB_BENCH_NO_CPU
  if (name == "cpu") return makeCpuBackend(threads);
#endif
  throw std::invalid_argument("this program was built without the device \"" + name + "\"");
}

}  // namespace sftlab::bench
