#include "cuda/products.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "cuda/cublaslt.h"
#include "cuda/number.h"

namespace sftlab::cuda {

#ifdef __CUDACC__

namespace {

void succeed(CublasLt::Status status, const char* what) {
  if (status == 0) return;
  throw failure(std::string(what) + " by cuBLASLt", "status " + std::to_string(status));
}

int typeOf(DType dtype) { return dtype == DType::f32 ? CublasLt::kFloat : CublasLt::kBf16; }

}  // namespace

struct Products::Library {
  /// A product as the library knows it: descriptions, and the algorithm for them.
  struct Plan {
    void *desc = nullptr, *a = nullptr, *b = nullptr, *addend = nullptr, *out = nullptr;
    bool addsBias = false;
    CublasLt::Algorithm algorithm{};
  };
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, uint64_t>;

  explicit Library(Stream stream) : stream(stream) {}

  const CublasLt& lt = CublasLt::get();
  static constexpr int kCandidates = 8;
  static constexpr size_t kMostPlans = 4096;
  Stream stream;
  CublasLt::Handle handle = nullptr;
  void* workspace = nullptr;
  std::map<Key, Plan> plans;

  const Plan& plan(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, bool ta, const Tensor& b, bool tb) {
    const int64_t inner = ta ? a.rows : a.cols;
    const uint32_t alignments[] = {alignment(b), alignment(a), alignment(addend), alignment(out)};
    uint64_t kind = (ta ? 1u : 0u) | (tb ? 2u : 0u) | (a.dtype == DType::bf16 ? 4u : 0u) | (out.dtype == DType::bf16 ? 8u : 0u);
    for (const uint32_t bytes : alignments) kind = kind << 9 | bytes;
    kind = kind << 9 | (bias ? alignment(bias) : 0);
    const Key key{out.rows, out.cols, inner, a.stride, b.stride, out.stride, addend.stride, kind};
    if (const auto known = plans.find(key); known != plans.end()) return known->second;
    // Without padding there are as many shapes as batches have numbers of tokens.
    if (plans.size() >= kMostPlans) forget();
    const auto found = plans.try_emplace(key).first;
    try {
      return make(found->second, out, addend, bias, a, ta, b, tb, alignments);
    } catch (...) {
      plans.erase(found);  // nothing half made is used later
      throw;
    }
  }

  void forget() {
    for (const auto& [key, plan] : plans) {
      lt.matmulDescDestroy(plan.desc);
      for (void* layout : {plan.a, plan.b, plan.addend, plan.out}) lt.layoutDestroy(layout);
    }
    plans.clear();
  }

  /// What the library may take for granted of where x begins.
  static uint32_t alignment(const Tensor& x) {
    const auto at = reinterpret_cast<uintptr_t>(x.data);
    return static_cast<uint32_t>(std::min<uintptr_t>(at & (~at + 1), 256));
  }

  void setEpilogue(const Plan& plan, uint32_t epilogue, const void* bias) const {
    succeed(lt.matmulDescSetAttribute(plan.desc, CublasLt::kEpilogue, &epilogue, sizeof epilogue), "an epilogue");
    succeed(lt.matmulDescSetAttribute(plan.desc, CublasLt::kBiasPointer, &bias, sizeof bias), "a bias");
  }

  const Plan& make(Plan& plan, const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, bool ta, const Tensor& b, bool tb,
                   const uint32_t (&alignments)[4]) {
    // The library counts by columns: it sees the transposes of what stands here by rows, so the sides change places.
    succeed(lt.matmulDescCreate(&plan.desc, CublasLt::kComputeFloat, CublasLt::kFloat), "the description of a product");
    const int first = tb, second = ta;
    succeed(lt.matmulDescSetAttribute(plan.desc, CublasLt::kTransposeA, &first, sizeof first), "a transposition");
    succeed(lt.matmulDescSetAttribute(plan.desc, CublasLt::kTransposeB, &second, sizeof second), "a transposition");
    const auto layout = [&](void** to, const Tensor& x) {
      succeed(lt.layoutCreate(to, typeOf(x.dtype), static_cast<uint64_t>(x.cols), static_cast<uint64_t>(x.rows), x.stride), "a layout");
    };
    layout(&plan.a, b);
    layout(&plan.b, a);
    layout(&plan.addend, addend);
    layout(&plan.out, out);
    void* preference = nullptr;
    succeed(lt.preferenceCreate(&preference), "a preference");
    succeed(lt.preferenceSetAttribute(preference, CublasLt::kMaxWorkspace, &kWorkspace, sizeof kWorkspace), "a preference");
    for (int side = 0; side < 4; ++side) {
      succeed(lt.preferenceSetAttribute(preference, CublasLt::kAlignmentA + side, &alignments[side], sizeof alignments[side]), "a preference");
    }
    CublasLt::Heuristic found[kCandidates]{};
    int count = 0;
    const auto choose = [&] {
      return lt.heuristic(handle, plan.desc, plan.a, plan.b, plan.addend, plan.out, preference, tunes() ? kCandidates : 1, found, &count);
    };
    if (bias) {
      setEpilogue(plan, CublasLt::kAddBias, bias.data);
      plan.addsBias = choose() == 0 && count > 0;
      if (!plan.addsBias) setEpilogue(plan, CublasLt::kNoEpilogue, nullptr);
    }
    if (!plan.addsBias) succeed(choose(), "the choice of an algorithm");
    lt.preferenceDestroy(preference);
    if (count == 0) throw Error("cuBLASLt has no algorithm for a product of this shape", {}, "device");
    plan.algorithm = found[0].algorithm;
    if (count > 1) plan.algorithm = fastest(plan, out, addend, a, b, found, count);
    return plan;
  }

