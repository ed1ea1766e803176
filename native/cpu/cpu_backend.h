#pragma once

#include <memory>

#include "model/backend.h"

namespace sftlab {

/// The CPU backend: oneDNN for matrix products, OpenMP over everything else.
/// `threads` 0 means one for each core that this process may use. Call it from one thread at a time.
std::shared_ptr<Backend> makeCpuBackend(int threads);

/// Cores that this process may run on.
int availableCores();

}  // namespace sftlab
