#pragma once

#include <array>
#include <cstdint>

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
/// lanes.
inline void philoxRun(RandomStream stream, uint64_t run, uint32_t (&out)[kPhiloxRun]) {
  typedef uint32_t Lanes __attribute__((vector_size(kPhiloxBlocks * 4)));
  typedef uint64_t Wide __attribute__((vector_size(kPhiloxBlocks * 8)));
  const uint64_t first = run * kPhiloxBlocks;  // a multiple of 16, so the lanes' indices never carry into the high half
  const Lanes lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Lanes c0 = static_cast<uint32_t>(first) + lane, c1 = Lanes{} + static_cast<uint32_t>(first >> 32);
  Lanes c2 = Lanes{} + static_cast<uint32_t>(stream.stream), c3 = Lanes{} + static_cast<uint32_t>(stream.stream >> 32);
  auto k0 = static_cast<uint32_t>(stream.seed), k1 = static_cast<uint32_t>(stream.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Wide a = __builtin_convertvector(c0, Wide) * 0xD2511F53ull;
    const Wide b = __builtin_convertvector(c2, Wide) * 0xCD9E8D57ull;
    const Lanes highA = __builtin_convertvector(a >> 32, Lanes), highB = __builtin_convertvector(b >> 32, Lanes);
    c0 = highB ^ c1 ^ k0;
    c1 = __builtin_convertvector(b, Lanes);
    c2 = highA ^ c3 ^ k1;
    c3 = __builtin_convertvector(a, Lanes);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < kPhiloxBlocks; ++i) {
    out[4 * i] = c0[i];
    out[4 * i + 1] = c1[i];
    out[4 * i + 2] = c2[i];
    out[4 * i + 3] = c3[i];
  }
}

/// Uniform in [0, 1), 24 bits.
inline float unitFloat(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

/// Uniform in [0, 1), 53 bits.
inline double unitDouble(uint32_t high, uint32_t low) {
  return static_cast<double>(static_cast<uint64_t>(high) << 21 | low >> 11) * 0x1p-53;
}

}  // namespace sftlab
