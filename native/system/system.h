#pragma once

// What differs between operating systems: files, memory, cores. posix.cpp is for Linux and macOS, windows.cpp for Windows; nowhere else
// is it asked which system this is. Descriptors are C's: `read`, `write` and `close` of <unistd.h> take them, `errno` says what failed.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace sftlab::system {

/// Paths cross into and out of JavaScript as UTF-8, whatever the system's own encoding is.
std::filesystem::path pathOf(const std::string& utf8);
std::string textOf(const std::filesystem::path& path);

/// A descriptor to read from, or -1. Neither a pipe nor a device makes it wait.
int openToRead(const std::filesystem::path& path);
/// A descriptor of an empty file, or -1; what was there is gone.
int openToWrite(const std::filesystem::path& path);

struct FileFacts {
  bool regular = false;  ///< no folder, pipe or device
  uint64_t bytes = 0;
};
FileFacts factsOf(int descriptor);

/// False where the file may not be on disk yet.
bool syncFile(int descriptor);
/// Gives a file another name; a file that has it is replaced in one go. False where that failed.
bool replaceFile(const std::filesystem::path& from, const std::filesystem::path& to);
/// Puts the names in a folder on disk, on systems where files do not do that themselves.
void syncFolder(const std::filesystem::path& directory);
bool isDiskFull(int error);

/// The whole of a file (at least one byte), read only, or nullptr. The descriptor may be closed.
void* mapFile(int descriptor, size_t bytes);
void unmapFile(void* address, size_t bytes);
/// Pages of a map that lie wholly within these bytes need not be kept in memory; reading them again reads the file.
void letGo(const void* from, size_t bytes);

/// Addresses without memory behind them, or nullptr: whoever touches one is stopped at once.
void* reserveAddresses(size_t bytes);
void releaseAddresses(void* address, size_t bytes);

/// Memory at a multiple of `alignment`, a power of two, or nullptr; on huge pages, if asked for, where the system has them.
void* allocateAligned(size_t bytes, size_t alignment, bool hugePages);
void freeAligned(void* memory);

/// Cores that this process may use at once, at least 1.
int cores();
uint64_t memoryBytes();

}  // namespace sftlab::system
