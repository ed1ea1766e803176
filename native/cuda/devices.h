#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cuda/nvml.h"

namespace sftlab {

/// A card that this engine can use.
struct CudaDevice {
  int number;              ///< as the runtime counts: cards that are too old are left out
  std::string name;
  size_t memory;           ///< bytes
  std::string capability;  ///< "9.0"
  std::string busId;       ///< its place on the PCI bus
};

struct CudaDevices {
  std::vector<CudaDevice> list;
  std::string driver;   ///< "13.0", the newest CUDA that the driver knows; empty without one
  std::string driverVersion;  ///< "580.159.04", where it is told
  std::string missing;  ///< what is missing where there is no device, for people
  std::string advice;   ///< what to do about that, where it is known
};

CudaDevices cudaDevices();

/// What NVML says of a card; nothing where it is not there.
std::optional<cuda::CardUse> cudaUse(const CudaDevice& device);

}  // namespace sftlab
