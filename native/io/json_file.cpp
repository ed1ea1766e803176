// The JSON library recurses when a value is copied or printed, keeps the last of two equal keys in silence, and takes a NUL byte for
// the end of the text. All three are settled here, before anyone sees the value.

#include "io/json_file.h"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <vector>

#include "io/error.h"
#include "io/text_file.h"
#include "system/system.h"

namespace sftlab {

using nlohmann::json;

namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kBriefLength = 60;

std::string place(std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, std::min(at, text.size()));
  const size_t lineStart = before.rfind('\n');
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t column = lineStart == std::string_view::npos ? before.size() : before.size() - lineStart - 1;
  return " (line " + std::to_string(line) + ", column " + std::to_string(std::max<size_t>(column, 1)) + ")";
}

}  // namespace

json parseJson(std::string_view text) {
  const size_t nul = text.find('\0');
  if (nul != std::string_view::npos) throw std::invalid_argument("is not valid JSON" + place(text, nul + 1));
  std::vector<std::set<std::string>> open;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
        open.emplace_back();
        [[fallthrough]];
      case json::parse_event_t::array_start:
        if (depth >= kMaxDepth) throw std::invalid_argument("is nested too deeply");
        break;
      case json::parse_event_t::object_end:
        open.pop_back();
        break;
      case json::parse_event_t::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!open.back().insert(key).second) throw std::invalid_argument("has the name " + brief(parsed) + " twice");
        break;
      }
      default:
        break;
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), watch);
  } catch (const json::parse_error& error) {
    throw std::invalid_argument("is not valid JSON" + place(text, error.byte));
  } catch (const json::exception&) {  // a number out of range
    throw std::invalid_argument("is not valid JSON");
  }
}

json readJsonFile(const std::filesystem::path& path, size_t maxBytes) {
  const std::string text = readTextFile(path, maxBytes);
  json value;
  try {
    value = parseJson(text);
  } catch (const std::invalid_argument& error) {
    throw Error(error.what(), system::textOf(path), {},
                "The file is damaged or was edited by hand; fetch it again or correct it.");
  }
  if (!value.is_object()) throw Error("is not a JSON object", system::textOf(path));
  return value;
}

std::string brief(const json& value) {
  std::string text = value.dump();
  if (text.size() <= kBriefLength) return text;
  size_t length = kBriefLength;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;  // between UTF-8 characters
  return text.substr(0, length) + "...";
}

}  // namespace sftlab
