#include "io/text_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io/atomic_file.h"
#include "io/error.h"
#include "system/system.h"

namespace sftlab {

namespace fs = std::filesystem;

std::string readTextFile(const fs::path& path, size_t maxBytes) {
  const int descriptor = system::openToRead(path);
  if (descriptor < 0) throw Error(std::string("cannot be opened: ") + std::strerror(errno), system::textOf(path));
  std::string text;
  const auto [regular, bytes] = system::factsOf(descriptor);
  const bool small = regular && bytes <= maxBytes;
  bool failed = false;
  if (small) {
    text.resize(bytes);
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
  if (!regular) throw Error("is not a file", system::textOf(path));
  if (!small) throw Error("is larger than " + std::to_string(maxBytes) + " bytes", system::textOf(path));
  if (failed) throw Error("cannot be read", system::textOf(path));
  return text;
}

void throwWriteError(const fs::path& path, int code) {
  std::string advice;
  if (system::isDiskFull(code)) advice = "The disk is full: free some space; earlier checkpoints are untouched.";
  if (code == EACCES || code == EPERM || code == EROFS) advice = "The folder cannot be written to; choose another output_dir.";
  throw Error(std::string("cannot be written: ") + std::strerror(code), system::textOf(path), {}, advice);
}

void writeTextFile(const fs::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.sync();
  file.publish();
  system::syncFolder(path.parent_path());
}

}  // namespace sftlab
