#pragma once

#include <memory>

#include "model/backend.h"

namespace sftlab {

/// The CPU backend: oneDNN for matrix products, OpenMP over everything else.
/// `threads` 0 means one for each core that this process may use. Call it from one thread at a time.
std::shared_ptr<Backend> makeCpuBackend(int threads);

/// Lets oneDNN make the kernels of its products. It would do so at the first product of each kind, which takes some 40 ms of a
/// run's first step; whoever has to wait for something else first calls this meanwhile, on any thread.
void prepareCpu();

}  // namespace sftlab
