#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "io/error.h"
#include "io/safetensors.h"
#include "test/fixtures.h"

namespace sftlab {

namespace fs = std::filesystem;

/// A folder of its own for each test, and what is put into it.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override { folder_ = test::temporary("io"); }
  void TearDown() override {
    std::error_code ignored;
    fs::permissions(folder_, fs::perms::owner_all, ignored);
    fs::remove_all(folder_, ignored);
  }

  fs::path put(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  /// A file with this header and `data` bytes behind it.
  fs::path withHeader(const std::string& header, size_t data) const {
    std::string bytes(8, '\0');
    for (int i = 0; i < 8; ++i) bytes[static_cast<size_t>(i)] = static_cast<char>(header.size() >> (8 * i));
    return put("x.safetensors", bytes + header + std::string(data, '\1'));
  }
  static void expectRefused(const fs::path& file, const std::string& message, const std::string& field = {}) {
    try {
      TensorFiles::open(file);
      FAIL() << "was read, but should say: " << message;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
      EXPECT_EQ(error.file, file.string());
      if (!field.empty()) {
        EXPECT_EQ(error.field, field);
      }
    }
  }
  static TensorSource source(const std::string& name, std::vector<int64_t> shape, const std::vector<float>& values) {
    return {name, FileDType::f32, std::move(shape), [values](size_t offset, size_t bytes, void* out) {
              std::memcpy(out, reinterpret_cast<const char*>(values.data()) + offset, bytes);
            }};
  }

  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) found.insert(entry.path().filename().string());
    return found;
  }
  static Error failure(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error("");
  }

  fs::path folder_;
};

}  // namespace sftlab
