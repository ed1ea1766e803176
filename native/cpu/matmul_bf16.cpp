// Matrix products of which one side or the result is bf16.
//
// A piece is a block of rows by some panels of 64 columns. Its thread rounds one panel of the right-hand side at a time to
// pairs of bf16 numbers in its own scratch, where it stays in the second-level cache while all the block's rows pass
// by. The left-hand side is read as it stands if it is bf16 and lies along the inner dimension; otherwise the block is
// packed once for all its panels. So weights are rounded where they are used: there is no second copy of the model, and
// packing costs one to two parts in a hundred from some hundred rows on.

#include <vector>

#include "cpu/bf16_kernels.h"
#include "cpu/cpu_backend_impl.h"

namespace sftlab {

namespace {

struct Cut {
  int64_t rows, panels;  ///< of a piece
};

/// Blocks of rows that repay a panel's packing and, where the left-hand side is packed too, runs of panels that repay that;
/// smaller ones where there would be fewer than 16 pieces.
Cut cut(int64_t rows, int64_t panels, bool packsLeft) {
  constexpr int64_t wanted = 16, least = 48;
  Cut result{std::min<int64_t>(rows, packsLeft ? 192 : 768), packsLeft ? std::min<int64_t>(panels, 16) : 1};
  const auto pieces = [&] {
    return (rows + result.rows - 1) / result.rows * ((panels + result.panels - 1) / result.panels);
  };
  while (pieces() < wanted && result.panels > 4) result.panels = (result.panels + 1) / 2;
  while (pieces() < wanted && result.rows >= 2 * least) result.rows = (result.rows / 2 + 5) / 6 * 6;
  while (pieces() < wanted && result.panels > 1) result.panels = (result.panels + 1) / 2;
  return result;
}

bf16::Source sourceOf(const Tensor& x, int64_t row, int64_t col) {
  const bool isBf16 = x.dtype == DType::bf16;
  return {static_cast<const char*>(x.data) + static_cast<size_t>(row * x.stride + col) * sizeOf(x.dtype), x.stride, isBf16};
}

}  // namespace

void CpuBackend::matmulBf16(const Tensor& out, const Tensor& a, Transpose ta, const Tensor& b, Transpose tb, float alpha,
                            float beta, const Tensor& bias) {
  requireF32(bias);
  const bool leftTurned = ta == Transpose::yes, rightTurned = tb == Transpose::yes;
  const int64_t inner = leftTurned ? a.rows : a.cols;
  // Too deep a product is done in equal parts, each an even number long.
  const int64_t parts = (inner + 2 * bf16::kMostPairs - 1) / (2 * bf16::kMostPairs);
  const int64_t depth = parts > 1 ? ((inner + parts - 1) / parts + 1) / 2 * 2 : inner, depthPairs = (depth + 1) / 2;
  const bool direct = !leftTurned && a.dtype == DType::bf16 && a.stride % 2 == 0 && inner % 2 == 0 &&
                      reinterpret_cast<uintptr_t>(a.data) % sizeof(bf16::Pair) == 0;
  const bool toBf16 = out.dtype == DType::bf16;
  const int64_t panels = (out.cols + bf16::kPanel - 1) / bf16::kPanel;
  const Cut size = cut(out.rows, panels, !direct);
  const int64_t across = (panels + size.panels - 1) / size.panels, down = (out.rows + size.rows - 1) / size.rows;
  const int64_t groups = (size.rows + bf16::kRows - 1) / bf16::kRows;
  const size_t panelFloats = static_cast<size_t>(depthPairs) * bf16::kPanel;
  const size_t leftFloats = direct ? 0 : static_cast<size_t>(groups * bf16::kRows * depthPairs);
  const size_t partialFloats = toBf16 && parts > 1 ? static_cast<size_t>(size.rows * size.panels * bf16::kPanel) : 0;

  pool_.run(across * down, [&](int64_t piece, int thread) {
    const int64_t row = piece / across * size.rows, rows = std::min(size.rows, out.rows - row);
    const int64_t firstPanel = piece % across * size.panels, endPanel = std::min(panels, firstPanel + size.panels);
    float* const panelData = scratch(thread).floats(panelFloats + leftFloats + partialFloats + 64);
    auto* const panel = reinterpret_cast<bf16::Pair*>(panelData);
    auto* const leftData = panel + panelFloats;
    float* const partials = panelData + panelFloats + leftFloats;
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = part * depth, length = std::min(depth, inner - first), pairs = (length + 1) / 2;
      bf16::Left left;
      if (direct) {
        left = bf16::rowsOf(static_cast<const bf16::Number*>(a.data) + row * a.stride + first, a.stride);
      } else if (leftTurned) {
        bf16::packLeftTransposed(leftData, sourceOf(a, first, row), rows, length);
        left = bf16::packed(leftData, pairs);
      } else {
        bf16::packLeftRows(leftData, sourceOf(a, row, first), rows, length);
        left = bf16::rowsOf(reinterpret_cast<const bf16::Number*>(leftData), 2 * pairs);
      }
      for (int64_t p = firstPanel; p < endPanel; ++p) {
        const int64_t col = p * bf16::kPanel;
        const int columns = static_cast<int>(std::min<int64_t>(bf16::kPanel, out.cols - col));
        bf16::packRight(panel, rightTurned ? sourceOf(b, col, first) : sourceOf(b, first, col), rightTurned, columns, length);
        float* const partial = partials + (p - firstPanel) * size.rows * bf16::kPanel;
        const bool last = part == parts - 1, hold = toBf16 && !last;
        bf16::Target target{};
        target.alpha = alpha;
        if (part == 0) {
          target.partial = bias ? bias.f32() + col : nullptr;  // the same for each row: no stride
        } else if (toBf16) {
          target.partial = partial;
          target.partialStride = bf16::kPanel;
        }
        target.isBf16 = toBf16 && !hold;
        target.out = hold ? static_cast<void*>(partial) : static_cast<char*>(out.data) + static_cast<size_t>(row * out.stride + col) * sizeOf(out.dtype);
        target.stride = hold ? bf16::kPanel : out.stride;
        target.add = hold ? false : toBf16 ? beta != 0 : beta != 0 || part > 0;
        bf16::product(left, panel, rows, columns, pairs, target);
      }
    }
  });
}

}  // namespace sftlab
