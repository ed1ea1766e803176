#pragma once

#include "cpu/thread_pool.h"
#include "model/tensor.h"

namespace sftlab {

/// Up to so many rows of x, `matmulFew` makes x W^T. Generation never has more in one pass.
constexpr int32_t kFewRows = 256;

/// Numbers that `matmulFew` wants as scratch for x (n, k).
int64_t fewRowsScratch(int64_t rows, int64_t inner);

/// out (n, m) = alpha * x (n, k) * w (m, k)^T + beta * out, f32 but for w, which may be bf16 too; beta is 0 or 1. `packed`: 64-byte aligned scratch.
/// Row i of the result is a function of row i of x (and of `out`) alone, bit for bit: neither n nor the other rows nor the number of
/// threads matter.
void matmulFew(ThreadPool& pool, const Tensor& out, const Tensor& x, const Tensor& w, float alpha, float beta, float* packed);

}  // namespace sftlab
