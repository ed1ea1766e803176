#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sftlab {

/// Parses JSON that a stranger wrote: deeper than 64 levels, a key twice in an object and anything after the value are refused.
/// Throws std::invalid_argument that says what the text is or has wrong ("is not valid JSON (line 1, column 5)").
nlohmann::json parseJson(std::string_view text);

/// Reads a small JSON file whose value is an object. Throws Error naming the file.
nlohmann::json readJsonFile(const std::filesystem::path& path, size_t maxBytes);

/// A JSON value as it stands in a message: cut after 60 characters.
std::string brief(const nlohmann::json& value);

}  // namespace sftlab
