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

/// The tensors of a product, as Products::multiply has them.
struct Operands {
  Tensor out, addend, bias, a, b;
  bool ta, tb;

  /// The same with as many tokens, the rows of a, as they are counted for the choice of an algorithm: eight sizes for each doubling, so that
  /// batches of any number of tokens ask the library no more than a few hundred times in all.
  Operands counted() const {
    if (ta && tb) return *this;  // nothing in a model is multiplied so
    int64_t step = 1;
    while (step * 16 < a.rows) step *= 2;
    Operands like = *this;
    like.a.rows = (a.rows + step - 1) / step * step;
    if (ta) {
      like.b.rows = like.a.rows;
    } else {
      like.out.rows = like.addend.rows = like.a.rows;
    }
    return like;
  }
};

}  // namespace

struct Products::Library {
  struct Choice {
    CublasLt::Algorithm algorithm{};
    bool addsBias = false;
  };
  /// A product as the library knows it: descriptions, and the algorithm for them.
  struct Plan {
    void *desc = nullptr, *a = nullptr, *b = nullptr, *addend = nullptr, *out = nullptr;
    Choice choice;
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
  std::map<Key, Choice> choices;

  static Key keyOf(const Operands& x) {
    uint64_t kind = (x.ta ? 1u : 0u) | (x.tb ? 2u : 0u) | (x.a.dtype == DType::bf16 ? 4u : 0u) | (x.out.dtype == DType::bf16 ? 8u : 0u);
    for (const Tensor* tensor : {&x.b, &x.a, &x.addend, &x.out}) kind = kind << 9 | alignment(*tensor);
    kind = kind << 9 | (x.bias ? alignment(x.bias) : 0);
    return {x.out.rows, x.out.cols, x.ta ? x.a.rows : x.a.cols, x.a.stride, x.b.stride, x.out.stride, x.addend.stride, kind};
  }

  Plan& plan(const Operands& x) {
    const Key key = keyOf(x);
    if (const auto known = plans.find(key); known != plans.end()) return known->second;
    // Without padding there are as many shapes as batches have numbers of tokens.
    if (plans.size() >= kMostPlans) forget();
    Plan& plan = plans[key];
    try {
      describe(plan, x);
      plan.choice = chosen(tunes() ? x : x.counted());
      return plan;
    } catch (...) {
      destroy(plan);
      plans.erase(key);  // nothing half made is used later
      throw;
    }
  }

