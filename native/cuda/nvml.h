#pragma once

// NVML, opened at run time: how busy a card is and how much of its memory is taken, by all processes. It comes with the driver, but its
// headers do not, so the few functions used are declared here (NVIDIA Management Library documentation). Without it nothing is known,
// and nothing else is missing.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace sftlab::cuda {

struct CardUse {
  double busy = 0;  ///< share of the last moments in which a kernel ran
  size_t memoryUsed = 0, memoryFree = 0;
};

class Nvml {
 public:
  /// The driver's library, opened once; null where there is none that works.
  static const Nvml* get();
  /// Null where the file cannot be opened, lacks a function or does not start.
  static std::unique_ptr<Nvml> open(const char* library);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  /// Version of the driver, for instance "580.159.04"; empty where it is not told.
  std::string driver() const;
  /// Of the card at that place of the PCI bus ("0000:65:00.0"): the order of NVML's list is not CUDA's.
  std::optional<CardUse> use(const std::string& busId) const;

 private:
  struct Functions;
  explicit Nvml(std::unique_ptr<Functions> functions);
  std::unique_ptr<Functions> functions_;
};

}  // namespace sftlab::cuda
