#pragma once

// What is used of cuBLASLt, opened at run time: from the system, the CUDA toolkit, or a Python environment's nvidia/*/lib. Its headers are
// often not installed beside a driver, so the few types and numbers are declared here (CUDA Toolkit documentation, cuBLASLt).

#include <cstddef>
#include <cstdint>
#include <string>

namespace sftlab::cuda {

struct CublasLt {
  using Status = int;
  using Handle = void*;
  static constexpr int kFloat = 0, kBf16 = 14;            ///< cudaDataType_t
  static constexpr int kComputeFloat = 68;                ///< CUBLAS_COMPUTE_32F: no TF32
  static constexpr int kTransposeA = 3, kTransposeB = 4;  ///< cublasLtMatmulDescAttributes_t
  static constexpr int kEpilogue = 7, kBiasPointer = 8;   ///< more of them
  static constexpr uint32_t kNoEpilogue = 1, kAddBias = 4;  ///< cublasLtEpilogue_t; the bias is of the result's type
  static constexpr int kMaxWorkspace = 1;                 ///< cublasLtMatmulPreferenceAttributes_t
  static constexpr int kAlignmentA = 5;                   ///< and those of B, C and D after it

  struct Algorithm {
    uint64_t data[8];
  };
  struct Heuristic {
    Algorithm algorithm;
    size_t workspace;
    Status state;
    float waves;
    int reserved[4];
  };

  Status (*create)(Handle*);
  Status (*destroy)(Handle);
  Status (*matmulDescCreate)(void** desc, int compute, int scale);
  Status (*matmulDescDestroy)(void*);
  Status (*matmulDescSetAttribute)(void*, int, const void*, size_t);
  Status (*layoutCreate)(void** layout, int type, uint64_t rows, uint64_t cols, int64_t ld);
  Status (*layoutDestroy)(void*);
  Status (*preferenceCreate)(void**);
  Status (*preferenceDestroy)(void*);
  Status (*preferenceSetAttribute)(void*, int, const void*, size_t);
  Status (*heuristic)(Handle, void* desc, void* a, void* b, void* c, void* d, void* preference, int wanted, Heuristic* results,
                      int* found);
  Status (*matmul)(Handle, void* desc, const void* alpha, const void* a, void* aLayout, const void* b, void* bLayout,
                   const void* beta, const void* c, void* cLayout, void* d, void* dLayout, const Algorithm*, void* workspace,
                   size_t workspaceBytes, void* stream);

  /// The library, opened once. Throws Error that says where it was looked for.
  static const CublasLt& get();
};

}  // namespace sftlab::cuda
