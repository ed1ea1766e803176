#pragma once

// Threads that share out the pieces of one loop at a time.
//
// What is clever: a loop ends when its pieces are done, not when its threads have met. A thread that the system has put
// aside for another process holds up nothing but the piece it is in; the others take the rest. OpenMP's barrier waits
// for every thread: with two cores that other processes use too, one loop of 100 us in ten was measured to take 8 to
// 15 ms that way, where here the caller had to do all pieces itself at worst. With free cores both cost 1.4 us a loop.
// Idle threads look for work for 50 us, then sleep, and so leave the cores to others.
//
// Why results repeat: pieces are cut by the shape of the problem alone, and each is computed whole by whoever takes it.
// So neither timing nor the number of threads can change a bit of the result. The calling thread takes pieces from the
// front, every second other thread from the back, so that the two halves mostly stay in the caches of the same cores
// from loop to loop.

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <type_traits>
#include <vector>

namespace sftlab {

class ThreadPool {
 public:
  /// `threads` counts the caller, who works too.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(piece, thread) for every piece in [0, pieces), thread in [0, threads()), and returns when all are done.
  /// If calls throw, the others still run, and one of the exceptions is thrown again here. From one thread at a time;
  /// not from within a body.
  template <typename Body>
  void run(int64_t pieces, const Body& body) {
    if (pieces <= 1 || workers_.empty()) {
      for (int64_t piece = 0; piece < pieces; ++piece) body(piece, 0);
      return;
    }
    runShared(
        static_cast<uint32_t>(pieces),
        [](const void* context, uint32_t piece, int thread) {
          (*static_cast<const Body*>(context))(static_cast<int64_t>(piece), thread);
        },
        &body);
  }

 private:
  using Call = void (*)(const void* context, uint32_t piece, int thread);

  void runShared(uint32_t pieces, Call call, const void* context);
  void work(int thread);
  bool takePiece(int thread);

  // The loop at hand. Written by the caller while `range_` is empty; read only by a thread that has taken a piece, and
  // so keeps the loop from ending.
  Call call_ = nullptr;
  const void* context_ = nullptr;
  std::exception_ptr error_;
  std::atomic<bool> failed_{false};

  alignas(64) std::atomic<uint64_t> range_{0};   ///< pieces not yet taken: first in the low half, end in the high half
  alignas(64) std::atomic<uint32_t> left_{0};    ///< pieces not yet done
  alignas(64) std::atomic<uint32_t> signal_{0};  ///< changes with every loop and at the end
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace sftlab
