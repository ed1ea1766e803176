#pragma once

// Vector arithmetic by GCC's vector extensions: one source for AVX-512, AVX2 and whatever else `-march` names.

#include <bit>
#include <cstdint>
#include <cstring>

namespace sftlab {

#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef float VecUnaligned __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const VecUnaligned*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<VecUnaligned*>(to) = value; }
inline Vec splat(float value) { return Vec{} + value; }

/// e^x to about 1 unit in the last place (range reduction by ln 2 in two parts, then Cephes' polynomial), written without branches so that
/// loops over it vectorise. Underflows to 0; NaN stays NaN; above 88 it saturates near the largest float, which no caller reaches with
/// finite input, since softmax arguments are at most 0.
inline float fastExp(float x) {
  const float clamped = x > 88.3762626647949f ? 88.3762626647949f : x;
  const float shifted = clamped * 1.44269504088896341f + 12582912.0f;  // adds 1.5 * 2^23: the integer lands in the low bits
  const float n = shifted - 12582912.0f;
  float r = clamped - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const uint32_t bits = std::bit_cast<uint32_t>(shifted) << 23;
  const float scaled = std::bit_cast<float>(std::bit_cast<uint32_t>(p) + bits);
  return x < -87.0f ? 0.0f : scaled;  // false for NaN
}

/// 1 / (1 + e^-x)
inline float sigmoid(float x) {
  const float e = fastExp(-(x < 0 ? -x : x));
  const float s = 1.0f / (1.0f + e);
  return x < 0 ? e * s : s;
}

}  // namespace sftlab