  void destroy(const Plan& plan) const {
    if (plan.desc) lt.matmulDescDestroy(plan.desc);
    for (void* layout : {plan.a, plan.b, plan.addend, plan.out}) {
      if (layout) lt.layoutDestroy(layout);
    }
  }
  void forget() {
    for (const auto& [key, plan] : plans) destroy(plan);
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

  void describe(Plan& plan, const Operands& x) const {
    // The library counts by columns: it sees the transposes of what stands here by rows, so the sides change places.
    succeed(lt.matmulDescCreate(&plan.desc, CublasLt::kComputeFloat, CublasLt::kFloat), "the description of a product");
    const int first = x.tb, second = x.ta;
    succeed(lt.matmulDescSetAttribute(plan.desc, CublasLt::kTransposeA, &first, sizeof first), "a transposition");
    succeed(lt.matmulDescSetAttribute(plan.desc, CublasLt::kTransposeB, &second, sizeof second), "a transposition");
    const auto layout = [&](void** to, const Tensor& tensor) {
      succeed(lt.layoutCreate(to, typeOf(tensor.dtype), static_cast<uint64_t>(tensor.cols), static_cast<uint64_t>(tensor.rows), tensor.stride),
              "a layout");
    };
    layout(&plan.a, x.b);
    layout(&plan.b, x.a);
    layout(&plan.addend, x.addend);
    layout(&plan.out, x.out);
  }

  /// Asked once for each shape. It depends on the shape alone, so that a run that is taken up again has it, too.
  const Choice& chosen(const Operands& x) {
    const Key key = keyOf(x);
    const auto known = choices.find(key);
    return known != choices.end() ? known->second : choices[key] = choose(x);
  }

  Choice choose(const Operands& x) {
    struct Described {
      const Library& library;
      Plan plan{};
      ~Described() { library.destroy(plan); }
    } described{*this};
    Plan& plan = described.plan;
    describe(plan, x);
    void* preference = nullptr;
    succeed(lt.preferenceCreate(&preference), "a preference");
    const auto released = std::shared_ptr<void>(preference, lt.preferenceDestroy);
    succeed(lt.preferenceSetAttribute(preference, CublasLt::kMaxWorkspace, &kWorkspace, sizeof kWorkspace), "a preference");
    const uint32_t alignments[] = {alignment(x.b), alignment(x.a), alignment(x.addend), alignment(x.out)};
    for (int side = 0; side < 4; ++side) {
      succeed(lt.preferenceSetAttribute(preference, CublasLt::kAlignmentA + side, &alignments[side], sizeof alignments[side]), "a preference");
    }
    CublasLt::Heuristic found[kCandidates]{};
    int count = 0;
    const auto ask = [&] {
      return lt.heuristic(handle, plan.desc, plan.a, plan.b, plan.addend, plan.out, preference, tunes() ? kCandidates : 1, found, &count);
    };
    Choice choice;
    if (x.bias) {
      setEpilogue(plan, CublasLt::kAddBias, x.bias.data);
      choice.addsBias = ask() == 0 && count > 0;
      if (!choice.addsBias) setEpilogue(plan, CublasLt::kNoEpilogue, nullptr);
    }
    if (!choice.addsBias) succeed(ask(), "the choice of an algorithm");
    if (count == 0) throw Error("cuBLASLt has no algorithm for a product of this shape", {}, "device");
    choice.algorithm = found[0].algorithm;
    if (count > 1) choice.algorithm = fastest(plan, x, found, count);
    return choice;
  }

  /// With SFT_LAB_CUDA_TUNE=1 the library's best guesses are tried for each shape, and the fastest one is kept. Not by itself: what is the
  /// fastest may differ from run to run, and then so do the last bits.
  static bool tunes() {
    static const bool wanted = std::getenv("SFT_LAB_CUDA_TUNE") != nullptr;
    return wanted;
  }

  CublasLt::Algorithm fastest(const Plan& plan, const Operands& x, const CublasLt::Heuristic* found, int count) {
    // Results go elsewhere: what is added to must be added to once.
    void* elsewhere = nullptr;
    const size_t bytes = static_cast<size_t>((x.out.rows - 1) * x.out.stride + x.out.cols) * sizeOf(x.out.dtype);
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
        return lt.matmul(handle, plan.desc, &alpha, x.b.data, plan.a, x.a.data, plan.b, &beta, x.addend.data, plan.addend, elsewhere, plan.out,
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
  const Operands x{out, addend, bias, a, b, ta == Transpose::yes, tb == Transpose::yes};
  Library::Plan& plan = library_->plan(x);
  const auto run = [&] {
    if (bias) {
      const bool adds = plan.choice.addsBias;  // another layer's, perhaps
      library_->setEpilogue(plan, adds ? CublasLt::kAddBias : CublasLt::kNoEpilogue, adds ? bias.data : nullptr);
    }
    return library_->lt.matmul(library_->handle, plan.desc, &alpha, b.data, plan.a, a.data, plan.b, &beta, addend.data, plan.addend, out.data,
                               plan.out, &plan.choice.algorithm, library_->workspace, kWorkspace, stream_);
  };
  if (run() != 0) {
    // What was chosen for a few tokens more may not be for these.
    plan.choice = library_->choose(x);
    succeed(run(), "a product");
  }
  return plan.choice.addsBias;
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
