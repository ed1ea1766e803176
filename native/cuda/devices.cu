#include "cuda/devices.h"

#include <cstdlib>

#include "cuda/cublaslt.h"
#include "cuda/dialect.h"

namespace sftlab {

#ifdef __CUDACC__

CudaDevices cudaDevices() {
  CudaDevices found;
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    found.missing = "there is no NVIDIA driver (libcuda.so.1)";
    return found;
  }
  found.driver = std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10);
  if (const cuda::Nvml* nvml = cuda::Nvml::get()) found.driverVersion = nvml->driver();
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    found.missing = error == cudaSuccess ? "the driver sees no card" : cudaGetErrorString(error);
    return found;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess || properties.major < 8) continue;
    char busId[32] = "";
    cudaDeviceGetPCIBusId(busId, sizeof busId, i);
    found.list.push_back({i, properties.name, properties.totalGlobalMem,
                          std::to_string(properties.major) + "." + std::to_string(properties.minor), busId});
  }
  if (found.list.empty()) {
    found.missing = "no card of compute capability 8.0 or newer is there";
    return found;
  }
  try {
    cuda::CublasLt::get();
  } catch (const Error& missing) {
    found.missing = found.list.front().name + " is there, but " + missing.what();
    found.advice = missing.advice;
    found.list.clear();
  }
  return found;
}

#else

CudaDevices cudaDevices() {
  const cuda::Nvml* const nvml = cuda::Nvml::get();
  if (const char* const missing = std::getenv("SFT_LAB_EMULATED_MISSING")) return {{}, "0.0", "", missing, "Install it."};
  return {{{emulator::cardNumber(), "emulated card", emulator::memoryBytes(), "0.0", "0000:65:00.0"}}, "0.0", nvml ? nvml->driver() : "", "", ""};
}

#endif

std::optional<cuda::CardUse> cudaUse(const CudaDevice& device) {
  const cuda::Nvml* const nvml = cuda::Nvml::get();
  return nvml ? nvml->use(device.busId) : std::nullopt;
}

}  // namespace sftlab
