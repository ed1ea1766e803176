#pragma once

// Products of bfloat16 numbers with sums in fp32, on the AVX512-BF16 instruction vdpbf16ps. This is the only code that is
// compiled for that instruction, so that one binary runs everywhere: callers ask `supported` first. Plain pointers and
// integers alone cross this border, since a shared inline function compiled here could be the one that the linker keeps.
//
// The instruction multiplies pairs: two neighbours along the inner dimension, the lower index in the low half. In every
// product here an element is summed over the pairs in order, in one register lane, whatever the size of the tile that it
// stands in: results depend on no cut into pieces.

#include <cstdint>

namespace sftlab::bf16 {

bool supported();

using Number = uint16_t;
using Pair = uint32_t;

constexpr int kLane = 16;               ///< pairs, or sums, of one vector
constexpr int kPanel = 64;              ///< columns of the right-hand side that are worked on together
constexpr int kRows = 6;                ///< rows of the left-hand side: 24 vectors of sums, with 4 of the other side
constexpr int64_t kMostPairs = 2560;    ///< of a panel, so that it stays in a second-level cache of 1 MB

/// The left-hand side of a product. Pair p of row r stands at data[r / group * groupStep + r % group * rowStep + p * pairStep].
struct Left {
  const Pair* data;
  int64_t rowStep, pairStep;
  int64_t groupStep;  ///< from one group of kRows rows to the next
};

/// Rows of bfloat16 numbers as they stand in memory: `stride` numbers apart, even, 4-byte aligned.
inline Left rowsOf(const Number* data, int64_t stride) {
  return {reinterpret_cast<const Pair*>(data), stride / 2, 1, kRows * (stride / 2)};
}

/// What `packLeft` makes: groups of kRows rows, pair after pair.
inline Left packed(const Pair* data, int64_t pairs) { return {data, 1, kRows, kRows * pairs}; }

/// Where sums go: out = alpha * sums + partial + out, the last two where they are asked for.
struct Target {
  void* out;
  int64_t stride;  ///< elements from row to row
  bool isBf16;
  bool add;
  float alpha;
  const float* partial;  ///< or none
  int64_t partialStride;
};

/// The tile's columns by its rows: `panel` is (pairs, columns rounded up to kLane). At most kPanel columns.
void product(const Left& left, const Pair* panel, int64_t rows, int columns, int64_t pairs, const Target& target);

/// One side of a product as it stands in memory: f32 or bf16, `stride` elements from row to row.
struct Source {
  const void* data;
  int64_t stride;
  bool isBf16;
};

/// panel (ceil(inner / 2), columns rounded up to kLane) of a right-hand side, whose element (k, c) stands in row k, column c, or
/// with `transposed` in row c, column k. Zero beyond the source.
void packRight(Pair* panel, const Source& source, bool transposed, int columns, int64_t inner);

/// A left-hand side whose row r is column r of the source: groups of kRows rows, zero beyond the source.
void packLeftTransposed(Pair* out, const Source& source, int64_t rows, int64_t inner);

/// A left-hand side whose rows are those of the source, pairs after pairs: `rowsOf(out, 2 * pairs)`. Zero beyond the source.
void packLeftRows(Pair* out, const Source& source, int64_t rows, int64_t inner);

}  // namespace sftlab::bf16
