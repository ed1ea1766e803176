#include "system/processor.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace sftlab::system {

namespace {

#if defined(__x86_64__)

/// Registers as `cpuid` leaves them (Intel SDM volume 2, CPUID), zeros where the processor knows no such leaf.
struct Leaf {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  Leaf(uint32_t leaf, uint32_t subleaf = 0) { __get_cpuid_count(leaf, subleaf, &a, &b, &c, &d); }
};

/// Whether a value has all these bits.
bool bits(uint64_t value, std::initializer_list<int> wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [value](int bit) { return value >> bit & 1; });
}

/// Which registers the operating system saves when it changes threads (XCR0): what it does not, nobody may use.
uint64_t savedRegisters() {
  if (!bits(Leaf(1).c, {27})) return 0;
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

Processor read() {
  Processor processor;
  char name[48] = {};
  for (uint32_t part = 0; part < 3; ++part) {
    const Leaf leaf(0x80000002 + part);
    std::memcpy(name + 16 * part, &leaf, 16);
  }
  processor.name.assign(name, strnlen(name, sizeof name));
  processor.name.erase(processor.name.find_last_not_of(' ') + 1);
  const uint64_t saved = savedRegisters();
  const bool avx = bits(saved, {1, 2}), avx512 = avx && bits(saved, {5, 6, 7}), amx = bits(saved, {17, 18});
  const Leaf one(1), seven(7), more(7, 1);
  const struct { const char* name; bool saved; uint32_t flags; int bit; } sets[] = {
      {"fma", avx, one.c, 12},         {"avx2", avx, seven.b, 5},           {"avx512f", avx512, seven.b, 16},
      {"avx512bw", avx512, seven.b, 30}, {"avx512vl", avx512, seven.b, 31}, {"avx512_vnni", avx512, seven.c, 11},
      {"avx512_bf16", avx512, more.a, 5}, {"amx_bf16", amx, seven.d, 22},
  };
  for (const auto& set : sets) {
    if (set.saved && bits(set.flags, {set.bit})) processor.features.emplace_back(set.name);
  }
  return processor;
}

#elif defined(__APPLE__)

Processor read() {
  char name[128] = "";
  size_t size = sizeof name;
  if (sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) != 0) return {};
  return {name, {}};
}

#else

Processor read() { return {}; }

#endif

}  // namespace

bool Processor::has(const char* feature) const { return std::find(features.begin(), features.end(), feature) != features.end(); }

const Processor& processor() {
  static const Processor processor = read();
  return processor;
}

}  // namespace sftlab::system
