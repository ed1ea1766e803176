#pragma once

#include <cstdlib>
#include <filesystem>

namespace sftlab::test {

/// test/fixtures of the checkout: where the build knew it, or where a program that was built on another machine is told.
inline std::filesystem::path fixtures() {
  const char* const told = std::getenv("SFT_LAB_FIXTURES");
  return told ? told : SFT_LAB_FIXTURES_PATH;
}

}  // namespace sftlab::test
