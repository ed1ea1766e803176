#include "cpu/bf16_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

namespace sftlab::bf16 {

namespace {

__m512bh pairs16(__m512i x) { return reinterpret_cast<__m512bh>(x); }

__mmask16 firstLanes(int64_t count) {
  return count >= kLane ? static_cast<__mmask16>(0xFFFF) : count <= 0 ? static_cast<__mmask16>(0) : static_cast<__mmask16>((1u << count) - 1);
}

__m512 widen(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }

__m256i narrow(__m512 x) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)); }

/// Sums of R rows by V vectors of columns.
template <int R, int V>
void tile(const Pair* left, int64_t rowStep, int64_t pairStep, const Pair* panel, int columns, int64_t pairs,
          const Target& target, int64_t row) {
  __m512 sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v] = _mm512_setzero_ps();
  }
  const Pair* rows[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) rows[r] = left + r * rowStep;
  for (int64_t p = 0; p < pairs; ++p) {
    __m512i right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) right[v] = _mm512_loadu_si512(panel + (p * V + v) * kLane);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512i x = _mm512_set1_epi32(static_cast<int>(rows[r][p * pairStep]));
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], pairs16(x), pairs16(right[v]));
    }
  }
  const __m512 alpha = _mm512_set1_ps(target.alpha);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const __mmask16 lanes = firstLanes(columns - v * kLane);
      __m512 value = _mm512_mul_ps(sums[r][v], alpha);
      if (target.partial) {
        value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(lanes, target.partial + (row + r) * target.partialStride + v * kLane));
      }
      const int64_t at = (row + r) * target.stride + v * kLane;
      if (target.isBf16) {
        auto* const out = static_cast<Number*>(target.out) + at;
        if (target.add) value = _mm512_add_ps(value, widen(_mm256_maskz_loadu_epi16(lanes, out)));
        _mm256_mask_storeu_epi16(out, lanes, narrow(value));
      } else {
        auto* const out = static_cast<float*>(target.out) + at;
        if (target.add) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(lanes, out));
        _mm512_mask_storeu_ps(out, lanes, value);
      }
    }
  }
}

template <int V>
void column(const Left& left, const Pair* panel, int64_t rows, int columns, int64_t pairs, const Target& target) {
  int64_t row = 0;
  const Pair* group = left.data;
  for (; row + kRows <= rows; row += kRows, group += left.groupStep) {
    tile<kRows, V>(group, left.rowStep, left.pairStep, panel, columns, pairs, target, row);
  }
  const auto rest = [&]<int R>() { tile<R, V>(group, left.rowStep, left.pairStep, panel, columns, pairs, target, row); };
  switch (rows - row) {
    case 1: return rest.template operator()<1>();
    case 2: return rest.template operator()<2>();
    case 3: return rest.template operator()<3>();
    case 4: return rest.template operator()<4>();
    case 5: return rest.template operator()<5>();
    default: return;
  }
}

/// Element (row, col) of a source.
const char* at(const Source& source, int64_t row, int64_t col) {
  return static_cast<const char*>(source.data) + (row * source.stride + col) * (source.isBf16 ? 2 : 4);
}

/// 16 numbers as bfloat16, of which the first `count` are read.
template <bool isBf16>
__m256i numbers(const char* from, int64_t count) {
  const __mmask16 lanes = firstLanes(count);
  if constexpr (isBf16) return _mm256_maskz_loadu_epi16(lanes, from);
  return narrow(_mm512_maskz_loadu_ps(lanes, from));
}

/// Pairs of the numbers of two rows: (a0, b0), (a1, b1), ...
__m512i interleave(__m256i a, __m256i b) {
  const __m512i low = _mm512_cvtepu16_epi32(a), high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16);
  return _mm512_or_si512(low, high);
}

