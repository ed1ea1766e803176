// Every rule of the safetensors format broken once, round trips, shards, conversions, and a mutation fuzz.

#include "io/safetensors.h"

#include <cmath>
#include <random>

#include "io/text_file.h"
#include "test/io/folder.h"

namespace sftlab {
namespace {

class Safetensors : public FolderTest {};

TEST_F(Safetensors, RoundTrip) {
  const std::vector<float> a{1, -2, 3.5f, 0, 1e-30f, INFINITY}, b{42};
  writeTensors(folder_, "model", {source("b", {1}, b), source("a", {2, 3}, a)}, {{"format", "pt"}}, SIZE_MAX);
  const TensorFiles files = TensorFiles::openFolder(folder_, "model");
  EXPECT_EQ(files.metadata().at("format"), "pt");
  ASSERT_EQ(files.tensors().size(), 2u);
  std::vector<float> read(6);
  toFloat(files.require("a", {2, 3}), 0, 6, read.data());
  EXPECT_EQ(read, a);
  toFloat(files.require("a", {2, 3}), 4, 1, read.data());
  EXPECT_EQ(read[0], a[4]);
  EXPECT_FALSE(fs::exists(folder_ / "model.safetensors.tmp"));
}

TEST_F(Safetensors, EqualValuesGiveEqualBytes) {
  const std::vector<float> values{1, 2, 3};
  writeTensors(folder_, "x", {source("b", {3}, values), source("a", {3}, values)}, {}, SIZE_MAX);
  writeTensors(folder_, "y", {source("a", {3}, values), source("b", {3}, values)}, {}, SIZE_MAX);
  EXPECT_EQ(readTextFile(folder_ / "x.safetensors", 1 << 20), readTextFile(folder_ / "y.safetensors", 1 << 20));
}

TEST_F(Safetensors, Shards) {
  std::vector<TensorSource> tensors;
  for (int i = 0; i < 5; ++i) tensors.push_back(source("t" + std::to_string(i), {4}, {1.f * i, 2, 3, 4}));
  writeTensors(folder_, "model", std::move(tensors), {}, 40);
  EXPECT_FALSE(fs::exists(folder_ / "model.safetensors"));
  EXPECT_TRUE(fs::exists(folder_ / "model-00003-of-00003.safetensors"));
  {
    const TensorFiles files = TensorFiles::openFolder(folder_, "model");
    EXPECT_EQ(files.tensors().size(), 5u);
    float first;
    toFloat(files.require("t3", {4}), 0, 1, &first);
    EXPECT_EQ(first, 3);
  }  // Windows removes no file that is mapped
  fs::remove(folder_ / "model-00002-of-00003.safetensors");
  EXPECT_THROW(TensorFiles::openFolder(folder_, "model"), Error);
}

TEST_F(Safetensors, ShardsStayInTheirFolder) {
  for (const char* name : {"../x.safetensors", "/etc/passwd", "..", ""}) {
    put("model.safetensors.index.json", std::string(R"({"weight_map": {"a": ")") + name + "\"}}");
    EXPECT_THROW(TensorFiles::openFolder(folder_, "model"), Error) << name;
  }
  for (const char* index : {"", "[]", "{}", R"({"weight_map": 1})", R"({"weight_map": {"a": 1}})"}) {
    put("model.safetensors.index.json", index);
    EXPECT_THROW(TensorFiles::openFolder(folder_, "model"), Error) << index;
  }
}

TEST_F(Safetensors, ShardsAndTensorsThatAreMissingAreNamed) {
  writeTensors(folder_, "a", {source("t", {1}, {1})}, {}, SIZE_MAX);
  put("model.safetensors.index.json", R"({"weight_map": {"t": "a.safetensors", "u": "b.safetensors"}})");
  Error error = failure([&] { TensorFiles::openFolder(folder_, "model"); });
  EXPECT_NE(std::string(error.what()).find("b.safetensors"), std::string::npos) << error.what();
  EXPECT_EQ(error.field, "weight_map.u");
  put("model.safetensors.index.json", R"({"weight_map": {"t": "a.safetensors", "u": "a.safetensors"}})");
  error = failure([&] { TensorFiles::openFolder(folder_, "model"); });
  EXPECT_EQ(error.field, "u");
  EXPECT_EQ(error.file, (folder_ / "a.safetensors").string());
  error = failure([&] { TensorFiles::openFolder(folder_, "nothing"); });
  EXPECT_NE(error.advice.find("pickle"), std::string::npos) << error.advice;
}

TEST_F(Safetensors, BrokenRules) {
  expectRefused(put("a", "short"), "shorter than 8 bytes");
  expectRefused(put("b", std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8) + "{}"), "longer than 100 MB");
  expectRefused(put("c", std::string("\x09\0\0\0\0\0\0\0", 8) + "{}"), "longer than the file");
  expectRefused(withHeader("", 0), "does not begin with {");
  expectRefused(withHeader(" {}", 0), "does not begin with {");
  expectRefused(withHeader("{", 0), "not valid JSON");
  expectRefused(withHeader("{\"a\":\"\xff\"}", 0), "not valid JSON");
  expectRefused(withHeader(R"({"a":1})", 0), "lacks dtype", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[1]}})", 4), "lacks dtype", "a");
  expectRefused(withHeader(R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}})", 4), "wrong type", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4), "unknown dtype \"F33\"", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), "not a whole number", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4), "not a whole number", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4), "overflows", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4), "past the end", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 4), "past the end", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4), "do not fit", "a");
  const std::string one = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  expectRefused(withHeader("{" + one + "," + one + "}", 4), "twice");
  expectRefused(withHeader("{" + one + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4), "overlap");
  expectRefused(withHeader("{" + one + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})", 12), "hole");
  expectRefused(withHeader("{" + one + "}", 5), "after the last tensor");
  expectRefused(withHeader(R"({"__metadata__":{"a":1}})", 0), "not a string", "a");
  expectRefused(withHeader(std::string(200000, '{'), 0), "not valid JSON");
  expectRefused(withHeader(std::string("{}\0garbage", 10), 0), "not valid JSON");
  expectRefused(withHeader("{} {}", 0), "not valid JSON");
  std::string deep = "{";
  for (int i = 0; i < 100000; ++i) deep += "\"a\":{";
  expectRefused(withHeader(deep + std::string(100001, '}'), 0), "nested too deeply");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})", 4), "not a whole number", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}})", 4), "past the end", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e3]}})", 4), "not whole numbers", "a");
  expectRefused(withHeader(R"({"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}})", 4), "twice");
  EXPECT_NO_THROW(TensorFiles::open(withHeader("{" + one + "}  ", 4)));
  EXPECT_NO_THROW(TensorFiles::open(withHeader(R"({"e":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}})", 0)));
  EXPECT_THROW(TensorFiles::open(folder_), Error);
  EXPECT_THROW(TensorFiles::open(folder_ / "nowhere"), Error);
}

