// Writing safetensors: header padded to 8 bytes, tensors in the order of their names, so equal values give equal bytes.
// Files are written beside their place and synced; all are renamed together at the end, so what fails leaves nothing behind.

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "io/text_file.h"
#include "system/system.h"

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

/// All of a file, synced, not yet under its final name.
AtomicFile writeFile(const fs::path& path, const std::vector<const TensorSource*>& tensors,
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
  file.sync();
  return file;
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
  // Nothing takes its final name before all is on disk; the index is the last to do so.
  std::vector<AtomicFile> files;
  if (shards.size() == 1) {
    files.push_back(writeFile(directory / (stem + ".safetensors"), shards[0], metadata));
  } else {
    ordered_json index;
    index["metadata"] = {{"total_size", totalBytes}};
    for (size_t i = 0; i < shards.size(); ++i) {
      char suffix[64];
      std::snprintf(suffix, sizeof suffix, "-%05zu-of-%05zu.safetensors", i + 1, shards.size());
      files.push_back(writeFile(directory / (stem + suffix), shards[i], metadata));
      for (const TensorSource* tensor : shards[i]) index["weight_map"][tensor->name] = stem + suffix;
    }
    const std::string text = index.dump(2) + "\n";
    files.emplace_back(directory / (stem + ".safetensors.index.json"));
    files.back().write(text.data(), text.size());
    files.back().sync();
  }
  for (AtomicFile& file : files) file.publish();
  system::syncFolder(directory);
}

}  // namespace sftlab
