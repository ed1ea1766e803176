#pragma once

// safetensors (https://github.com/huggingface/safetensors#format): an 8-byte little-endian header length, a JSON header of
// {name: {dtype, shape, data_offsets}}, then the data. Read by memory map; every rule of the format is checked before a
// byte of data is used, since model files come from strangers.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sftlab {

enum class FileDType : uint8_t { f32, f16, bf16, other };

/// A tensor inside a mapped file. `data` stays valid as long as the TensorFiles it came from.
struct FileTensor {
  FileDType dtype = FileDType::other;
  std::string dtypeName;
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;
  size_t bytes = 0;
  std::string file;  ///< path of the file it stands in, for messages

  int64_t elements() const;
};

/// One safetensors file, or all shards that a `model.safetensors.index.json` names.
class TensorFiles {
 public:
  /// One file.
  static TensorFiles open(const std::filesystem::path& file);
  /// `<stem>.safetensors` of a folder, or the shards of `<stem>.safetensors.index.json`. Throws Error naming what is missing.
  static TensorFiles openFolder(const std::filesystem::path& directory, const std::string& stem);

  const std::map<std::string, FileTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Throws Error naming the tensor if it is missing or its shape is not `shape`.
  const FileTensor& require(const std::string& name, const std::vector<int64_t>& shape) const;

  TensorFiles(TensorFiles&&) noexcept;
  TensorFiles& operator=(TensorFiles&&) noexcept;
  ~TensorFiles();

 private:
  TensorFiles();
  struct Mapping;
  std::vector<std::unique_ptr<Mapping>> mappings_;
  std::map<std::string, FileTensor> tensors_;
  std::map<std::string, std::string> metadata_;
  std::string where_;
};

/// Converts `count` elements of a file tensor to fp32, from element `first` on.
void toFloat(const FileTensor& tensor, int64_t first, int64_t count, float* out);

/// Lets go of the memory that holds a copied part of a file, `count` elements from `first` on. Where it is read again, it comes from the
/// file again.
void letGo(const FileTensor& tensor, int64_t first, int64_t count);

/// A tensor to be written; `read` hands out its bytes piece by piece so that device memory need not be copied whole.
struct TensorSource {
  std::string name;
  FileDType dtype = FileDType::f32;
  std::vector<int64_t> shape;
  /// Copies `bytes` bytes from `offset` of the tensor's row-major data.
  std::function<void(size_t offset, size_t bytes, void* out)> read;
};

/// Writes `<directory>/<stem>.safetensors`, or shards of at most `maxShardBytes` with an index. The order of tensors in the file is by
/// name, so equal values give equal bytes. Synced to disk before it returns; a full disk or read-only folder throws Error and leaves no
/// half-written file under its final name.
void writeTensors(const std::filesystem::path& directory, const std::string& stem, std::vector<TensorSource> tensors,
                  const std::map<std::string, std::string>& metadata, size_t maxShardBytes);

}  // namespace sftlab
