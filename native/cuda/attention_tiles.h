#pragma once

// Attention on tensor cores, after FlashAttention-2 and 3 (Dao 2023; Shah et al. 2024): a block of a few groups of four warps works on
// neighbouring queries of one head of one sequence (or keys, for the gradients of keys and values), tile by tile of 64 partners, each group on
// 64 rows of its own. The next tile is copied while one is worked on. Scores and probabilities never leave registers.

#include "cuda/attention.h"
#include "cuda/tile_products.h"

namespace sftlab::cuda {

/// A block's shared memory: its own tiles, then two stages of two tiles of 64 partners, then two stages of two numbers a partner.
template <int size, int groups>
struct Memory {
  using Own = Tile<size, groups * kRows>;
  using Partners = Tile<size, kRows>;
  int owned;
  Bf16* const base = sharedMemory<Bf16>();

  static constexpr size_t bytes(int owned) {
    return (static_cast<size_t>(owned) * Own::numbers + 4 * Partners::numbers) * sizeof(Bf16) + 4 * kRows * sizeof(float);
  }
  DEVICE Own own(int which) const { return {base + which * Own::numbers}; }
  DEVICE Partners partners(int stage, int which) const { return {base + owned * Own::numbers + (2 * stage + which) * Partners::numbers}; }
  DEVICE float* numbers(int stage, int which) const {
    return reinterpret_cast<float*>(base + owned * Own::numbers + 4 * Partners::numbers) + (2 * stage + which) * kRows;
  }
};

/// Where a block stands: rows from `first` on, of one sequence and head. `count` of them are there, 0 or less: none.
struct Block {
  int32_t sequence, head, first, count;
};
template <int groups>
DEVICE Block blockOf(const int32_t* offsets, int32_t tile) {
  constexpr int32_t rows = groups * kRows;
  const Self me = self();
  const auto sequence = static_cast<int32_t>(me.blockY);
  const int32_t first = tile * rows, length = offsets[sequence + 1] - offsets[sequence];
  return {sequence, static_cast<int32_t>(me.blockX), first, length - first < rows ? length - first : rows};
}

/// This lane's two rows of its block's, and its first column of each eight.
struct Lane {
  int rows[2], col;
};
DEVICE Lane laneOf() {
  const Self me = self();
  const int row = static_cast<int>(me.warp()) * 16 + static_cast<int>(me.lane()) / 4;
  return {{row, row + 8}, static_cast<int>(me.lane()) % 4 * 2};
}

/// What the lanes of one row have found together.
DEVICE float rowMax(float x) {
  x = fmaxf(x, shuffleXor(x, 1u));
  return fmaxf(x, shuffleXor(x, 2u));
}
DEVICE float rowSum(float x) {
  x += shuffleXor(x, 1u);
  return x + shuffleXor(x, 2u);
}

/// Stores this warp's rows, as many as are there.
template <int size, typename T>
DEVICE void store(T* to, int64_t stride, const FragmentC (&sums)[size / 8], int count, const float (&scale)[2]) {
  const Lane lane = laneOf();
  UNROLL for (int half = 0; half < 2; ++half) {
    const int row = lane.rows[half];
    if (row >= count) continue;
    UNROLL for (int n = 0; n < size / 8; ++n) {
      putTwo(to + row * stride + n * 8 + lane.col, sums[n].r[2 * half] * scale[half], sums[n].r[2 * half + 1] * scale[half]);
    }
  }
}

/// The places of one sequence's queries, rising.
struct QueryPlaces {
  const int32_t* positions;
  DEVICE QueryPlaces(const Places& places, int32_t sequence) : positions(places.positions ? places.positions + places.queryOffsets[sequence] : nullptr) {}
  DEVICE int32_t operator()(int32_t row) const { return positions ? positions[row] : row; }
};

/// The queries of one group of warps, beside keys: those it sees stand in [from, end).
struct QueryRows {
  int32_t place[2];             ///< of this lane's two; -1: none
  int32_t from, end;            ///< keys that any of the group's rows sees; none where it has no rows
  int32_t wholeFrom, wholeEnd;  ///< keys that all of them see
  DEVICE bool see(int32_t firstKey) const { return firstKey < end && firstKey + kRows > from; }
};
DEVICE QueryRows queryRows(const Places& places, const Block& block, const QueryPlaces& place, int32_t length) {
  const Lane lane = laneOf();
  QueryRows rows{};
  UNROLL for (int half = 0; half < 2; ++half) rows.place[half] = lane.rows[half] < block.count ? place(block.first + lane.rows[half]) : -1;
  const int first = groupOfWarps() * kRows, last = (block.count < first + kRows ? block.count : first + kRows) - 1;
  if (last < first) return rows;
  // The first of them sees the earliest keys, the last the latest.
  const int32_t low = place(block.first + first), high = place(block.first + last);
  rows.from = places.firstKey(low);
  rows.end = places.endKey(high, length);
  rows.wholeFrom = places.firstKey(high);
  rows.wholeEnd = places.endKey(low, length);
  return rows;
}

/// Scores of keys from `first` on that a query does not see become -inf.
DEVICE void mask(FragmentC (&scores)[kColumns], const Places& places, const QueryRows& rows, int32_t first, int32_t length) {
  if (first >= rows.wholeFrom && first + kRows <= rows.wholeEnd) return;
  const Lane lane = laneOf();
  UNROLL for (int half = 0; half < 2; ++half) {
    const int32_t place = rows.place[half], low = places.firstKey(place), high = place < 0 ? 0 : places.endKey(place, length);
    UNROLL for (int n = 0; n < kColumns; ++n) {
      UNROLL for (int i = 0; i < 2; ++i) {
        const int32_t key = first + n * 8 + lane.col + i;
        if (key < low || key >= high) scores[n].r[2 * half + i] = -INFINITY;
      }
    }
  }
}

/// Calls body(first, stage, next) for tiles of 64 from `from` on. The body calls next(), which copies the following tile, once it has something
/// under way that hides this. All threads of the block come along.
template <typename Fill, typename Body>
DEVICE void walk(int32_t from, int32_t end, const Fill& fill, const Body& body) {
  if (from < end) fill(from, 0);
  int stage = 0;
  for (int32_t first = from; first < end; first += kRows, stage ^= 1) {
    awaitCopies();
    syncBlock();  // what was copied is there, and nobody reads the other stage any more
    body(first, stage, [&] {
      if (first + kRows < end) fill(first + kRows, stage ^ 1);
    });
  }
}

/// The keys and values that a block of queries meets, tile by tile: what the forward pass and the gradients of queries walk over.
template <int size, int groups>
struct KeyTiles {
  const Memory<size, groups>& memory;
  View<Bf16> k, v;
  int64_t start;
  int32_t length, column;
  int32_t from, end;  ///< those that any of the block's queries sees, from a whole tile on

