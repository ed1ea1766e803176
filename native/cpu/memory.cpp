// Memory, copies and fills. Every block carries its size in the 64 bytes before it, so that the figures of
// `currentBytes` are exact.

#include <cstring>

#include "cpu/cpu_backend_impl.h"
#include "system/system.h"

namespace sftlab {

namespace {

constexpr size_t kHeader = 64;
constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

std::shared_ptr<Backend> makeCpuBackend(int threads) { return std::make_shared<CpuBackend>(threads); }

CpuBackend::CpuBackend(int threads)
    : pool_(threads > 0 ? threads : system::cores()), scratch_(static_cast<size_t>(pool_.threads())) {}

void* CpuBackend::allocate(size_t bytes) {
  if (bytes > PTRDIFF_MAX - 2 * kHugePage) throw std::bad_alloc();
  // Large blocks stand on huge pages where the system has them: fewer address translations to miss in matrix products.
  const bool large = bytes >= 2 * kHugePage;
  char* const block = static_cast<char*>(system::allocateAligned(kHeader + bytes, large ? kHugePage : 64, large));
  if (!block) throw std::bad_alloc();
  std::memcpy(block, &bytes, sizeof bytes);
  currentBytes_ += bytes;
  peakBytes_ = std::max(peakBytes_, currentBytes_);
  return block + kHeader;
}

void CpuBackend::release(void* data) {
  if (!data) return;
  char* const block = static_cast<char*>(data) - kHeader;
  size_t bytes;
  std::memcpy(&bytes, block, sizeof bytes);
  currentBytes_ -= bytes;
  system::freeAligned(block);
}

void CpuBackend::upload(void* device, const void* host, size_t bytes) {
  if (bytes > 0) std::memcpy(device, host, bytes);
}

void CpuBackend::download(void* host, const void* device, size_t bytes) {
  if (bytes > 0) std::memcpy(host, device, bytes);
}

void CpuBackend::zero(const Tensor& x) {
  const size_t size = sizeOf(x.dtype);
  forElements(x.rows, x.cols, x.contiguous(), 1, [&](int64_t row, int64_t col, int64_t count) {
    std::memset(static_cast<char*>(x.data) + static_cast<size_t>(row * x.stride + col) * size, 0,
                static_cast<size_t>(count) * size);
  });
}

void CpuBackend::copy(const Tensor& out, const Tensor& x) {
  forElements(x.rows, x.cols, out.contiguous() && x.contiguous(), 1, [&](int64_t row, int64_t col, int64_t count) {
    const int64_t toAt = row * out.stride + col, fromAt = row * x.stride + col;
    char* const to = static_cast<char*>(out.data) + static_cast<size_t>(toAt) * sizeOf(out.dtype);
    const char* const from = static_cast<const char*>(x.data) + static_cast<size_t>(fromAt) * sizeOf(x.dtype);
    if (out.dtype == x.dtype) {
      std::memmove(to, from, static_cast<size_t>(count) * sizeOf(x.dtype));
    } else if (x.dtype == DType::f32) {
      const auto* const source = reinterpret_cast<const float*>(from);
      auto* const target = reinterpret_cast<Bf16*>(to);
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) put(target[c], source[c]);
    } else {
      const auto* const source = reinterpret_cast<const Bf16*>(from);
      auto* const target = reinterpret_cast<float*>(to);
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) target[c] = get(source[c]);
    }
  });
}

void CpuBackend::fill(const Tensor& out, float value) {
  requireF32(out);
  forElements(out.rows, out.cols, out.contiguous(), 1,
              [&](int64_t row, int64_t col, int64_t count) { std::fill_n(at(out, row, col), count, value); });
}

}  // namespace sftlab
