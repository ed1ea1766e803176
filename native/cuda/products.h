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
  explicit Products(Stream stream);
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  /// As Backend::matmul; a and b are of one dtype.
  void multiply(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha, float beta);

 private:
  struct Library;
  Stream stream_;
  std::unique_ptr<Library> library_;
};

}  // namespace sftlab::cuda
