#pragma once

// Vector arithmetic by the vector extensions of GCC and Clang: one source for AVX-512, AVX2 and whatever else `-march` names.

#include <bit>
#include <cstdint>
#include <utility>

namespace sftlab {

#ifdef __AVX512F__
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef float VecUnaligned __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef uint32_t BitVec __attribute__((vector_size(kLanes * 4)));

inline Vec load(const float* from) { return *reinterpret_cast<const VecUnaligned*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<VecUnaligned*>(to) = value; }
inline Vec splat(float value) { return Vec{} + value; }

using Lanes = std::make_integer_sequence<int, kLanes>;

/// Lanes of two rows that stage `S` of a transposition puts into one.
template <int S, bool second, int... I>
inline Vec stage(Vec a, Vec b, std::integer_sequence<int, I...>) {
  // The lanes of b are counted from kLanes on.
  return __builtin_shufflevector(a, b, (second ? (I & S ? I + kLanes : I + S) : (I & S ? I + kLanes - S : I))...);
}

/// Transposes a square of kLanes rows in registers: stage S swaps, in each pair of rows S apart, the lanes that are S
/// apart.
template <int S = 1>
inline void transposeSquare(Vec (&rows)[kLanes]) {
  if constexpr (S < kLanes) {
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; ++r) {
      if (r & S) continue;
      const Vec a = rows[r], b = rows[r + S];
      rows[r] = stage<S, false>(a, b, Lanes{});
      rows[r + S] = stage<S, true>(a, b, Lanes{});
    }
    transposeSquare<2 * S>(rows);
  }
}

/// Lane i of the result is the sum of rows[i]'s lanes: each stage adds halves of two rows into one.
template <int S = 1>
inline Vec sumLanes(Vec (&rows)[kLanes]) {
  if constexpr (S < kLanes) {
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; r += 2 * S) {
      const Vec a = rows[r], b = rows[r + S];
      rows[r] = stage<S, false>(a, b, Lanes{}) + stage<S, true>(a, b, Lanes{});
    }
    return sumLanes<2 * S>(rows);
  } else {
    return rows[0];
  }
}

/// out (cols, rows) = x (rows, cols) transposed, and zero in `out`'s columns from `rows` to the next multiple of
/// kLanes.
inline void transpose(float* out, int64_t outStride, const float* x, int64_t stride, int rows, int cols) {
  for (int r = 0; r < rows; r += kLanes) {
    const int count = rows - r < kLanes ? rows - r : kLanes;
    int c = 0;
    for (; c + kLanes <= cols; c += kLanes) {
      Vec square[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) square[i] = i < count ? load(x + (r + i) * stride + c) : Vec{};
      transposeSquare(square);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) store(out + (c + i) * outStride + r, square[i]);
    }
    for (; c < cols; ++c) {
      for (int i = 0; i < kLanes; ++i) out[c * outStride + r + i] = i < count ? x[(r + i) * stride + c] : 0.0f;
    }
  }
}

// e^x, to within 1 unit in the last place: e^x = 2^n * e^r, with r in half a step of ln 2 (subtracted in two parts) and
// Cephes' polynomial for e^r. No branches, so that loops over it vectorise. Below -87 it is 0, NaN stays NaN, and above
// 88 it stays at e^88: the callers' arguments are at most 0 as long as the numbers are finite.
//
// Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the sum; moved up by 23 and offset, they are the
// exponent of 2^n. 2^n is multiplied in rather than added to the exponent, or a NaN's payload could come out as a
// number.

inline float fastExp(float x) {
  constexpr float magic = 12582912.0f;
  const float clamped = x > 88.0f ? 88.0f : x;
  const float shifted = clamped * 1.44269504088896341f + magic;
  const float n = shifted - magic;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const float scale = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + 0x3F800000u);
  return x < -87.0f ? 0.0f : p * scale;  // false for NaN
}

inline Vec fastExp(Vec x) {
  const Vec magic = splat(12582912.0f);
  const Vec clamped = x > splat(88.0f) ? splat(88.0f) : x;
  const Vec shifted = clamped * 1.44269504088896341f + magic;
  const Vec n = shifted - magic;
  const Vec r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Vec scale = std::bit_cast<Vec>((std::bit_cast<BitVec>(shifted) << 23) + 0x3F800000u);
  return x < splat(-87.0f) ? Vec{} : p * scale;
}

/// 1 / (1 + e^-x)
inline float sigmoid(float x) {
  const float e = fastExp(-(x < 0 ? -x : x));
  const float s = 1.0f / (1.0f + e);
  return x < 0 ? e * s : s;
}

}  // namespace sftlab
