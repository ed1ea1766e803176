// Writing safetensors: header padded to 8 bytes, tensors in the order of their names, so equal values give equal bytes.
// Each file is written beside its place, synced, and renamed; what fails leaves nothing under the final name.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "io/error.h"
#include "io/safetensors.h"
#include "io/text_file.h"

namespace sftlab {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

constexpr size_t kPieceBytes = 4 << 20;

const char* dtypeName(FileDType dtype) {
  return dtype == FileDType::f32 ? "F32" : dtype == FileDType::bf16 ? "BF16" : "F16";
}

size_t bytesOf(const TensorSource& tensor) {
  size_t bytes = tensor.dtype == FileDType::f32 ? 4 : 2;
  for (int64_t length : tensor.shape) bytes *= static_cast<size_t>(length);
  return bytes;
}

/// A file that exists under its final name only once all of it is on disk.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path) : path_(std::move(path)), temporary_(path_.string() + ".tmp") {
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor_ < 0) throwWriteError(path_, errno);
  }
  ~AtomicFile() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
      ::unlink(temporary_.c_str());
    }
  }
  void write(const void* data, size_t bytes) {
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
  void commit() {
    if (fsync(descriptor_) != 0) throwWriteError(path_, errno);
    const int descriptor = std::exchange(descriptor_, -1);
    if (::close(descriptor) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
      const int code = errno;
      ::unlink(temporary_.c_str());
      throwWriteError(path_, code);
    }
  }

 private:
  fs::path path_, temporary_;
  int descriptor_ = -1;
};

void writeFile(const fs::path& path, const std::vector<const TensorSource*>& tensors,
               const std::map<std::string, std::string>& metadata) {
  ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const TensorSource* tensor : tensors) {
    const size_t end = offset + bytesOf(*tensor);
    header[tensor->name] = {{"dtype", dtypeName(tensor->dtype)}, {"shape", tensor->shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.is_null() ? "{}" : header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');

  AtomicFile file(path);
  unsigned char length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(text.size() >> (8 * i));
  file.write(length, 8);
  file.write(text.data(), text.size());
  std::vector<char> piece;
  for (const TensorSource* tensor : tensors) {
    const size_t bytes = bytesOf(*tensor);
    for (size_t done = 0; done < bytes; done += kPieceBytes) {
      piece.resize(std::min(kPieceBytes, bytes - done));
      tensor->read(done, piece.size(), piece.data());
      file.write(piece.data(), piece.size());
    }
  }
  file.commit();
}

}  // namespace

void writeTensors(const fs::path& directory, const std::string& stem, std::vector<TensorSource> tensors,
                  const std::map<std::string, std::string>& metadata, size_t maxShardBytes) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSource& a, const TensorSource& b) { return a.name < b.name; });
  std::vector<std::vector<const TensorSource*>> shards(1);
  size_t shardBytes = 0, totalBytes = 0;
  for (const TensorSource& tensor : tensors) {
    const size_t bytes = bytesOf(tensor);
    if (shardBytes > 0 && shardBytes + bytes > maxShardBytes) {
      shards.emplace_back();
      shardBytes = 0;
    }
    shards.back().push_back(&tensor);
    shardBytes += bytes;
    totalBytes += bytes;
  }
  if (shards.size() == 1) {
    writeFile(directory / (stem + ".safetensors"), shards[0], metadata);
  } else {
    ordered_json index;
    index["metadata"] = {{"total_size", totalBytes}};
    for (size_t i = 0; i < shards.size(); ++i) {
      char suffix[64];
      std::snprintf(suffix, sizeof suffix, "-%05zu-of-%05zu.safetensors", i + 1, shards.size());
      writeFile(directory / (stem + suffix), shards[i], metadata);
      for (const TensorSource* tensor : shards[i]) index["weight_map"][tensor->name] = stem + suffix;
    }
    writeTextFile(directory / (stem + ".safetensors.index.json"), index.dump(2) + "\n");
  }
  syncFolder(directory);
}

}  // namespace sftlab
