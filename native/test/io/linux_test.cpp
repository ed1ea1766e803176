// What only Linux lets a test arrange: file systems that are full or may not be written, pipes, and what of a file is in memory.

#include <sys/mount.h>
#include <sys/stat.h>

#include "io/text_file.h"
#include "test/io/folder.h"

namespace sftlab {
namespace {

class OnLinux : public FolderTest {
 protected:
  void TearDown() override {
    if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
    FolderTest::TearDown();
  }
  /// A file system of `kilobytes` on the test's folder; false where this process may not mount one.
  bool mountSmall(int kilobytes) {
    mounted_ = mount("tmpfs", folder_.c_str(), "tmpfs", 0, ("size=" + std::to_string(kilobytes) + "k").c_str()) == 0;
    return mounted_;
  }

 private:
  bool mounted_ = false;
};

/// Megabytes of files that this process has in its memory.
int64_t mappedMegabytes() {
  std::ifstream status("/proc/self/status");
  int64_t kilobytes = 0;
  for (std::string line; std::getline(status, line);) {
    // The second, where temporary files lie in memory.
    if (line.starts_with("RssFile:") || line.starts_with("RssShmem:")) kilobytes += std::stoll(line.substr(9));
  }
  return kilobytes / 1024;
}

TEST_F(OnLinux, WhatIsLetGoTakesNoMemoryAndIsReadAgain) {
  constexpr int64_t kCount = 8 << 20;
  const std::string shape = std::to_string(kCount), bytes = std::to_string(kCount * 4);
  const TensorFiles files =
      TensorFiles::open(withHeader(R"({"a":{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[0,)" + bytes + "]}}", kCount * 4));
  const FileTensor& tensor = files.require("a", {kCount});
  std::vector<float> before(kCount), after(kCount);
  const int64_t idle = mappedMegabytes();
  toFloat(tensor, 0, kCount, before.data());
  EXPECT_GE(mappedMegabytes(), idle + 24);
  letGo(tensor, 1, kCount - 1);
  EXPECT_LE(mappedMegabytes(), idle + 8);
  toFloat(tensor, 0, kCount, after.data());
  EXPECT_EQ(before, after);
}

TEST_F(OnLinux, AReadOnlyFolderIsNamed) {
  if (geteuid() != 0) {
    fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
  } else if (!mountSmall(64) || mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
    GTEST_SKIP() << "root writes everywhere, and a read-only file system cannot be mounted here";
  }
  for (const auto& act : std::vector<std::function<void()>>{
           [&] { writeTensors(folder_, "model", {source("a", {1}, {1})}, {}, SIZE_MAX); },
           [&] { writeTextFile(folder_ / "model.safetensors", "text"); }}) {
    const Error error = failure(act);
    EXPECT_EQ(error.file, (folder_ / "model.safetensors").string());
    EXPECT_NE(error.advice.find("output_dir"), std::string::npos) << error.advice;
  }
  EXPECT_TRUE(names().empty());
}

TEST_F(OnLinux, AFullDiskIsNamedAndLeftClean) {
  if (!mountSmall(64)) GTEST_SKIP() << "a small file system cannot be mounted here";
  const std::vector<float> small{1, 2, 3};
  writeTensors(folder_, "model", {source("a", {3}, small)}, {}, SIZE_MAX);
  writeTextFile(folder_ / "note", "earlier");
  const auto earlier = names();
  const std::vector<float> large(1 << 12);  // 16 KB: two of them fit, five do not
  std::vector<TensorSource> shards;
  for (int i = 0; i < 5; ++i) shards.push_back(source("t" + std::to_string(i), {1 << 12}, large));
  for (const auto& act : std::vector<std::function<void()>>{
           [&] { writeTensors(folder_, "model", {source("a", {1 << 16}, std::vector<float>(1 << 16))}, {}, SIZE_MAX); },
           [&] { writeTensors(folder_, "model", std::move(shards), {}, 20 << 10); },
           [&] { writeTextFile(folder_ / "note", std::string(200 << 10, 'x')); }}) {
    const Error error = failure(act);
    EXPECT_NE(error.advice.find("disk is full"), std::string::npos) << error.what() << error.advice;
    EXPECT_EQ(names(), earlier);  // neither temporary files nor some of the shards
  }
  EXPECT_EQ(readTextFile(folder_ / "note", 100), "earlier");
  EXPECT_NO_THROW(TensorFiles::openFolder(folder_, "model").require("a", {3}));
}

TEST_F(OnLinux, APipeIsNoFileAndNobodyWaitsForItsWriter) {
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  expectRefused(folder_ / "pipe", "is not a file");
  EXPECT_THROW(readTextFile(folder_ / "pipe", 100), Error);
}

}  // namespace
}  // namespace sftlab
