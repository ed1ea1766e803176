#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace sftlab {

/// Reads a small file whole. Throws Error if it is missing, not a file, or larger than `maxBytes`.
std::string readTextFile(const std::filesystem::path& path, size_t maxBytes);

/// Writes a file beside its place, syncs it and renames it into place. Throws Error on a full disk or read-only folder.
void writeTextFile(const std::filesystem::path& path, const std::string& text);

/// The message for a failed write: what the system said, and what to do about it.
[[noreturn]] void throwWriteError(const std::filesystem::path& path, int code);

}  // namespace sftlab
