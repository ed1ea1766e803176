// Memory, copies and fills.

#include <algorithm>
#include <cstdlib>
#include <cstring>
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

void* takeMemory(size_t bytes) {
  const size_t size = std::max<size_t>(bytes, 1);
#ifdef __CUDACC__
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, size);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw std::bad_alloc();
  }
  check(error);
  return data;
#else
  return emulator::allocate(size);
#endif
}

/// Of the whole card.
size_t cardBytes() {
#ifdef __CUDACC__
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total));
  return total;
#else
  return emulator::memoryBytes();
#endif
}

void freeMemory(void* data) {
#ifdef __CUDACC__
  cudaFree(data);
#else
  emulator::release(data);
#endif
}

}  // namespace

#ifdef __CUDACC__
constexpr size_t kScratch = size_t{128} << 20, kStaging = size_t{8} << 20;
#else
constexpr size_t kScratch = size_t{1} << 16;
#endif

/// Host memory that the card reads by itself, used round and round: an upload of a batch is copied there and queued, and nobody waits.
struct CudaBackend::Staging {
#ifdef __CUDACC__
  char* memory = nullptr;
  size_t used = 0;
  Staging() { check(cudaMallocHost(reinterpret_cast<void**>(&memory), kStaging)); }
  ~Staging() { cudaFreeHost(memory); }
#endif
};

namespace {

/// Not where each kernel is waited for, nor with SFT_LAB_CUDA_GRAPHS=0.
bool wantsRecordings() {
  const char* const graphs = std::getenv("SFT_LAB_CUDA_GRAPHS");
#ifdef __CUDACC__
  if (waitsForEach()) return false;
#endif
  return !graphs || std::strcmp(graphs, "0") != 0;
}

}  // namespace

CudaBackend::CudaBackend(int device)
    : device_(device), records_(wantsRecordings()), stream_(makeStream(device)), staging_(std::make_unique<Staging>()), products_(stream_),
      cardBytes_(cardBytes()) {
  scratchBytes(kScratch);
}

CudaBackend::~CudaBackend() {
  freeMemory(scratch_);
  for (const auto& [data, bytes] : blocks_) freeMemory(data);
#ifdef __CUDACC__
  cudaStreamDestroy(stream_);
#endif
}

void* CudaBackend::allocate(size_t bytes) {
  mustNotRecord();
  void* const data = takeMemory(bytes);
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
  freeMemory(data);
}

void* CudaBackend::scratchBytes(size_t bytes) {
  if (bytes > scratchSize_) {
    synchronize();
    freeMemory(scratch_);
    scratch_ = nullptr;
    scratchSize_ = 0;
    scratch_ = takeMemory(bytes);
    scratchSize_ = bytes;
  }
  return scratch_;
}

size_t CudaBackend::ownBytes() const { return scratchSize_ + Products::kWorkspace; }

int64_t CudaBackend::headRows(int64_t vocabulary) const {
  // Each chunk reads the vocabulary's weights three times and their gradient twice: a GPU has to have many rows for that, as far as a
  // 32nd of its memory holds their logits.
  return std::clamp<int64_t>(static_cast<int64_t>(cardBytes_ / 32 / sizeof(float)) / vocabulary, 512, 4096) / 128 * 128;
}

void CudaBackend::upload(void* device, const void* host, size_t bytes) {
  if (bytes == 0) return;
  mustNotRecord();
#ifdef __CUDACC__
  if (bytes <= kStaging / 4) {
    if (staging_->used + bytes > kStaging) {
      check(cudaStreamSynchronize(stream_));
      staging_->used = 0;
    }
    char* const at = staging_->memory + staging_->used;
    std::memcpy(at, host, bytes);
    staging_->used += (bytes + 255) / 256 * 256;
    check(cudaMemcpyAsync(device, at, bytes, cudaMemcpyHostToDevice, stream_));
    return;
  }
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_));
  check(cudaStreamSynchronize(stream_));  // the host's memory may be reused
#else
  std::memcpy(device, host, bytes);
#endif
}

void CudaBackend::download(void* host, const void* device, size_t bytes) {
  if (bytes == 0) return;
  mustNotRecord();
#ifdef __CUDACC__
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_));
  check(cudaStreamSynchronize(stream_));
  staging_->used = 0;
#else
  std::memcpy(host, device, bytes);
#endif
}

void CudaBackend::synchronize() {
  mustNotRecord();
#ifdef __CUDACC__
  check(cudaStreamSynchronize(stream_));
  staging_->used = 0;
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
  DEVICE void four(int64_t row, int64_t col) const {
    float numbers[4];
    load(numbers, &x(row, col));
    store(&out(row, col), numbers);
  }
};

}  // namespace

void CudaBackend::fill(const Tensor& out, float value) {
  withNumbers(out.dtype, [&]<typename T>() {
    launch(stream_, gridFor(out.size()), kThreads, 0, eachElement<Fill<T>>, out.rows, out.cols, Fill<T>{view<T>(out), value});
  });
}

void CudaBackend::zero(const Tensor& x) {
#ifdef __CUDACC__
  if (x.contiguous() && x.size() > 0) {
    check(cudaMemsetAsync(x.data, 0, x.bytes(), stream_));
    return;
  }
#endif
  fill(x, 0);
}

void CudaBackend::copy(const Tensor& out, const Tensor& x) {
  withNumbers(out.dtype, [&]<typename To>() {
    withNumbers(x.dtype, [&]<typename From>() {
      using Body = Copy<To, From>;
      launchEach(stream_, x.rows, x.cols, Body{view<To>(out), view<From>(x)}, out, x);
    });
  });
}

}  // namespace cuda
}  // namespace sftlab