  DEVICE KeyTiles(const Memory<size, groups>& memory, const Places& places, const Block& block, const QueryPlaces& place, const View<Bf16>& k,
                  const View<Bf16>& v)
      : memory(memory), k(k), v(v), start(places.offsets[block.sequence]), length(places.offsets[block.sequence + 1] - static_cast<int32_t>(start)),
        column(block.head / (places.shape.heads / places.shape.kvHeads) * size), from(places.firstKey(place(block.first)) / kRows * kRows),
        end(places.endKey(place(block.first + block.count - 1), length)) {}

  DEVICE void fill(int32_t first, int stage) const {
    const int32_t count = length - first < kRows ? length - first : kRows;
    memory.partners(stage, 0).template fill<groups * 128>(k.row(start + first) + column, k.stride, count);
    memory.partners(stage, 1).template fill<groups * 128>(v.row(start + first) + column, v.stride, count);
  }
  template <typename Body>
  DEVICE void each(const Body& body) const {
    walk(from, end, [&](int32_t first, int stage) { fill(first, stage); }, body);
  }
};

/// Calls body<size>() for a head size that there are tiles for.
template <typename Body>
void withSize(int32_t size, const Body& body) {
  switch (size) {
    case 16: return body.template operator()<16>();
    case 32: return body.template operator()<32>();
    case 64: return body.template operator()<64>();
    case 80: return body.template operator()<80>();
    case 96: return body.template operator()<96>();
    case 128: return body.template operator()<128>();
    default: throw std::logic_error("no tiles of this head size");
  }
}

/// Heads that use the same keys are neighbours in time.
inline Grid gridOf(int32_t heads, const Places& places, int32_t tiles) {
  return {static_cast<unsigned>(heads), static_cast<unsigned>(places.sequences), static_cast<unsigned>(tiles)};
}
inline int32_t tilesOf(int32_t rows, int groups) { return static_cast<int32_t>(blocksFor(rows, groups * kRows)); }
constexpr unsigned threadsOf(int groups) { return static_cast<unsigned>(groups) * 128; }

/// Whether a kernel of so many groups is made for these cards: three have the registers for it only where operands stay in shared memory. Where it is
/// not, and is started nevertheless (on Hopper, of a build for sm_90 instead of sm_90a), it stops with an error.
template <int groups>
DEVICE bool hasGroups() {
#if defined(__CUDA_ARCH__) && !defined(SFT_LAB_WARPGROUPS)
  if constexpr (groups > 2) {
    asm volatile("trap;");
    return false;
  }
#endif
  return true;
}
/// Calls body<groups>(): three on Hopper where `three` is set, which hide more of each other's waiting, else two; one where their memory is more than a
/// card has.
template <int size, int owned, bool three, typename Body>
void withGroups(const Body& body) {
  if constexpr (three) {
    if (multipliesInGroups()) return body.template operator()<3>();
  }
  if constexpr (Memory<size, 2>::bytes(owned) > size_t{99} << 10) {
    if (Memory<size, 2>::bytes(owned) > mostShared()) return body.template operator()<1>();
  }
  body.template operator()<2>();
}

}  // namespace sftlab::cuda
