// Operations recorded once and started with one call: a CUDA graph, captured from the stream. The emulator keeps the calls of kernels with
// their arguments as they are, as a graph does.

#include <exception>

#include "cuda/cuda_backend_impl.h"
#include "io/error.h"

namespace sftlab::cuda {

namespace {

struct Recorded final : Recording {
#ifdef __CUDACC__
  cudaGraphExec_t graph = nullptr;
  ~Recorded() override {
    if (graph) cudaGraphExecDestroy(graph);
  }
#else
  Stream::Notes notes;
#endif
  const void* scratch = nullptr;  ///< where it was: operations write there
};

}  // namespace

std::unique_ptr<Recording> CudaBackend::record(const std::function<void()>& operations) {
  if (!records_) return nullptr;
  auto made = std::make_unique<Recorded>();
  made->scratch = scratch_;
#ifdef __CUDACC__
  cudaGraph_t captured = nullptr;
  const auto begin = [&] { return cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed) == cudaSuccess; };
  const auto end = [&] { return cudaStreamEndCapture(stream_, &captured) == cudaSuccess && captured; };
#else
  const auto begin = [&] { return *stream_.notes = &made->notes, true; };
  const auto end = [&] { return *stream_.notes = nullptr, true; };
#endif
  bool whole = begin();
  std::exception_ptr mistake;
  if (whole) {
    recording_ = true;
    try {
      operations();
    } catch (const Error&) {  // what the card refuses to record, it may still do
      whole = false;
    } catch (...) {
      mistake = std::current_exception();
    }
    recording_ = false;
    whole = end() && whole;
  }
#ifdef __CUDACC__
  if (whole) whole = cudaGraphInstantiateWithFlags(&made->graph, captured, 0) == cudaSuccess;
  if (captured) cudaGraphDestroy(captured);
  if (!whole) cudaGetLastError();  // it is answered; nobody else shall find it
#endif
  if (mistake) std::rethrow_exception(mistake);
  if (!whole) return nullptr;
  return made;
}

bool CudaBackend::replay(const Recording& recording) {
  const auto& made = static_cast<const Recorded&>(recording);
  if (made.scratch != scratch_) return false;
#ifdef __CUDACC__
  check(cudaGraphLaunch(made.graph, stream_));
#else
  for (const auto& note : made.notes) note();
  ++emulator::replays;
#endif
  return true;
}

}  // namespace sftlab::cuda
