#include "cpu/thread_pool.h"

#include <chrono>
#include <utility>

namespace sftlab {

namespace {

constexpr auto kPatience = std::chrono::microseconds(50);  ///< longer than the gap between two operations of a step

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

/// Returns when `value` is no longer `old`: looks for a while, then sleeps.
void waitWhile(const std::atomic<uint32_t>& value, uint32_t old) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  do {
    for (int i = 0; i < 16; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      relax();
    }
  } while (std::chrono::steady_clock::now() < until);
  value.wait(old, std::memory_order_acquire);
}

constexpr uint64_t rangeOf(uint32_t first, uint32_t end) { return static_cast<uint64_t>(end) << 32 | first; }

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  signal_.fetch_add(1, std::memory_order_release);
  signal_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::runShared(uint32_t pieces, Call call, const void* context) {
  call_ = call;
  context_ = context;
  left_.store(pieces, std::memory_order_relaxed);
  range_.store(rangeOf(0, pieces), std::memory_order_release);
  signal_.fetch_add(1, std::memory_order_release);
  signal_.notify_all();
  while (takePiece(0)) {
  }
  for (uint32_t left; (left = left_.load(std::memory_order_acquire)) != 0;) waitWhile(left_, left);
  if (failed_.load(std::memory_order_relaxed)) {
    failed_.store(false, std::memory_order_relaxed);
    std::rethrow_exception(std::exchange(error_, nullptr));
  }
}

bool ThreadPool::takePiece(int thread) {
  uint64_t range = range_.load(std::memory_order_relaxed);
  uint32_t piece;
  for (;;) {
    const auto first = static_cast<uint32_t>(range), end = static_cast<uint32_t>(range >> 32);
    if (first == end) return false;
    const bool front = thread % 2 == 0;
    piece = front ? first : end - 1;
    const uint64_t rest = front ? rangeOf(first + 1, end) : rangeOf(first, end - 1);
    if (range_.compare_exchange_weak(range, rest, std::memory_order_acquire, std::memory_order_relaxed)) break;
  }
  try {
    call_(context_, piece, thread);
  } catch (...) {
    if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
  }
  if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1 && thread != 0) left_.notify_one();
  return true;
}

void ThreadPool::work(int thread) {
  uint32_t seen = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    while (takePiece(thread)) {
    }
    waitWhile(signal_, seen);
    seen = signal_.load(std::memory_order_acquire);
  }
}

}  // namespace sftlab