TEST_F(Safetensors, RequireNamesTheTensor) {
  const TensorFiles files = TensorFiles::open(withHeader(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"i":{"dtype":"I64","shape":[1],"data_offsets":[8,16]}})", 16));
  const auto expect = [&](const std::string& name, const std::vector<int64_t>& shape, const std::string& message) {
    try {
      files.require(name, shape);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.field, name);
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  };
  expect("b", {2}, "missing");
  expect("a", {1, 2}, "has shape [2], but config.json asks for [1, 2]");
  expect("i", {1}, "stored as I64");
}

TEST_F(Safetensors, HalfPrecisionIsExact) {
  const auto value = [](FileDType dtype, uint16_t bits) {
    FileTensor tensor;
    tensor.dtype = dtype;
    tensor.data = reinterpret_cast<const std::byte*>(&bits);
    float out;
    toFloat(tensor, 0, 1, &out);
    return out;
  };
  EXPECT_EQ(value(FileDType::f16, 0x3c00), 1.0f);
  EXPECT_EQ(value(FileDType::f16, 0xc000), -2.0f);
  EXPECT_EQ(value(FileDType::f16, 0x0001), 0x1p-24f);
  EXPECT_EQ(value(FileDType::f16, 0x03ff), 0x3ffp-24f);
  EXPECT_EQ(value(FileDType::f16, 0x0400), 0x1p-14f);
  EXPECT_EQ(value(FileDType::f16, 0x7bff), 65504.0f);
  EXPECT_EQ(value(FileDType::f16, 0x7c00), INFINITY);
  EXPECT_TRUE(std::isnan(value(FileDType::f16, 0x7e00)));
  EXPECT_TRUE(std::signbit(value(FileDType::f16, 0x8000)));
  EXPECT_EQ(value(FileDType::bf16, 0x3f80), 1.0f);
  EXPECT_EQ(value(FileDType::bf16, 0x4049), 3.140625f);
  EXPECT_TRUE(std::isnan(value(FileDType::bf16, 0x7fc0)));
}