  /// With SFT_LAB_CUDA_TUNE=1 the library's best guesses are tried for each shape, and the fastest one is kept. Not by itself: what is the
  /// fastest may differ from run to run, and then so do the last bits.
  static bool tunes() {
    static const bool wanted = std::getenv("SFT_LAB_CUDA_TUNE") != nullptr;
    return wanted;
  }

  CublasLt::Algorithm fastest(const Plan& plan, const Tensor& out, const Tensor& addend, const Tensor& a, const Tensor& b,
                              const CublasLt::Heuristic* found, int count) {
    // Results go elsewhere: what is added to must be added to once.
    void* elsewhere = nullptr;
    const size_t bytes = static_cast<size_t>((out.rows - 1) * out.stride + out.cols) * sizeOf(out.dtype);
    if (cudaMalloc(&elsewhere, bytes) != cudaSuccess) {
      cudaGetLastError();
      return found[0].algorithm;
    }
    cudaEvent_t begin, end;
    check(cudaEventCreate(&begin));
    check(cudaEventCreate(&end));
    const float alpha = 1, beta = 1;
    float least = INFINITY;
    int best = 0;
    for (int i = 0; i < count; ++i) {
      const auto run = [&] {
        return lt.matmul(handle, plan.desc, &alpha, b.data, plan.a, a.data, plan.b, &beta, addend.data, plan.addend, elsewhere, plan.out,
                         &found[i].algorithm, workspace, kWorkspace, stream) == 0;
      };
      if (found[i].state != 0 || !run()) continue;
      check(cudaEventRecord(begin, stream));
      for (int repeat = 0; repeat < 3; ++repeat) run();
      check(cudaEventRecord(end, stream));
      check(cudaEventSynchronize(end));
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, begin, end));
      if (milliseconds < least) {
        least = milliseconds;
        best = i;
      }
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    cudaFree(elsewhere);
    return found[best].algorithm;
  }
};

Products::Products(Stream stream) : stream_(stream), library_(std::make_unique<Library>(stream)) {
  succeed(library_->lt.create(&library_->handle), "the start");
  check(cudaMalloc(&library_->workspace, kWorkspace));
}

Products::~Products() {
  library_->forget();
  library_->lt.destroy(library_->handle);
  cudaFree(library_->workspace);
}

bool Products::multiply(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb,
                        float alpha, float beta) {
  const Library::Plan& plan = library_->plan(out, addend, bias, a, ta == Transpose::yes, b, tb == Transpose::yes);
  if (plan.addsBias) library_->setEpilogue(plan, CublasLt::kAddBias, bias.data);  // another layer's, perhaps
  succeed(library_->lt.matmul(library_->handle, plan.desc, &alpha, b.data, plan.a, a.data, plan.b, &beta, addend.data, plan.addend, out.data,
                              plan.out, &plan.algorithm, library_->workspace, kWorkspace, stream_),
          "a product");
  return plan.addsBias;
}

#else

struct Products::Library {};
Products::Products(Stream stream) : stream_(stream) {}
Products::~Products() = default;

namespace {

template <typename Number, typename Result>
struct Multiply {
  View<Result> out, addend, bias;
  View<Number> a, b;
  bool ta, tb;
  float alpha, beta;
  void operator()() const {
    const int64_t inner = ta ? a.rows : a.cols;
    std::vector<float> right(static_cast<size_t>(inner * out.cols)), left(static_cast<size_t>(inner));
    for (int64_t k = 0; k < inner; ++k) {
      for (int64_t col = 0; col < out.cols; ++col) right[static_cast<size_t>(k * out.cols + col)] = get(tb ? b(col, k) : b(k, col));
    }
    std::vector<float> sums(static_cast<size_t>(out.cols));
    for (int64_t row = 0; row < out.rows; ++row) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (int64_t k = 0; k < inner; ++k) {
        const float one = get(ta ? a(k, row) : a(row, k));
        const float* const from = right.data() + k * out.cols;
        for (int64_t col = 0; col < out.cols; ++col) sums[static_cast<size_t>(col)] += one * from[col];
      }
      for (int64_t col = 0; col < out.cols; ++col) {
        Result& to = out(row, col);
        put(to, alpha * sums[static_cast<size_t>(col)] + (beta != 0 ? get(addend(row, col)) : 0.0f) + (bias.data ? get(bias(0, col)) : 0.0f));
      }
    }
  }
};

}  // namespace

bool Products::multiply(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb,
                        float alpha, float beta) {
  withNumbers(a.dtype, [&]<typename Number>() {
    withNumbers(out.dtype, [&]<typename Result>() {
      stream_.queue(Multiply<Number, Result>{view<Result>(out), view<Result>(addend), view<Result>(bias), view<Number>(a), view<Number>(b),
                                             ta == Transpose::yes, tb == Transpose::yes, alpha, beta});
    });
  });
  return true;
}

#endif

}  // namespace sftlab::cuda
