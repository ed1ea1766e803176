// Matrix products. What is f32 in a product of bf16 is rounded first; of weights the model itself keeps bf16.

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

void CudaBackend::matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha, float beta) {
  multiply(out, out, {}, a, ta, b, tb, alpha, beta);
}

void CudaBackend::matmulAdd(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b,
                            Transpose tb) {
  multiply(out, addend ? addend : out, bias, a, ta, b, tb, 1, addend ? 1 : 0);
}

void CudaBackend::multiply(const Tensor& out, const Tensor& addend, const Tensor& bias, const Tensor& a, Transpose ta, const Tensor& b,
                           Transpose tb, float alpha, float beta) {
  if (out.size() == 0) return;
  requireF32(bias);
  const bool bf16 = a.dtype == DType::bf16 || b.dtype == DType::bf16 || out.dtype == DType::bf16;
  const DType number = bf16 ? DType::bf16 : DType::f32;
  // Rounded copies stand one after the other, each where a library likes a matrix to begin.
  const auto room = [](const Tensor& x, DType dtype) { return x && x.dtype != dtype ? (x.bytes() / 2 + 255) / 256 * 256 : 0; };
  const size_t needed = room(a, number) + room(b, number) + room(bias, out.dtype);
  char* memory = needed > 0 ? scratch<char>(needed) : nullptr;
  const auto as = [&](const Tensor& x, DType dtype) {
    if (!x || x.dtype == dtype) return x;
    const Tensor rounded{memory, x.rows, x.cols, x.cols, dtype};
    memory += room(x, dtype);
    copy(rounded, x);
    return rounded;
  };
  const Tensor left = as(a, number), right = as(b, number);
  if (!products_.multiply(out, addend, as(bias, out.dtype), left, ta, right, tb, alpha, beta) && bias) addBias(out, bias);
}

}  // namespace sftlab::cuda
