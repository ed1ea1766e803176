// Reading safetensors by memory map. Every length and offset is checked against the file before it is used; the file must
// not shrink while it is mapped (as with every memory map, reading past its new end would raise SIGBUS).

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "io/error.h"
#include "io/json_file.h"
#include "io/safetensors.h"
#include "system/system.h"

namespace sftlab {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the reference implementation
constexpr size_t kMaxFieldLength = 200;            // of a name in a message

/// Bytes of one element, by the format's names; 0: not a type of the format that we know the size of.
size_t elementBytes(const std::string& dtype) {
  static const std::map<std::string, size_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"F8_E8M0", 1}, {"I16", 2}, {"U16", 2},
      {"F16", 2},  {"BF16", 2}, {"I32", 4}, {"U32", 4},     {"F32", 4},     {"C64", 8},     {"F64", 8}, {"I64", 8},
      {"U64", 8}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

FileDType fileDType(const std::string& dtype) {
  if (dtype == "F32") return FileDType::f32;
  if (dtype == "F16") return FileDType::f16;
  if (dtype == "BF16") return FileDType::bf16;
  return FileDType::other;
}

[[noreturn]] void malformed(const std::string& file, const std::string& what, const std::string& field = {}) {
  throw Error("not a valid safetensors file: " + what, file, field.substr(0, kMaxFieldLength),
              "The file is damaged or was not downloaded whole; fetch it again.");
}

json parseHeader(const std::string& file, const char* text, size_t bytes) {
  try {
    return parseJson({text, bytes});
  } catch (const std::invalid_argument& error) {
    malformed(file, std::string("the header ") + error.what());
  }
}

bool unsignedNumber(const json& value, uint64_t& out) {
  if (!value.is_number_unsigned()) return false;
  out = value.get<uint64_t>();
  return true;
}

struct Span {
  uint64_t begin, end;
};

FileTensor readEntry(const std::string& file, const std::string& name, const json& entry, const std::byte* data,
                     uint64_t dataBytes, Span& span) {
  const auto dtype = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
  if (!entry.is_object() || dtype == entry.end() || shape == entry.end() || offsets == entry.end()) {
    malformed(file, "an entry lacks dtype, shape or data_offsets", name);
  }
  if (!dtype->is_string() || !shape->is_array() || !offsets->is_array() || offsets->size() != 2) {
    malformed(file, "dtype, shape or data_offsets has the wrong type", name);
  }
  FileTensor tensor;
  tensor.file = file;
  tensor.dtypeName = dtype->get<std::string>();
  tensor.dtype = fileDType(tensor.dtypeName);
  const size_t size = elementBytes(tensor.dtypeName);
  if (size == 0) malformed(file, "unknown dtype " + brief(*dtype), name);

  uint64_t expected = size;
  for (const json& dimension : *shape) {
    uint64_t length;
    if (!unsignedNumber(dimension, length) || length > static_cast<uint64_t>(INT64_MAX)) {
      malformed(file, "a dimension is not a whole number", name);
    }
    if (__builtin_mul_overflow(expected, length, &expected)) malformed(file, "the shape overflows", name);
    tensor.shape.push_back(static_cast<int64_t>(length));
  }
  if (!unsignedNumber((*offsets)[0], span.begin) || !unsignedNumber((*offsets)[1], span.end)) {
    malformed(file, "data_offsets are not whole numbers", name);
  }
  if (span.begin > span.end || span.end > dataBytes) malformed(file, "data_offsets reach past the end of the file", name);
  if (span.end - span.begin != expected) malformed(file, "data_offsets do not fit dtype and shape", name);
  tensor.data = data + span.begin;
  tensor.bytes = expected;
  return tensor;
}

}  // namespace

struct TensorFiles::Mapping {
  void* address = nullptr;
  size_t bytes = 0;
  ~Mapping() {
    if (address) system::unmapFile(address, bytes);
  }
};

TensorFiles::TensorFiles() = default;
TensorFiles::TensorFiles(TensorFiles&&) noexcept = default;
TensorFiles& TensorFiles::operator=(TensorFiles&&) noexcept = default;
TensorFiles::~TensorFiles() = default;

int64_t FileTensor::elements() const {
  int64_t count = 1;
  for (int64_t length : shape) count *= length;
  return count;
}

void letGo(const FileTensor& tensor, int64_t first, int64_t count) {
  const auto width = tensor.bytes / static_cast<size_t>(std::max<int64_t>(1, tensor.elements()));
  // Whole pages: what is at the ends may belong to others, who need them at once.
  system::letGo(tensor.data + static_cast<size_t>(first) * width, static_cast<size_t>(count) * width);
}

