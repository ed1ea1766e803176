// Memory, copies and fills.

#include <algorithm>
#include <cstdlib>
#include <new>

#include "cuda/cuda_backend_impl.h"

namespace sftlab {

std::shared_ptr<Backend> makeCudaBackend(int device) { return std::make_shared<cuda::CudaBackend>(device); }

namespace cuda {

namespace {

Stream makeStream(int device) {
#ifdef __CUDACC__
  Stream stream;
  check(cudaSetDevice(device));
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
#else
  (void)device;
  return {};
#endif
}

}  // namespace

CudaBackend::CudaBackend(int device) : device_(device), stream_(makeStream(device)), products_(stream_) {}

CudaBackend::~CudaBackend() {
  release(scratch_);
#ifdef __CUDACC__
  for (const auto& [data, bytes] : blocks_) cudaFree(data);
  cudaStreamDestroy(stream_);
#else
  for (const auto& [data, bytes] : blocks_) std::free(data);
#endif
}

void* CudaBackend::allocate(size_t bytes) {
  void* data = nullptr;
  const size_t size = std::max<size_t>(bytes, 1);
#ifdef __CUDACC__
  if (cudaMalloc(&data, size) != cudaSuccess) {
    cudaGetLastError();
    throw std::bad_alloc();
  }
#else
  if (size > PTRDIFF_MAX - 256) throw std::bad_alloc();
  data = std::aligned_alloc(256, (size + 255) / 256 * 256);
  if (!data) throw std::bad_alloc();
  std::memset(data, 0xFF, size);  // NaN, as long as nothing was written
#endif
  blocks_[data] = bytes;
  currentBytes_ += bytes;
  peakBytes_ = std::max(peakBytes_, currentBytes_);
  return data;
}

void CudaBackend::release(void* data) {
  const auto found = blocks_.find(data);
  if (found == blocks_.end()) return;
  currentBytes_ -= found->second;
  blocks_.erase(found);
#ifdef __CUDACC__
  cudaFree(data);
#else
  std::free(data);
#endif
}

void* CudaBackend::scratchBytes(size_t bytes) {
  if (bytes > scratchSize_) {
    synchronize();
    release(scratch_);
    scratch_ = nullptr;
    scratchSize_ = 0;
    scratch_ = allocate(bytes);
    scratchSize_ = bytes;
  }
  return scratch_;
}

void CudaBackend::upload(void* device, const void* host, size_t bytes) {
  if (bytes == 0) return;
  for (auto& [data, weight] : weights_) {  // a part of a weight may be loaded anew
    const auto* const first = static_cast<const char*>(data);
    const auto* const to = static_cast<const char*>(device);
    if (to >= first && to < first + static_cast<size_t>(weight.size) * sizeof(float)) weight.current = false;
  }
#ifdef __CUDACC__
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_));
  check(cudaStreamSynchronize(stream_));  // the host's memory may be reused
#else
  std::memcpy(device, host, bytes);
#endif
}

void CudaBackend::download(void* host, const void* device, size_t bytes) {
  if (bytes == 0) return;
#ifdef __CUDACC__
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_));
  check(cudaStreamSynchronize(stream_));
#else
  std::memcpy(host, device, bytes);
#endif
}

void CudaBackend::synchronize() {
#ifdef __CUDACC__
  check(cudaStreamSynchronize(stream_));
#endif
}

namespace {

template <typename T>
struct Fill {
  View<T> out;
  float value;
  DEVICE void operator()(int64_t row, int64_t col) const { put(out(row, col), value); }
};

template <typename To, typename From>
struct Copy {
  View<To> out;
  View<From> x;
  DEVICE void operator()(int64_t row, int64_t col) const { put(out(row, col), get(x(row, col))); }
};

}  // namespace

void CudaBackend::fill(const Tensor& out, float value) {
  withNumbers(out.dtype, [&]<typename T>() {
    launch(stream_, gridFor(out.size()), kThreads, 0, eachElement<Fill<T>>, out.rows, out.cols, Fill<T>{view<T>(out), value});
  });
}

void CudaBackend::zero(const Tensor& x) { fill(x, 0); }

void CudaBackend::copy(const Tensor& out, const Tensor& x) {
  withNumbers(out.dtype, [&]<typename To>() {
    withNumbers(x.dtype, [&]<typename From>() {
      using Body = Copy<To, From>;
      launch(stream_, gridFor(x.size()), kThreads, 0, eachElement<Body>, x.rows, x.cols, Body{view<To>(out), view<From>(x)});
    });
  });
}

}  // namespace cuda
}  // namespace sftlab
