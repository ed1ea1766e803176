#pragma once

// Matrix fragments for tensor cores: a warp's product of 16 x 16 by 16 x 8 bf16 numbers with sums in fp32 (PTX ISA,
// mma.m16n8k16). With g = lane / 4 and t = lane % 4, a lane holds
//   of A (16 x 16, by rows):     r0 (g, 2t), r1 (g + 8, 2t), r2 (g, 2t + 8), r3 (g + 8, 2t + 8), each with its right neighbour;
//   of B (16 x 8, by columns):   r0 (2t, g), r1 (2t + 8, g), each with its lower neighbour;
//   of C (16 x 8):               r0 (g, 2t), r1 (g, 2t + 1), r2 (g + 8, 2t), r3 (g + 8, 2t + 1).

#include "cuda/number.h"

namespace sftlab::cuda {

struct FragmentA {
  uint32_t r[4];
};
struct FragmentB {
  uint32_t r[2];
};
struct FragmentC {
  float r[4] = {0, 0, 0, 0};
};

/// Two numbers side by side, the first in the low half.
DEVICE uint32_t pairOf(Bf16 first, Bf16 second) { return first.bits | static_cast<uint32_t>(second.bits) << 16; }
DEVICE uint32_t pairOf(float first, float second) { return pairOf(toBf16(first), toBf16(second)); }
DEVICE uint32_t pairAt(const Bf16* data) { return *reinterpret_cast<const uint32_t*>(data); }

/// c += a b
DEVICE void multiplyAdd(FragmentC& c, const FragmentA& a, const FragmentB& b) {
#ifdef __CUDA_ARCH__
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c.r[0]), "+f"(c.r[1]), "+f"(c.r[2]), "+f"(c.r[3])
               : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
#elif !defined(__CUDACC__)
  struct Given {
    const FragmentA* a;
    const FragmentB* b;
  } given{&a, &b};
  uint64_t all[32];
  emulator::exchangeAll(reinterpret_cast<uint64_t>(&given), all);
  const auto half = [](uint32_t pair, unsigned which) { return get(Bf16{static_cast<uint16_t>(which ? pair >> 16 : pair)}); };
  const unsigned g = self().lane() / 4, t = self().lane() % 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned low = i / 2, col = 2 * t + i % 2;
    for (unsigned k = 0; k < 16; ++k) {
      const auto* const left = reinterpret_cast<const Given*>(all[g * 4 + k % 8 / 2])->a;
      const auto* const right = reinterpret_cast<const Given*>(all[col * 4 + k % 8 / 2])->b;
      c.r[i] += half(left->r[low + k / 8 * 2], k % 2) * half(right->r[k / 8], k % 2);
    }
  }
  emulator::warpBarrier();
#endif
}

/// A tile of bf16 numbers in shared memory: rows of `size` numbers, a few apart so that a warp's lanes read different banks.
template <int size>
struct Tile {
  static constexpr int stride = size + 8;
  Bf16* data;

  DEVICE const Bf16* at(int row, int col) const { return data + row * stride + col; }
  /// Rows [first, first + 16), columns [col, col + 16) as A.
  DEVICE FragmentA left(int first, int col) const {
    const int g = static_cast<int>(self().lane()) / 4, t = static_cast<int>(self().lane()) % 4;
    return {{pairAt(at(first + g, col + 2 * t)), pairAt(at(first + g + 8, col + 2 * t)), pairAt(at(first + g, col + 2 * t + 8)),
             pairAt(at(first + g + 8, col + 2 * t + 8))}};
  }
  /// As B, turned: its columns are rows [first, first + 8), its rows columns [col, col + 16).
  DEVICE FragmentB turned(int first, int col) const {
    const int g = static_cast<int>(self().lane()) / 4, t = static_cast<int>(self().lane()) % 4;
    return {{pairAt(at(first + g, col + 2 * t)), pairAt(at(first + g, col + 2 * t + 8))}};
  }
  /// As B: rows [first, first + 16), columns [col, col + 8).
  DEVICE FragmentB right(int first, int col) const {
    const int g = static_cast<int>(self().lane()) / 4, row = first + 2 * (static_cast<int>(self().lane()) % 4);
    return {{pairOf(*at(row, col + g), *at(row + 1, col + g)), pairOf(*at(row + 8, col + g), *at(row + 9, col + g))}};
  }
  /// Fills rows [0, rows) from memory, 8 numbers a thread at a time; rows from `count` on become zeros.
  DEVICE void load(const Bf16* from, int64_t fromStride, int rows, int count) const {
    const Self me = self();
    constexpr int pieces = size / 8;
    for (int i = static_cast<int>(me.thread); i < rows * pieces; i += static_cast<int>(me.threads)) {
      const int row = i / pieces, col = i % pieces * 8;
      uint64_t two[2] = {0, 0};
      if (row < count) {
        const auto* const source = reinterpret_cast<const uint64_t*>(from + row * fromStride + col);
        two[0] = source[0];
        two[1] = source[1];
      }
      auto* const to = reinterpret_cast<uint64_t*>(data + row * stride + col);
      to[0] = two[0];
      to[1] = two[1];
    }
  }
};

/// Two neighbouring results as the left side of the next product: what a warp has computed is what it multiplies with.
DEVICE FragmentA asLeft(const FragmentC& first, const FragmentC& second) {
  return {{pairOf(first.r[0], first.r[1]), pairOf(first.r[2], first.r[3]), pairOf(second.r[0], second.r[1]),
           pairOf(second.r[2], second.r[3])}};
}

}  // namespace sftlab::cuda