TensorFiles TensorFiles::open(const fs::path& path) {
  const std::string file = system::textOf(path);
  const int descriptor = system::openToRead(path);
  if (descriptor < 0) throw Error(std::string("cannot be opened: ") + std::strerror(errno), file);
  const auto [regular, bytes] = system::factsOf(descriptor);
  auto mapping = std::make_unique<Mapping>();
  if (bytes >= 8) {
    mapping->address = system::mapFile(descriptor, bytes);
    mapping->bytes = bytes;
  }
  const int mapError = errno;
  ::close(descriptor);
  if (!regular) throw Error("is not a file", file);
  if (bytes < 8) malformed(file, "it is shorter than 8 bytes");
  if (!mapping->address) throw Error(std::string("cannot be mapped: ") + std::strerror(mapError), file);

  const auto* base = static_cast<const std::byte*>(mapping->address);
  uint64_t headerBytes = 0;
  for (int i = 7; i >= 0; --i) headerBytes = headerBytes << 8 | static_cast<uint64_t>(base[i]);
  if (headerBytes > kMaxHeaderBytes) malformed(file, "the header is longer than 100 MB");
  if (headerBytes > bytes - 8) malformed(file, "the header is longer than the file");
  const char* text = reinterpret_cast<const char*>(base + 8);
  if (headerBytes == 0 || text[0] != '{') malformed(file, "the header does not begin with {");

  TensorFiles files;
  files.where_ = file;
  const json header = parseHeader(file, text, headerBytes);
  const uint64_t dataBytes = bytes - 8 - headerBytes;
  std::vector<Span> spans;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) malformed(file, "__metadata__ is not an object");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) malformed(file, "a value of __metadata__ is not a string", key);
        files.metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    Span span{};
    files.tensors_[name] = readEntry(file, name, entry, base + 8 + headerBytes, dataBytes, span);
    spans.push_back(span);
  }
  std::sort(spans.begin(), spans.end(), [](Span a, Span b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  uint64_t covered = 0;
  for (const Span& span : spans) {
    if (span.begin != covered) malformed(file, span.begin < covered ? "tensors overlap" : "there is a hole between tensors");
    covered = span.end;
  }
  if (covered != dataBytes) malformed(file, "there are bytes after the last tensor");
  files.mappings_.push_back(std::move(mapping));
  return files;
}

TensorFiles TensorFiles::openFolder(const fs::path& directory, const std::string& stem) {
  std::error_code ignored;
  const fs::path single = directory / (stem + ".safetensors");
  const fs::path index = directory / (stem + ".safetensors.index.json");
  if (fs::exists(single, ignored)) return open(single);
  if (!fs::exists(index, ignored)) {
    throw Error("has neither " + stem + ".safetensors nor " + stem + ".safetensors.index.json", system::textOf(directory), {},
                "Weights are read from safetensors alone; pickle files (.bin, .pt) are never read.");
  }
  const json parsed = readJsonFile(index, 64 << 20);
  const auto map = parsed.find("weight_map");
  if (map == parsed.end() || !map->is_object()) {
    throw Error("has no weight_map", system::textOf(index), "weight_map", "The index of the shards is damaged; fetch it again.");
  }
  TensorFiles all;
  all.where_ = system::textOf(directory);
  std::map<std::string, TensorFiles> shards;
  for (const auto& [name, value] : map->items()) {
    if (!value.is_string()) throw Error("is not the name of a file", system::textOf(index), "weight_map." + name);
    const std::string shard = value.get<std::string>();
    if (shard.empty() || shard.find('/') != std::string::npos || shard.find('\0') != std::string::npos || shard == "..") {
      throw Error("must name a file of the same folder, not " + brief(value), system::textOf(index), "weight_map." + name);
    }
    if (!shards.count(shard)) {
      if (!fs::exists(directory / shard, ignored)) {
        throw Error("names the file " + shard + ", which is missing", system::textOf(index), "weight_map." + name,
                    "A shard of the model was not downloaded; fetch it.");
      }
      shards.emplace(shard, open(directory / shard));
    }
    const TensorFiles& from = shards.at(shard);
    const auto tensor = from.tensors_.find(name);
    if (tensor == from.tensors_.end()) {
      throw Error("stands in the index but not in the file", system::textOf(directory / shard), name);
    }
    all.tensors_[name] = tensor->second;
  }
  for (auto& [name, shard] : shards) {
    for (auto& mapping : shard.mappings_) all.mappings_.push_back(std::move(mapping));
  }
  return all;
}

const FileTensor& TensorFiles::require(const std::string& name, const std::vector<int64_t>& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw Error("this tensor is missing", where_, name, "config.json and the weights do not belong together.");
  }
  const auto text = [](const std::vector<int64_t>& dimensions) {
    std::string out = "[";
    for (size_t i = 0; i < dimensions.size(); ++i) out += (i ? ", " : "") + std::to_string(dimensions[i]);
    return out + "]";
  };
  const FileTensor& tensor = found->second;
  if (tensor.shape != shape) {
    throw Error("this tensor has shape " + text(tensor.shape) + ", but config.json asks for " + text(shape), tensor.file, name,
                "config.json and the weights do not belong together.");
  }
  if (tensor.dtype == FileDType::other) {
    throw Error("this tensor is stored as " + tensor.dtypeName + "; F32, F16 and BF16 can be read", tensor.file, name);
  }
  return tensor;
}

}  // namespace sftlab
