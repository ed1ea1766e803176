#pragma once

// Matrix products: cuBLASLt on a GPU, with the algorithm chosen once for each shape; plain loops in the emulator.

#include <map>
#include <memory>
#include <tuple>

#include "cuda/dialect.h"
#include "model/backend.h"

namespace sftlab::cuda {

class Products {
 public:
#ifdef __CUDACC__
  static constexpr size_t kWorkspace = size_t{32} << 20;  ///< bytes that it takes of the card for itself
#else
  static constexpr size_t kWorkspace = 0;
#endif

  explicit Products(Stream stream);
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  /// out = alpha a b + beta addend + bias (1, c), if any, as Backend::matmul; a and b are of one dtype, and so are out, addend, which may be
  /// out, and bias. False where the library adds no bias to such a product: then it has still to be added.
  bool multiply(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb,
                float alpha, float beta);

 private:
  struct Library;
  Stream stream_;
  std::unique_ptr<Library> library_;
};

}  // namespace sftlab::cuda
