// Matrix products. What is f32 in a product of bf16 is rounded first; of weights the model itself keeps bf16.

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

void CudaBackend::matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha, float beta) {
  multiply(out, out, a, ta, b, tb, alpha, beta);
}

void CudaBackend::matmulAdd(const Tensor& out, const Tensor& addend, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb) {
  multiply(out, addend, a, ta, b, tb, 1, 1);
}

void CudaBackend::multiply(const Tensor& out, const Tensor& addend, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha,
                           float beta) {
  if (out.size() == 0) return;
  const bool bf16 = a.dtype == DType::bf16 || b.dtype == DType::bf16 || out.dtype == DType::bf16;
  if (!bf16) return products_.multiply(out, addend, a, ta, b, tb, alpha, beta);
  const size_t left = a.dtype == DType::bf16 ? 0 : a.bytes() / 2, right = b.dtype == DType::bf16 ? 0 : b.bytes() / 2;
  char* const memory = left + right > 0 ? scratch<char>((left + 255) / 256 * 256 + right) : nullptr;
  products_.multiply(out, addend, rounded(a, memory), ta, rounded(b, memory + (left + 255) / 256 * 256), tb, alpha, beta);
}

Tensor CudaBackend::rounded(const Tensor& x, void* memory) {
  if (x.dtype == DType::bf16) return x;
  const Tensor copy{memory, x.rows, x.cols, x.cols, DType::bf16};
  this->copy(copy, x);
  return copy;
}

}  // namespace sftlab::cuda
