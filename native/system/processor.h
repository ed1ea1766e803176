#pragma once

#include <string>
#include <vector>

namespace sftlab::system {

/// What the processor calls itself, and which sets of instructions it and the operating system offer a program, by the names that Linux
/// gives them in /proc/cpuinfo. On x64 alone the sets are asked for.
struct Processor {
  std::string name;
  std::vector<std::string> features;

  bool has(const char* feature) const;
};

const Processor& processor();

}  // namespace sftlab::system
