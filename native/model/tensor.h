#pragma once

#include <cstddef>
#include <cstdint>

namespace sftlab {

enum class DType : uint8_t { f32, bf16 };

inline size_t sizeOf(DType dtype) { return dtype == DType::f32 ? 4 : 2; }

/// The least multiple of 64 numbers that holds so many: where rows or tensors begin at those, a GPU's memory is read from soonest.
inline int64_t wholeLines(int64_t numbers) { return (numbers + 63) / 64 * 64; }

/// A row-major (rows, cols) view of a backend's memory. Rows are `stride` elements apart. Owns nothing.
struct Tensor {
  void* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
  DType dtype = DType::f32;

  int64_t size() const { return rows * cols; }
  size_t bytes() const { return static_cast<size_t>(size()) * sizeOf(dtype); }
  bool contiguous() const { return stride == cols; }
  explicit operator bool() const { return data != nullptr; }

  /// Rows [first, first + count).
  Tensor slice(int64_t first, int64_t count) const {
    return {static_cast<char*>(data) + static_cast<size_t>(first * stride) * sizeOf(dtype), count, cols, stride, dtype};
  }
  /// Columns [first, first + count), same stride.
  Tensor columns(int64_t first, int64_t count) const {
    return {static_cast<char*>(data) + static_cast<size_t>(first) * sizeOf(dtype), rows, count, stride, dtype};
  }
  /// The same contiguous memory as (newRows, newCols).
  Tensor reshape(int64_t newRows, int64_t newCols) const { return {data, newRows, newCols, newCols, dtype}; }

  float* f32() const { return static_cast<float*>(data); }
};

}  // namespace sftlab
