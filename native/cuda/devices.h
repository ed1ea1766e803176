#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sftlab {

/// A card that this engine can use.
struct CudaDevice {
  std::string name;
  size_t memory;           ///< bytes
  std::string capability;  ///< "9.0"
};

struct CudaDevices {
  std::vector<CudaDevice> list;
  std::string driver;   ///< "13.0", the newest CUDA that the driver knows; empty without one
  std::string missing;  ///< what is missing where there is no device, for people
};

CudaDevices cudaDevices();

}  // namespace sftlab
