#pragma once

// The two kinds of numbers that operations work on, read and written as f32. Loops over `get` and `put` vectorise.

#include <bit>
#include <cstdint>

#include "model/tensor.h"

namespace sftlab {

/// The upper half of an f32. May stand in memory that held f32 before.
struct __attribute__((may_alias)) Bf16 {
  uint16_t bits;
};

inline float get(float x) { return x; }
inline float get(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }
inline void put(float& to, float value) { to = value; }
/// Rounds to the nearest, ties to even; NaN stays NaN whatever its payload.
inline void put(Bf16& to, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  to.bits = static_cast<uint16_t>(value == value ? rounded : bits >> 16 | 0x40u);
}

/// Calls body<float>() or body<Bf16>().
template <typename Body>
void withNumbers(DType dtype, const Body& body) {
  if (dtype == DType::f32) {
    body.template operator()<float>();
  } else {
    body.template operator()<Bf16>();
  }
}

/// Where element (row, col) of a tensor of T stands.
template <typename T>
inline T* at(const Tensor& x, int64_t row, int64_t col = 0) {
  return static_cast<T*>(x.data) + row * x.stride + col;
}

}  // namespace sftlab
