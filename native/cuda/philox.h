#pragma once

#include "cuda/dialect.h"
#include "model/backend.h"

namespace sftlab::cuda {

struct Four {
  uint32_t numbers[4];
};

/// The four numbers of a stream's block `index`: Philox 4x32-10, as in cpu/philox.h.
DEVICE Four philox(RandomStream stream, uint64_t index) {
  uint32_t c0 = static_cast<uint32_t>(index), c1 = static_cast<uint32_t>(index >> 32);
  uint32_t c2 = static_cast<uint32_t>(stream.stream), c3 = static_cast<uint32_t>(stream.stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(stream.seed), k1 = static_cast<uint32_t>(stream.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = 0xD2511F53ull * c0, b = 0xCD9E8D57ull * c2;
    c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(b);
    c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(a);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// Uniform in [0, 1), 24 bits; 53 bits.
DEVICE float unitFloat(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }
DEVICE double unitDouble(uint32_t high, uint32_t low) {
  return static_cast<double>(static_cast<uint64_t>(high) << 21 | low >> 11) * 0x1p-53;
}

}  // namespace sftlab::cuda
