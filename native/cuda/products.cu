#include "cuda/products.h"

#include <algorithm>
#include <vector>

#include "cuda/cublaslt.h"
#include "cuda/number.h"

namespace sftlab::cuda {

#ifdef __CUDACC__

namespace {

constexpr size_t kWorkspace = size_t{32} << 20;

void succeed(CublasLt::Status status, const char* what) {
  if (status != 0) throw std::runtime_error(std::string("cuBLASLt: ") + what + " failed with status " + std::to_string(status));
}

int typeOf(DType dtype) { return dtype == DType::f32 ? CublasLt::kFloat : CublasLt::kBf16; }

}  // namespace

struct Products::Library {
  /// A product as the library knows it: descriptions, and the algorithm for them.
  struct Plan {
    void *desc = nullptr, *a = nullptr, *b = nullptr, *out = nullptr;
    CublasLt::Algorithm algorithm{};
  };
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int>;

  const CublasLt& lt = CublasLt::get();
  CublasLt::Handle handle = nullptr;
  void* workspace = nullptr;
  std::map<Key, Plan> plans;

  const Plan& plan(const Tensor& out, const Tensor& a, bool ta, const Tensor& b, bool tb) {
    const int64_t inner = ta ? a.rows : a.cols;
    const int kind = (ta ? 1 : 0) | (tb ? 2 : 0) | (a.dtype == DType::bf16 ? 4 : 0) | (out.dtype == DType::bf16 ? 8 : 0);
    Plan& plan = plans[{out.rows, out.cols, inner, a.stride, b.stride, out.stride, kind}];
    if (plan.desc) return plan;
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
    layout(&plan.out, out);
    void* preference = nullptr;
    succeed(lt.preferenceCreate(&preference), "a preference");
    succeed(lt.preferenceSetAttribute(preference, CublasLt::kMaxWorkspace, &kWorkspace, sizeof kWorkspace), "a preference");
    CublasLt::Heuristic found{};
    int count = 0;
    succeed(lt.heuristic(handle, plan.desc, plan.a, plan.b, plan.out, plan.out, preference, 1, &found, &count), "the choice of an algorithm");
    lt.preferenceDestroy(preference);
    if (count == 0) throw std::runtime_error("cuBLASLt has no algorithm for a product of this shape");
    plan.algorithm = found.algorithm;
    return plan;
  }
};

Products::Products(Stream stream) : stream_(stream), library_(std::make_unique<Library>()) {
  succeed(library_->lt.create(&library_->handle), "the start");
  check(cudaMalloc(&library_->workspace, kWorkspace));
}

Products::~Products() {
  for (const auto& [key, plan] : library_->plans) {
    library_->lt.matmulDescDestroy(plan.desc);
    for (void* layout : {plan.a, plan.b, plan.out}) library_->lt.layoutDestroy(layout);
  }
  library_->lt.destroy(library_->handle);
  cudaFree(library_->workspace);
}

void Products::multiply(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha, float beta) {
  if (out.size() == 0) return;
  const Library::Plan& plan = library_->plan(out, a, ta == Transpose::yes, b, tb == Transpose::yes);
  succeed(library_->lt.matmul(library_->handle, plan.desc, &alpha, b.data, plan.a, a.data, plan.b, &beta, out.data, plan.out, out.data,
                              plan.out, &plan.algorithm, library_->workspace, kWorkspace, stream_),
          "a product");
}

#else

struct Products::Library {};
Products::Products(Stream stream) : stream_(stream) {}
Products::~Products() = default;

namespace {

template <typename Number, typename Result>
struct Multiply {
  View<Result> out;
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
        put(to, alpha * sums[static_cast<size_t>(col)] + (beta != 0 ? get(to) : 0.0f));
      }
    }
  }
};

}  // namespace

void Products::multiply(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha, float beta) {
  withNumbers(a.dtype, [&]<typename Number>() {
    withNumbers(out.dtype, [&]<typename Result>() {
      Multiply<Number, Result>{view<Result>(out), view<Number>(a), view<Number>(b), ta == Transpose::yes, tb == Transpose::yes, alpha, beta}();
    });
  });
}

#endif

}  // namespace sftlab::cuda
