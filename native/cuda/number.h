#pragma once

// f32 and bf16 numbers in kernels, and views of tensors that kernels take.

#include "cuda/dialect.h"
#include "model/tensor.h"

namespace sftlab::cuda {

struct Bf16 {
  uint16_t bits;
};

DEVICE float get(float x) { return x; }
DEVICE float get(Bf16 x) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
#else
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

/// Rounds to the nearest, ties to even; NaN stays NaN.
DEVICE Bf16 toBf16(float value) {
#ifdef __CUDA_ARCH__
  Bf16 rounded;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded.bits) : "f"(value));
  return rounded;
#else
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  if (value != value) return {static_cast<uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16)};
#endif
}

DEVICE void put(float& to, float value) { to = value; }
DEVICE void put(Bf16& to, float value) { to = toBf16(value); }

/// A (rows, cols) tensor of T as a kernel sees it.
template <typename T>
struct View {
  T* data;
  int64_t rows, cols, stride;
  DEVICE T* row(int64_t index) const { return data + index * stride; }
  DEVICE T& operator()(int64_t row, int64_t col) const { return data[row * stride + col]; }
};

template <typename T>
View<T> view(const Tensor& x) {
  return {static_cast<T*>(x.data), x.rows, x.cols, x.stride};
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

}  // namespace sftlab::cuda
