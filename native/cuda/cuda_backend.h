#pragma once

#include <memory>

#include "model/backend.h"

namespace sftlab {

/// A GPU, by its number. Throws Error where driver or library is missing, naming which. In a build for the emulator: kernels run on the
/// CPU, slowly, for tests.
std::shared_ptr<Backend> makeCudaBackend(int device);

}  // namespace sftlab
