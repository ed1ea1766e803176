#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace sftlab::test {

/// test/fixtures of the checkout: where the build knew it, or where a program that was built on another machine is told.
inline std::filesystem::path fixtures() {
  const char* const told = std::getenv("SFT_LAB_FIXTURES");
  return told ? told : SFT_LAB_FIXTURES_PATH;
}

/// An empty folder of this process's own under the system's temporary one.
inline std::filesystem::path temporary(const std::string& name) {
  const auto folder = std::filesystem::temp_directory_path() / ("sft-lab-" + name + "-" + std::to_string(getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

}  // namespace sftlab::test
