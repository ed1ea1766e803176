#pragma once

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include <array>
#include <cstdint>
#include <cstring>

#include "cpu/vector.h"
#include "model/backend.h"

namespace sftlab {

/// Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four 32-bit numbers of a counter
/// and a key.
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = 0xD2511F53ull * counter[0], b = 0xCD9E8D57ull * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// The four numbers of a stream's block `index` (elements 4 * index to 4 * index + 3).
inline std::array<uint32_t, 4> philox(RandomStream stream, uint64_t index) {
  return philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(stream.stream),
                 static_cast<uint32_t>(stream.stream >> 32)},
                {static_cast<uint32_t>(stream.seed), static_cast<uint32_t>(stream.seed >> 32)});
}

constexpr int kPhiloxBlocks = 16;              ///< made at a time by philoxRun
constexpr int kPhiloxRun = 4 * kPhiloxBlocks;  ///< numbers

/// The numbers of elements [kPhiloxRun * run, kPhiloxRun * (run + 1)) of a stream: the blocks side by side in vector
/// lanes of 64 bits, of which the low halves count. What the high halves hold is ignored by the multiplication, so
/// nothing has to be masked.
inline void philoxRun(RandomStream stream, uint64_t run, uint32_t (&out)[kPhiloxRun]) {
  constexpr int width = kLanes / 2;
  typedef uint64_t Lanes __attribute__((vector_size(width * 8)));
  const auto multiply = [](Lanes x, uint32_t by) -> Lanes {
#ifdef __AVX512F__
    return reinterpret_cast<Lanes>(_mm512_maskz_mul_epu32(0xFF, reinterpret_cast<__m512i>(x), _mm512_set1_epi64(by)));
#else
    return (x & 0xFFFFFFFFu) * by;
#endif
  };
  for (int part = 0; part < kPhiloxBlocks; part += width) {
    const uint64_t first = run * kPhiloxBlocks + static_cast<uint64_t>(part);
    Lanes index;
    for (int i = 0; i < width; ++i) index[i] = first + static_cast<uint64_t>(i);
    Lanes c0 = index, c1 = index >> 32, c2 = Lanes{} + stream.stream, c3 = Lanes{} + (stream.stream >> 32);
    auto k0 = static_cast<uint32_t>(stream.seed), k1 = static_cast<uint32_t>(stream.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const Lanes a = multiply(c0, 0xD2511F53u), b = multiply(c2, 0xCD9E8D57u);
      c0 = (b >> 32) ^ c1 ^ k0;
      c1 = b;
      c2 = (a >> 32) ^ c3 ^ k1;
      c3 = a;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    const Lanes low = (c0 & 0xFFFFFFFFu) | c1 << 32, high = (c2 & 0xFFFFFFFFu) | c3 << 32;
    for (int i = 0; i < width; ++i) {
      const uint64_t numbers[2] = {low[i], high[i]};  // little-endian: the four in order
      std::memcpy(out + 4 * (part + i), numbers, sizeof numbers);
    }
  }
}

/// Uniform in [0, 1), 24 bits.
inline float unitFloat(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

/// Uniform in [0, 1), 53 bits.
inline double unitDouble(uint32_t high, uint32_t low) {
  return static_cast<double>(static_cast<uint64_t>(high) << 21 | low >> 11) * 0x1p-53;
}

}  // namespace sftlab
