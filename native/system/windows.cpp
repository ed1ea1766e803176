#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <fcntl.h>
#include <io.h>
#include <malloc.h>
#include <sys/stat.h>
#include <windows.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "system/system.h"

namespace sftlab::system {

namespace fs = std::filesystem;

namespace {

/// The nearest that C knows to what failed last.
int errorOfSystem() {
  switch (GetLastError()) {
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_WRITE_PROTECT:
      return EACCES;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
      return ENOSPC;
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
      return ENOENT;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_COMMITMENT_LIMIT:
      return ENOMEM;
    default:
      return EIO;
  }
}

}  // namespace

fs::path pathOf(const std::string& utf8) { return std::u8string(utf8.begin(), utf8.end()); }

std::string textOf(const fs::path& path) {
  const std::u8string text = path.u8string();
  return {text.begin(), text.end()};
}

int openToRead(const fs::path& path) { return _wopen(path.c_str(), _O_RDONLY | _O_BINARY | _O_NOINHERIT); }

int openToWrite(const fs::path& path) {
  return _wopen(path.c_str(), _O_WRONLY | _O_CREAT | _O_TRUNC | _O_BINARY | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
}

FileFacts factsOf(int descriptor) {
  struct _stat64 status;
  if (_fstat64(descriptor, &status) != 0 || (status.st_mode & _S_IFMT) != _S_IFREG) return {};
  return {true, static_cast<uint64_t>(status.st_size)};
}

bool syncFile(int descriptor) { return _commit(descriptor) == 0; }

bool replaceFile(const fs::path& from, const fs::path& to) {
  if (MoveFileExW(from.c_str(), to.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) return true;
  errno = errorOfSystem();
  return false;
}

void syncFolder(const fs::path&) {}  // `replaceFile` has written the name through

bool isDiskFull(int error) { return error == ENOSPC; }

void* mapFile(int descriptor, size_t bytes) {
  const auto file = reinterpret_cast<HANDLE>(_get_osfhandle(descriptor));
  const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  void* const address = mapping ? MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, bytes) : nullptr;
  if (!address) errno = errorOfSystem();
  if (mapping) CloseHandle(mapping);  // the view holds it
  return address;
}

void unmapFile(void* address, size_t) { UnmapViewOfFile(address); }

// Pages of a view leave the working set when their locks are given back, which they need not have; the data stays cached.
void letGo(const void* from, size_t bytes) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  const auto page = static_cast<uintptr_t>(info.dwPageSize);
  const auto start = reinterpret_cast<uintptr_t>(from);
  const uintptr_t first = (start + page - 1) / page * page, end = (start + bytes) / page * page;
  if (first < end) VirtualUnlock(reinterpret_cast<void*>(first), end - first);
}

void* reserveAddresses(size_t bytes) { return VirtualAlloc(nullptr, bytes, MEM_RESERVE, PAGE_NOACCESS); }

void releaseAddresses(void* address, size_t) { VirtualFree(address, 0, MEM_RELEASE); }

// Huge pages need a privilege that hardly any account has.
void* allocateAligned(size_t bytes, size_t alignment, bool) { return _aligned_malloc(bytes, alignment); }

void freeAligned(void* memory) { _aligned_free(memory); }

int cores() {
  DWORD_PTR allowed = 0, system = 0;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &allowed, &system) || allowed == 0) return 1;
  return std::popcount(static_cast<uint64_t>(allowed));
}

uint64_t memoryBytes() {
  MEMORYSTATUSEX status;
  status.dwLength = sizeof status;
  return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : 0;
}

}  // namespace sftlab::system
