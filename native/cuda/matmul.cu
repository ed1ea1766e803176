// Matrix products. What is f32 in a product of bf16 is rounded first: of weights that the optimizer changes a rounded copy is kept until it
// does; anything else is rounded each time.

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

void CudaBackend::matmul(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha, float beta) {
  if (out.size() == 0) return;
  const bool bf16 = a.dtype == DType::bf16 || b.dtype == DType::bf16 || out.dtype == DType::bf16;
  if (!bf16) return products_.multiply(out, a, ta, b, tb, alpha, beta);
  const size_t left = a.dtype == DType::bf16 ? 0 : a.bytes() / 2, right = b.dtype == DType::bf16 ? 0 : b.bytes() / 2;
  char* const memory = left + right > 0 ? scratch<char>((left + 255) / 256 * 256 + right) : nullptr;
  products_.multiply(out, rounded(a, memory), ta, rounded(b, memory + (left + 255) / 256 * 256), tb, alpha, beta);
}

Tensor CudaBackend::rounded(const Tensor& x, void* memory) {
  if (x.dtype == DType::bf16) return x;
  const auto found = weights_.find(x.data);
  if (found == weights_.end() || !x.contiguous() || found->second.size != x.size()) {
    const Tensor copy{memory, x.rows, x.cols, x.cols, DType::bf16};
    this->copy(copy, x);
    return copy;
  }
  Weight& weight = found->second;
  if (!weight.copy) weight.copy = allocate(static_cast<size_t>(weight.size) * sizeof(Bf16));
  const Tensor kept{weight.copy, x.rows, x.cols, x.cols, DType::bf16};
  if (!weight.current) this->copy(kept, x);
  weight.current = true;
  return kept;
}

void CudaBackend::weightsChanged(const std::vector<AdamParameter>& parameters) {
  for (const AdamParameter& parameter : parameters) {
    Weight& weight = weights_[parameter.value.data];
    weight.size = parameter.value.size();
    weight.current = false;
  }
}

}  // namespace sftlab::cuda
