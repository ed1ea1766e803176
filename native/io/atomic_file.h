#pragma once

#include <cstddef>
#include <filesystem>

namespace sftlab {

/// A file that exists under its final name only once all of it is on disk: written beside its place, synced, renamed. What was not
/// published is deleted with this object. All members throw Error naming the final path.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  void write(const void* data, size_t bytes);
  void sync();     ///< after the last write
  void publish();  ///< after `sync`; the name itself is on disk after `system::syncFolder`

 private:
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  bool exists_ = false;  ///< under the temporary name
};

}  // namespace sftlab
