// Memory, copies and fills. Every block carries its size in the 64 bytes before it, so that the figures of `currentBytes` are exact.

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "cpu/cpu_backend_impl.h"

namespace sftlab {

int availableCores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

std::shared_ptr<Backend> makeCpuBackend(int threads) { return std::make_shared<CpuBackend>(threads); }

CpuBackend::CpuBackend(int threads)
    : threads_(threads > 0 ? threads : availableCores()), scratch_(static_cast<size_t>(threads_)) {}

void* CpuBackend::allocate(size_t bytes) {
  const size_t whole = 64 + (bytes + 63) / 64 * 64;
  char* block = bytes > SIZE_MAX - 128 ? nullptr : static_cast<char*>(std::aligned_alloc(64, whole));
  if (!block) throw std::bad_alloc();
  std::memcpy(block, &bytes, sizeof bytes);
  currentBytes_ += bytes;
  peakBytes_ = std::max(peakBytes_.load(), currentBytes_.load());
  return block + 64;
}

void CpuBackend::release(void* data) {
  if (!data) return;
  char* block = static_cast<char*>(data) - 64;
  size_t bytes;
  std::memcpy(&bytes, block, sizeof bytes);
  currentBytes_ -= bytes;
  std::free(block);
}

void CpuBackend::upload(void* device, const void* host, size_t bytes) { std::memcpy(device, host, bytes); }
void CpuBackend::download(void* host, const void* device, size_t bytes) { std::memcpy(host, device, bytes); }

void CpuBackend::zero(const Tensor& x) {
#pragma omp parallel for num_threads(threadsFor(x.size())) schedule(static)
  for (int64_t row = 0; row < x.rows; ++row) {
    std::memset(x.slice(row, 1).data, 0, static_cast<size_t>(x.cols) * sizeOf(x.dtype));
  }
}

void CpuBackend::copy(const Tensor& out, const Tensor& x) {
#pragma omp parallel for num_threads(threadsFor(x.size())) schedule(static)
  for (int64_t row = 0; row < x.rows; ++row) {
    std::memcpy(out.slice(row, 1).data, x.slice(row, 1).data, static_cast<size_t>(x.cols) * sizeOf(x.dtype));
  }
}

void CpuBackend::fill(const Tensor& out, float value) {
  for (int64_t row = 0; row < out.rows; ++row) std::fill_n(out.slice(row, 1).f32(), out.cols, value);
}

}  // namespace sftlab
