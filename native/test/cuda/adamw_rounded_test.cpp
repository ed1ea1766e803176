// The copies in bf16 that AdamW writes beside the weights, where a backend keeps them.

#include "test/cpu/support.h"

namespace sftlab::test {
namespace {

class AdamWRounded : public CpuTest {};

/// A copy in bf16 may stand as columns of a wider matrix, by fours or not, of more numbers than one block of a GPU works on.
TEST_F(AdamWRounded, CopiesStandWhereTheyAreSaidTo) {
  constexpr int64_t kRows = 900, kStride = 40;
  struct Sevens {
    Device memory;
    Tensor all;
    explicit Sevens(const std::shared_ptr<Backend>& backend)
        : memory(backend, kRows, kStride / 2), all{(*memory).data, kRows, kStride, kStride, DType::bf16} {
      backend->fill(all, 7);
    }
  };
  const std::pair<int64_t, int64_t> places[] = {{8, 16}, {5, 16}, {8, 13}, {0, kStride}};
  for (const auto& [column, cols] : places) {
    const int64_t size = kRows * cols;
    const Device value(backend, kRows, cols, randomNumbers(size, 1)), gradient(backend, kRows, cols, randomNumbers(size, 2));
    const Device first(backend, kRows, cols, Numbers(static_cast<size_t>(size))), second(backend, kRows, cols, Numbers(static_cast<size_t>(size)));
    const Sevens written(backend), expected(backend);
    backend->adamw({{*value, *gradient, *first, *second, false, written.all.columns(column, cols)}}, {0.1, 0.9, 0.999, 1e-8, 0, 1, 1, {}});
    backend->copy(expected.all.columns(column, cols), *value);
    EXPECT_EQ(values(written.all), values(expected.all)) << cols << " columns from " << column;
  }
}

}  // namespace
}  // namespace sftlab::test