TEST_F(Safetensors, TensorsNeedNotBeAligned) {
  // One byte of BOOL, then three floats: the reference's writer sorts by alignment, but the format does not ask for it.
  const std::string header = R"({"b":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},"f":{"dtype":"F32","shape":[3],"data_offsets":[1,13]}} )";
  const fs::path file = withHeader(header, 1);
  const std::vector<float> values{1.5f, -2, 3};
  std::ofstream(file, std::ios::binary | std::ios::app).write(reinterpret_cast<const char*>(values.data()), 12);
  const TensorFiles files = TensorFiles::open(file);
  std::vector<float> read(3);
  toFloat(files.require("f", {3}), 0, 3, read.data());
  EXPECT_EQ(read, values);
  float out;
  EXPECT_THROW(toFloat(files.tensors().at("b"), 0, 1, &out), Error);
}

TEST_F(Safetensors, ASourceThatFailsLeavesNothing) {
  std::vector<TensorSource> tensors{source("a", {1}, {1}), source("b", {1}, {1})};
  tensors[1].read = [](size_t, size_t, void*) { throw std::runtime_error("the device is gone"); };
  EXPECT_THROW(writeTensors(folder_, "model", tensors, {}, SIZE_MAX), std::runtime_error);
  EXPECT_THROW(writeTensors(folder_, "model", tensors, {}, 4), std::runtime_error);
  EXPECT_TRUE(names().empty());
}

TEST_F(Safetensors, MutatedFilesNeverCrash) {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  writeTensors(folder_, "model", {source("a", {2, 3}, values), source("b", {6}, values)}, {{"format", "pt"}}, SIZE_MAX);
  const std::string whole = readTextFile(folder_ / "model.safetensors", 1 << 20);
  std::mt19937 random(7);
  int read = 0;
  for (int round = 0; round < 10000; ++round) {
    std::string bytes = whole;
    const int edits = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < edits; ++i) {
      const size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes[at] = "{}[]:,\"0123456789-."[random() % 19]; break;
        case 2: bytes.erase(at, random() % 3); break;
        default: bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 12)); break;
      }
      if (bytes.empty()) break;
    }
    if (bytes.size() > 8 && random() % 2 == 0) {  // a header length that fits, so that the edits reach the parser and the rules
      const size_t end = bytes.rfind('}');
      const size_t length = end == std::string::npos || end < 8 ? 0 : end - 7;
      for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(length >> (8 * i));
    } else if (!bytes.empty() && random() % 4 == 0) {
      bytes.resize(random() % bytes.size());
    }
    try {
      const TensorFiles files = TensorFiles::open(put("mutated", bytes));
      for (const auto& [name, tensor] : files.tensors()) {
        if (tensor.dtype == FileDType::other) continue;
        std::vector<float> out(static_cast<size_t>(tensor.elements()));
        toFloat(tensor, 0, tensor.elements(), out.data());
      }
      ++read;
    } catch (const Error& error) {
      EXPECT_FALSE(std::string(error.what()).empty());
    }
  }
  EXPECT_GT(read, 100);  // some edits hit the data alone
}

}  // namespace
}  // namespace sftlab
