#pragma once

// Synthetic records that we and the peers are trained on: token ids drawn unevenly, as words are, from a fixed seed, so that losses fall and
// two trainers' curves can be compared.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/model.h"

namespace sftlab::bench {

/// A record is trained on from its token `prompt` on.
struct Record {
  std::vector<int32_t> tokens;
  int32_t prompt = 0;
};

/// Of `shortest` to `longest` tokens each, the first `share` of them the prompt.
inline std::vector<Record> makeRecords(int32_t count, int32_t shortest, int32_t longest, double share, int32_t vocabulary) {
  std::mt19937 random(7);
  const auto uniform = [&] { return static_cast<double>(random()) / 4294967296.0; };
  std::vector<Record> records(static_cast<size_t>(count));
  for (Record& record : records) {
    const auto length = shortest + static_cast<int32_t>(uniform() * (longest - shortest + 1));
    for (int32_t i = 0; i < length; ++i) record.tokens.push_back(static_cast<int32_t>(std::pow(uniform(), 3) * vocabulary));
    record.prompt = static_cast<int32_t>(length * share);
  }
  return records;
}

/// One JSON object a line: {"tokens": [ids], "prompt": n}.
inline void writeRecords(const std::string& file, const std::vector<Record>& records) {
  std::ofstream out(file);
  for (const Record& record : records) out << nlohmann::json{{"tokens", record.tokens}, {"prompt", record.prompt}}.dump() << '\n';
  if (!out.flush()) throw std::runtime_error("cannot write " + file);
}

inline std::vector<Record> readRecords(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error("cannot read " + file);
  std::vector<Record> records;
  for (std::string line; std::getline(in, line);) {
    const auto record = nlohmann::json::parse(line);
    records.push_back({record.at("tokens").get<std::vector<int32_t>>(), record.at("prompt").get<int32_t>()});
  }
  if (records.empty()) throw std::runtime_error("there are no records in " + file);
  return records;
}

/// Some records as one flat batch. A token whose next one is in the completion is trained on.
struct FlatBatch {
  std::vector<int32_t> tokens, targets, offsets{0};
  std::vector<float> weights;
  std::vector<uint8_t> groups;

  void add(const Record& record) {
    const auto length = static_cast<int32_t>(record.tokens.size());
    for (int32_t i = 0; i < length; ++i) {
      const bool last = i + 1 == length, trained = !last && i + 1 >= record.prompt;
      tokens.push_back(record.tokens[static_cast<size_t>(i)]);
      targets.push_back(last ? 0 : record.tokens[static_cast<size_t>(i) + 1]);
      weights.push_back(trained ? 1.0f : 0.0f);
      groups.push_back(trained ? 2 : 0);
    }
    offsets.push_back(static_cast<int32_t>(tokens.size()));
  }
  Batch view() const {
    return {tokens.data(),  targets.data(), weights.data(), groups.data(), static_cast<int32_t>(tokens.size()),
            offsets.data(), static_cast<int32_t>(offsets.size()) - 1};
  }
};

}  // namespace sftlab::bench
