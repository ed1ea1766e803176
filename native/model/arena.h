#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "model/backend.h"

namespace sftlab {

/// Working memory of a pass: taken piece by piece, given back all at once (or down to a mark). After the first pass of a size it is one
/// block that is only reused, so a steady step allocates nothing.
class Arena {
 public:
  explicit Arena(std::shared_ptr<Backend> backend) : backend_(std::move(backend)) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { releaseBlocks(); }

  struct Mark {
    size_t block, used;
  };

  /// Contiguous, not cleared.
  Tensor take(int64_t rows, int64_t cols, DType dtype = DType::f32) {
    return {takeBytes(static_cast<size_t>(rows * cols) * sizeOf(dtype)), rows, cols, cols, dtype};
  }
  /// Host values copied into the backend's memory.
  template <typename T>
  T* put(const T* values, size_t count) {
    T* const data = static_cast<T*>(takeBytes(count * sizeof(T)));
    backend_->upload(data, values, count * sizeof(T));
    return data;
  }
  template <typename T>
  T* put(const std::vector<T>& values) {
    return put(values.data(), values.size());
  }
  void* takeBytes(size_t bytes);
  /// What so many bytes take of a block: pieces stand as far apart as any library asks of where a matrix begins, so that what is chosen for a
  /// product depends on nothing that stands before it.
  static size_t sizeOfPiece(size_t bytes) { return (std::max<size_t>(bytes, 1) + 255) / 256 * 256; }

  Mark mark() const { return {current_, blocks_.empty() ? 0 : blocks_[current_].used}; }
  void rewind(Mark mark);
  /// Gives everything back, and makes one block of several, as large as was ever needed.
  void reset();
  /// One block of so many bytes before anything is taken: a pass that needs no more allocates nothing.
  void reserve(size_t bytes);
  /// The most bytes that were ever taken at once.
  size_t most() const { return most_; }

 private:
  struct Block {
    char* data;
    size_t size, used;
  };
  void releaseBlocks();

  std::shared_ptr<Backend> backend_;
  std::vector<Block> blocks_;
  size_t current_ = 0;
  size_t most_ = 0;
};

/// Gives back what was taken since it was made.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;
  ~ArenaScope() { arena_.rewind(mark_); }

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace sftlab
