#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#if defined(__linux__)
#include <sched.h>
#else
#include <thread>
#endif

#include "system/system.h"

namespace sftlab::system {

namespace fs = std::filesystem;

fs::path pathOf(const std::string& utf8) { return utf8; }
std::string textOf(const fs::path& path) { return path.string(); }

int openToRead(const fs::path& path) { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }

int openToWrite(const fs::path& path) { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644); }

FileFacts factsOf(int descriptor) {
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return {true, static_cast<uint64_t>(status.st_size)};
}

bool syncFile(int descriptor) { return fsync(descriptor) == 0; }

bool replaceFile(const fs::path& from, const fs::path& to) { return ::rename(from.c_str(), to.c_str()) == 0; }

void syncFolder(const fs::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);  // some file systems cannot sync folders; they have nothing to lose there
  ::close(descriptor);
}

bool isDiskFull(int error) { return error == ENOSPC || error == EDQUOT; }

void* mapFile(int descriptor, size_t bytes) {
  void* const address = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
  return address == MAP_FAILED ? nullptr : address;
}

void unmapFile(void* address, size_t bytes) { munmap(address, bytes); }

void letGo(const void* from, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(from);
  const uintptr_t first = (start + page - 1) / page * page, end = (start + bytes) / page * page;
  // Advice: where it is refused, nothing is lost.
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

void* reserveAddresses(size_t bytes) {
  void* const address = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
  return address == MAP_FAILED ? nullptr : address;
}

void releaseAddresses(void* address, size_t bytes) { munmap(address, bytes); }

void* allocateAligned(size_t bytes, size_t alignment, [[maybe_unused]] bool hugePages) {
  const size_t whole = (bytes + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, whole);
#ifdef MADV_HUGEPAGE
  if (memory && hugePages) madvise(memory, whole, MADV_HUGEPAGE);  // advice: where it is refused, nothing is lost
#endif
  return memory;
}

void freeAligned(void* memory) { std::free(memory); }

#if defined(__linux__)
namespace {

/// Cores' worth of time that a container's quota allows, or 0 without one. The file reads "max 100000" or "<quota>
/// <period>".
int quotaCores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  return std::max(1, static_cast<int>(std::ceil(std::atof(quota.c_str()) / period)));
}

}  // namespace

int cores() {
  cpu_set_t set;
  const int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
  const int quota = quotaCores();
  return quota > 0 ? std::min(allowed, quota) : allowed;
}
#else
int cores() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }
#endif

uint64_t memoryBytes() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
}

}  // namespace sftlab::system
