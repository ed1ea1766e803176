#pragma once

// Matrix fragments for tensor cores: a warp's product of 16 x 16 by 16 x 8 bf16 numbers with sums in fp32 (PTX ISA,
// mma.m16n8k16). With g = lane / 4 and t = lane % 4, a lane holds
//   of A (16 x 16, by rows):     r0 (g, 2t), r1 (g + 8, 2t), r2 (g, 2t + 8), r3 (g + 8, 2t + 8), each with its right neighbour;
//   of B (16 x 8, by columns):   r0 (2t, g), r1 (2t + 8, g), each with its lower neighbour;
//   of C (16 x 8):               r0 (g, 2t), r1 (g, 2t + 1), r2 (g + 8, 2t), r3 (g + 8, 2t + 1).

#include "cuda/number.h"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define SFT_LAB_WARPGROUPS  ///< four warps multiply together out of shared memory (cuda/warpgroup.h)
#endif

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
DEVICE uint32_t pairOf(float first, float second) {
#ifdef __CUDA_ARCH__
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
#else
  return pairOf(toBf16(first), toBf16(second));
#endif
}

struct alignas(8) Two {
  float first, second;
};
DEVICE void putTwo(float* at, float first, float second) { *reinterpret_cast<Two*>(at) = {first, second}; }
DEVICE void putTwo(Bf16* at, float first, float second) { *reinterpret_cast<uint32_t*>(at) = pairOf(first, second); }

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

/// Starts a copy of 16 bytes into shared memory, of zeros where nothing is there; `awaitCopies` waits for all that this thread started.
DEVICE void copyAsync(Bf16* to, const Bf16* from, bool there) {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(placeInShared(to)), "l"(from), "r"(there ? 16 : 0) : "memory");
#else
  for (int i = 0; i < 8; ++i) to[i] = there ? from[i] : Bf16{0};
#endif
}
/// The same of one number.
DEVICE void copyAsync(float* to, const float* from, bool there) {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(placeInShared(to)), "l"(from), "r"(there ? 4 : 0) : "memory");
#else
  *to = there ? *from : 0.0f;
#endif
}
/// What was copied can be read by the block's threads, tensor cores among them, after its next barrier.
DEVICE void awaitCopies() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.wait_all;" ::: "memory");
#ifdef SFT_LAB_WARPGROUPS
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
#endif
}

/// Where several copies are to be under way: ends a group of them, and waits until no more than `pending` of this thread's groups are, the
/// last ones. For what threads read, not tensor cores by themselves.
DEVICE void endCopies() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int pending>
DEVICE void awaitCopies() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

/// `rows` rows of `size` bf16 numbers in shared memory, in panels of 64 columns. A row of a panel is 128 bytes; its eight pieces of 16 stand
/// in each row in another order, so that what a warp reads at once lies in different banks. It is the layout that products of warpgroups
/// read (PTX ISA, wgmma, 128-byte swizzling), which is why panels have to begin at multiples of 1,024 bytes.
template <int size, int rows>
struct Tile {
  static constexpr int panel = rows * 64, numbers = (size + 63) / 64 * panel;
  Bf16* data;

  DEVICE Bf16* at(int row, int col) const {
    const auto r = static_cast<uint32_t>(row), c = static_cast<uint32_t>(col);
    return data + (c / 64 * panel + r * 64 + ((c / 8 ^ r) % 8) * 8 + c % 8);
  }
  /// Rows [first, first + 16), columns [col, col + 16) as A.
  DEVICE FragmentA left(int first, int col) const {
    FragmentA a;
    read<false>(a.r, first + halfOf(8), col + halfOf(16));
    return a;
  }
  /// As A, turned: its rows are columns [col, col + 16), its columns rows [first, first + 16).
  DEVICE FragmentA leftTurned(int first, int col) const {
    FragmentA a;
    read<true>(a.r, first + halfOf(16), col + halfOf(8));
    return a;
  }
  /// As B, turned, of two products: their columns are rows [first, first + 8) and the eight after these, their rows columns [col, col + 16).
  DEVICE void turned(FragmentB (&b)[2], int first, int col) const {
    uint32_t r[4];
    read<false>(r, first + halfOf(16), col + halfOf(8));
    UNROLL for (int i = 0; i < 4; ++i) b[i / 2].r[i % 2] = r[i];
  }
  /// As B of two products: rows [first, first + 16), columns [col, col + 8) and the eight after these.
  DEVICE void right(FragmentB (&b)[2], int first, int col) const {
    uint32_t r[4];
    read<true>(r, first + halfOf(8), col + halfOf(16));
    UNROLL for (int i = 0; i < 4; ++i) b[i / 2].r[i % 2] = r[i];
  }
  /// Starts to fill it from memory, by `threads` threads, all of the block or those that are numbered otherwise; rows from `count` on become
  /// zeros. `awaitCopies` waits.
  template <int threads>
  DEVICE void fill(const Bf16* from, int64_t stride, int count, uint32_t thread = self().thread) const {
    // A power of two of pieces a row: with fewer, some threads have nothing to do.
    constexpr uint32_t pieces = size <= 16 ? 2 : size <= 32 ? 4 : size <= 64 ? 8 : 16, step = threads / pieces;
    const uint32_t row = thread / pieces, col = thread % pieces * 8;
    const Bf16* source = from + row * static_cast<uint64_t>(stride) + col;  // not read where no row is there
    if (col >= size) return;
    UNROLL for (uint32_t first = 0; first < rows; first += step, source += step * stride) {
      if (first + step > rows && first + row >= rows) break;
      copyAsync(at(static_cast<int>(first + row), static_cast<int>(col)), source, static_cast<int>(first + row) < count);
    }
  }

 private:
  /// 8 for lanes whose number has this bit: which of four squares of 8 x 8 a lane points at.
  DEVICE static int halfOf(unsigned bit) { return self().lane() & bit ? 8 : 0; }
  /// Four squares of 8 x 8 (PTX ISA, ldmatrix): lane 8 i + j points at row j of square i. Each lane gets of each square two neighbours of a row,
  /// or `trans`posed, of a column.
  template <bool trans>
  DEVICE void read(uint32_t (&r)[4], int rowOf, int colOf) const {
    const Bf16* const mine = at(rowOf + static_cast<int>(self().lane() % 8), colOf);
#ifdef __CUDA_ARCH__
    const uint32_t place = placeInShared(mine);
    if constexpr (trans) {
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                   : "r"(place)
                   : "memory");
    } else {
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                   : "r"(place)
                   : "memory");
    }
#elif !defined(__CUDACC__)
    uint64_t all[32];
    emulator::exchangeAll(reinterpret_cast<uint64_t>(mine), all);
    const unsigned g = self().lane() / 4, t = self().lane() % 4;
    for (unsigned square = 0; square < 4; ++square) {
      const auto row = [&](unsigned index) { return reinterpret_cast<const Bf16*>(all[square * 8 + index]); };
      r[square] = trans ? pairOf(row(2 * t)[g], row(2 * t + 1)[g]) : pairOf(row(g)[2 * t], row(g)[2 * t + 1]);
    }
    syncWarp();
#endif
  }
};

/// Two neighbouring results as the left side of the next product: what a warp has computed is what it multiplies with.
DEVICE FragmentA asLeft(const FragmentC& first, const FragmentC& second) {
  return {{pairOf(first.r[0], first.r[1]), pairOf(first.r[2], first.r[3]), pairOf(second.r[0], second.r[1]),
           pairOf(second.r[2], second.r[3])}};
}

}  // namespace sftlab::cuda
