#include "io/atomic_file.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/text_file.h"
#include "system/system.h"

namespace sftlab {

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_) {
  temporary_ += ".tmp";
  descriptor_ = system::openToWrite(temporary_);
  if (descriptor_ < 0) throwWriteError(path_, errno);
  exists_ = true;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      exists_(std::exchange(other.exists_, false)) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  std::error_code ignored;
  if (exists_) std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t put = ::write(descriptor_, from, bytes);
    if (put < 0) {
      if (errno == EINTR) continue;
      throwWriteError(path_, errno);
    }
    from += put;
    bytes -= static_cast<size_t>(put);
  }
}

void AtomicFile::sync() {
  if (!system::syncFile(descriptor_)) throwWriteError(path_, errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) throwWriteError(path_, errno);
}

void AtomicFile::publish() {
  if (!system::replaceFile(temporary_, path_)) throwWriteError(path_, errno);
  exists_ = false;
}

}  // namespace sftlab
