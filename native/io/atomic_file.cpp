#include "io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "io/text_file.h"

namespace sftlab {

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_.string() + ".tmp") {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
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
  if (exists_) ::unlink(temporary_.c_str());
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
  if (fsync(descriptor_) != 0) throwWriteError(path_, errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) throwWriteError(path_, errno);
}

void AtomicFile::publish() {
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throwWriteError(path_, errno);
  exists_ = false;
}

}  // namespace sftlab