/// 16 pairs of one row, of which the first `count` numbers are read.
template <bool isBf16>
__m512i rowPairs(const char* from, int64_t count) {
  const __m256i low = numbers<isBf16>(from, count);
  const __m256i high = numbers<isBf16>(from + kLane * (isBf16 ? 2 : 4), count - kLane);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/// Transposes 16 vectors of 16 pairs.
void transpose(__m512i (&x)[kLane]) {
  __m512i t[kLane];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    x[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    x[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    x[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    x[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(x[i], x[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(x[i], x[4 + i], 0xDD);
    t[8 + i] = _mm512_shuffle_i32x4(x[8 + i], x[12 + i], 0x88);
    t[12 + i] = _mm512_shuffle_i32x4(x[8 + i], x[12 + i], 0xDD);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    x[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
    x[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xDD);
    x[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
    x[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xDD);
  }
}

template <bool isBf16>
void packRightRows(Pair* panel, const Source& source, int columns, int64_t inner) {
  const int width = (columns + kLane - 1) / kLane * kLane;
  for (int64_t k = 0; k < inner; k += 2, panel += width) {
    for (int c = 0; c < width; c += kLane) {
      const __m256i even = numbers<isBf16>(at(source, k, c), columns - c);
      const __m256i odd = k + 1 < inner ? numbers<isBf16>(at(source, k + 1, c), columns - c) : _mm256_setzero_si256();
      _mm512_storeu_si512(panel + c, interleave(even, odd));
    }
  }
}

template <bool isBf16>
void packRightColumns(Pair* panel, const Source& source, int columns, int64_t inner) {
  const int width = (columns + kLane - 1) / kLane * kLane;
  const int64_t pairs = (inner + 1) / 2;
  for (int64_t p = 0; p < pairs; p += kLane) {
    const int64_t depth = pairs - p < kLane ? pairs - p : kLane;
    for (int c = 0; c < width; c += kLane) {
      __m512i square[kLane];
#pragma GCC unroll 16
      for (int i = 0; i < kLane; ++i) {
        square[i] = c + i < columns ? rowPairs<isBf16>(at(source, c + i, 2 * p), inner - 2 * p) : _mm512_setzero_si512();
      }
      transpose(square);
      Pair* const to = panel + p * width + c;
      if (depth == kLane) {
#pragma GCC unroll 16
        for (int i = 0; i < kLane; ++i) _mm512_storeu_si512(to + i * width, square[i]);
      } else {
        for (int i = 0; i < depth; ++i) _mm512_storeu_si512(to + i * width, square[i]);
      }
    }
  }
}

template <bool isBf16>
void packLeftColumns(Pair* out, const Source& source, int64_t rows, int64_t inner) {
  const int64_t pairs = (inner + 1) / 2;
  const __mmask16 group = firstLanes(kRows);
  for (int64_t row = 0; row < rows; row += kRows, out += kRows * pairs) {
    const int64_t count = rows - row < kRows ? rows - row : kRows;
    for (int64_t p = 0; p < pairs; ++p) {
      const __m256i even = numbers<isBf16>(at(source, 2 * p, row), count);
      const __m256i odd = 2 * p + 1 < inner ? numbers<isBf16>(at(source, 2 * p + 1, row), count) : _mm256_setzero_si256();
      _mm512_mask_storeu_epi32(out + p * kRows, group, interleave(even, odd));
    }
  }
}

template <bool isBf16>
void packRows(Pair* out, const Source& source, int64_t rows, int64_t inner) {
  const int64_t pairs = (inner + 1) / 2;
  for (int64_t row = 0; row < rows; ++row, out += pairs) {
    for (int64_t p = 0; p < pairs; p += kLane) {
      _mm512_mask_storeu_epi32(out + p, firstLanes(pairs - p), rowPairs<isBf16>(at(source, row, 2 * p), inner - 2 * p));
    }
  }
}

}  // namespace

void product(const Left& left, const Pair* panel, int64_t rows, int columns, int64_t pairs, const Target& target) {
  switch ((columns + kLane - 1) / kLane) {
    case 1: return column<1>(left, panel, rows, columns, pairs, target);
    case 2: return column<2>(left, panel, rows, columns, pairs, target);
    case 3: return column<3>(left, panel, rows, columns, pairs, target);
    default: return column<4>(left, panel, rows, columns, pairs, target);
  }
}

void packRight(Pair* panel, const Source& source, bool transposed, int columns, int64_t inner) {
  if (transposed) {
    source.isBf16 ? packRightColumns<true>(panel, source, columns, inner) : packRightColumns<false>(panel, source, columns, inner);
  } else {
    source.isBf16 ? packRightRows<true>(panel, source, columns, inner) : packRightRows<false>(panel, source, columns, inner);
  }
}

void packLeftTransposed(Pair* out, const Source& source, int64_t rows, int64_t inner) {
  source.isBf16 ? packLeftColumns<true>(out, source, rows, inner) : packLeftColumns<false>(out, source, rows, inner);
}

void packLeftRows(Pair* out, const Source& source, int64_t rows, int64_t inner) {
  source.isBf16 ? packRows<true>(out, source, rows, inner) : packRows<false>(out, source, rows, inner);
}

}  // namespace sftlab::bf16

#else

namespace sftlab::bf16 {

void product(const Left&, const Pair*, int64_t, int, int64_t, const Target&) {}
void packRight(Pair*, const Source&, bool, int, int64_t) {}
void packLeftTransposed(Pair*, const Source&, int64_t, int64_t) {}
void packLeftRows(Pair*, const Source&, int64_t, int64_t) {}

}  // namespace sftlab::bf16

#endif
