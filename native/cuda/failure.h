#pragma once

// What is said of a card that failed.

#include <string>

#include "io/error.h"

namespace sftlab::cuda {

inline Error failure(const std::string& operation, const std::string& reason) {
  return Error("the GPU failed in " + operation + ": " + reason, {}, "device",
               "The last checkpoint is whole: go on from there. nvidia-smi says whether the card is still there, dmesg what befell it.");
}

}  // namespace sftlab::cuda
