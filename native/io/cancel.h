#pragma once

#include <atomic>

#include "io/error.h"

namespace sftlab {

/// Set by a thread that works for others to the flag by which they call it off; without one nothing is ever cancelled.
inline thread_local const std::atomic<bool>* cancelFlag = nullptr;

/// Long work asks here between layers and tensors, so that a process that has to end need not wait for it.
inline void throwIfCancelled() {
  if (cancelFlag && cancelFlag->load(std::memory_order_relaxed)) throw Error("the work was cancelled");
}

}  // namespace sftlab
