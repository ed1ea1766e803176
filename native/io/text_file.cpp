#include "io/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io/atomic_file.h"
#include "io/error.h"

namespace sftlab {

namespace fs = std::filesystem;

std::string readTextFile(const fs::path& path, size_t maxBytes) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block
  if (descriptor < 0) throw Error(std::string("cannot be opened: ") + std::strerror(errno), path.string());
  struct stat status;
  std::string text;
  const bool regular = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  const bool small = regular && static_cast<size_t>(status.st_size) <= maxBytes;
  bool failed = false;
  if (small) {
    text.resize(static_cast<size_t>(status.st_size));
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t got = ::read(descriptor, text.data() + done, text.size() - done);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    failed = done < text.size();
  }
  ::close(descriptor);
  if (!regular) throw Error("is not a file", path.string());
  if (!small) throw Error("is larger than " + std::to_string(maxBytes) + " bytes", path.string());
  if (failed) throw Error("cannot be read", path.string());
  return text;
}

void throwWriteError(const fs::path& path, int code) {
  std::string advice;
  if (code == ENOSPC || code == EDQUOT) advice = "The disk is full: free some space; earlier checkpoints are untouched.";
  if (code == EACCES || code == EPERM || code == EROFS) advice = "The folder cannot be written to; choose another output_dir.";
  throw Error(std::string("cannot be written: ") + std::strerror(code), path.string(), {}, advice);
}

void syncFolder(const fs::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);  // some file systems cannot sync folders; they have nothing to lose there
  ::close(descriptor);
}

void writeTextFile(const fs::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.sync();
  file.publish();
  syncFolder(path.parent_path());
}

}  // namespace sftlab
