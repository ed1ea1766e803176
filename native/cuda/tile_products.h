#pragma once

// Products of tiles in shared memory by a group of four warps, 64 rows of sums for each group, 16 for each warp. On Hopper they are the group's own
// (PTX ISA, wgmma): they run on while the warps go on, until `awaitProducts`, and nobody may touch their sums before. Elsewhere each warp
// multiplies for itself, and they are done at once.

#include "cuda/fragments.h"

namespace sftlab::cuda {

constexpr int kRows = 64;            ///< of a group of warps, and of a tile of partners
constexpr int kColumns = kRows / 8;  ///< fragments that a warp's 16 rows of 64 sums are

DEVICE int groupOfWarps() { return static_cast<int>(self().warp()) / 4; }

#ifdef SFT_LAB_WARPGROUPS

/// Where a matrix in shared memory begins and how far apart its squares of 8 x 64 numbers are (PTX ISA, matrix descriptor). Places are counted
/// in 16 bytes: what is `further(numbers)` is added.
DEVICE uint64_t describe(const Bf16* at) {
  constexpr uint64_t apart = 1024 >> 4, swizzled = uint64_t{1} << 62;
  return (placeInShared(at) & 0x3FFFF) >> 4 | uint64_t{1} << 16 | apart << 32 | swizzled;
}
DEVICE constexpr uint64_t further(int numbers) { return static_cast<uint64_t>(numbers) * sizeof(Bf16) >> 4; }

#define SUM(i) "+f"(sums[i].r[0]), "+f"(sums[i].r[1]), "+f"(sums[i].r[2]), "+f"(sums[i].r[3])
#define SUMS16 SUM(0), SUM(1)
#define SUMS32 SUMS16, SUM(2), SUM(3)
#define SUMS64 SUMS32, SUM(4), SUM(5), SUM(6), SUM(7)
#define PLACES16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define PLACES32 PLACES16 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define PLACES64 PLACES32 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define PRODUCT(n) "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {"

/// sums (64, 64) = a (64, 16) b (64, 16)^T, or += with `adds`.
DEVICE void startProduct(FragmentC* sums, uint64_t a, uint64_t b, int adds) {
  asm volatile("{ .reg .pred adds; setp.ne.b32 adds, %34, 0; " PRODUCT(64) PLACES64 "}, %32, %33, adds, 1, 1, 0, 0; }"
               : SUMS64
               : "l"(a), "l"(b), "r"(adds));
}
/// sums (64, width) += a (64, 16) b (16, width).
template <int width>
DEVICE void startProduct(FragmentC* sums, const FragmentA& a, uint64_t b) {
  if constexpr (width == 64) {
    asm volatile(PRODUCT(64) PLACES64 "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
                 : SUMS64
                 : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b));
  } else if constexpr (width == 32) {
    asm volatile(PRODUCT(32) PLACES32 "}, {%16, %17, %18, %19}, %20, 1, 1, 1, 1;"
                 : SUMS32
                 : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b));
  } else {
    static_assert(width == 16);
    asm volatile(PRODUCT(16) PLACES16 "}, {%8, %9, %10, %11}, %12, 1, 1, 1, 1;"
                 : SUMS16
                 : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b));
  }
}

#undef SUM
#undef SUMS16
#undef SUMS32
#undef SUMS64
#undef PLACES16
#undef PLACES32
#undef PLACES64
#undef PRODUCT

DEVICE void beginProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void endProducts() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

#endif

/// Until no more than `pending` of the products below are under way, the last ones.
template <int pending>
DEVICE void awaitProducts() {
#ifdef SFT_LAB_WARPGROUPS
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
#endif
}

/// sums (64, 64) = this group's rows of `left` times all rows of `right`.
template <int size, int rows>
DEVICE void multiplyRows(FragmentC (&sums)[kColumns], const Tile<size, rows>& left, const Tile<size, kRows>& right) {
#ifdef SFT_LAB_WARPGROUPS
  // A group's rows are whole squares, and so the first of them stands in no other order.
  const uint64_t a = describe(left.data + shuffle(groupOfWarps(), 0) * kRows * 64), b = describe(right.data);
  beginProducts();
  UNROLL for (int k = 0; k < size; k += 16) {
    startProduct(sums, a + further(k / 64 * left.panel + k % 64), b + further(k / 64 * right.panel + k % 64), k > 0);
  }
  endProducts();
#else
  const int first = static_cast<int>(self().warp()) * 16;
  for (FragmentC& sum : sums) sum = {};
  for (int k = 0; k < size; k += 16) {
    const FragmentA a = left.left(first, k);
    UNROLL for (int n = 0; n < kColumns; n += 2) {
      FragmentB b[2];
      right.turned(b, n * 8, k);
      multiplyAdd(sums[n], a, b[0]);
      multiplyAdd(sums[n + 1], a, b[1]);
    }
  }
#endif
}

/// sums (64, size) += factors (64, 64) times `right`.
template <int size>
DEVICE void addProduct(FragmentC (&sums)[size / 8], const FragmentC (&factors)[kColumns], const Tile<size, kRows>& right) {
  FragmentA a[kColumns / 2];
  UNROLL for (int k = 0; k < kColumns / 2; ++k) a[k] = asLeft(factors[2 * k], factors[2 * k + 1]);
#ifdef SFT_LAB_WARPGROUPS
  const uint64_t b = describe(right.data);
  const auto at = [&](int k, int col) { return b + further(col / 64 * right.panel + k * 16 * 64 + col % 64); };
  beginProducts();
  UNROLL for (int k = 0; k < kColumns / 2; ++k) {
    UNROLL for (int col = 0; col + 64 <= size; col += 64) startProduct<64>(sums + col / 8, a[k], at(k, col));
    constexpr int done32 = size / 64 * 64, done16 = size / 32 * 32;
    if constexpr (size % 64 >= 32) startProduct<32>(sums + done32 / 8, a[k], at(k, done32));
    if constexpr (size % 32 >= 16) startProduct<16>(sums + done16 / 8, a[k], at(k, done16));
  }
  endProducts();
#else
  UNROLL for (int k = 0; k < kColumns / 2; ++k) {
    UNROLL for (int n = 0; n < size / 8; n += 2) {
      FragmentB b[2];
      right.right(b, k * 16, n * 8);
      multiplyAdd(sums[n], a[k], b[0]);
      multiplyAdd(sums[n + 1], a[k], b[1]);
    }
  }
#endif
}

}  // namespace sftlab::cuda
