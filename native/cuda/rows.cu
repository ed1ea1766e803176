// Rows of a table: embedding, and the choice of rows that have a loss.

#include "cuda/cuda_backend_impl.h"

namespace sftlab::cuda {

namespace {

template <typename To, typename From>
struct Gather {
  View<To> out;
  View<From> table;
  const int32_t* ids;
  DEVICE void operator()(int64_t row, int64_t col) const { put(out(row, col), get(table(ids[row], col))); }
  DEVICE void four(int64_t row, int64_t col) const {
    float numbers[4];
    load(numbers, &table(ids[row], col));
    store(&out(row, col), numbers);
  }
};

constexpr int32_t kNone = INT32_MAX;

/// For each row of dout, a warp finds the next one that goes to the same row of the table, and whether an earlier one does.
KERNEL void chainRows(int32_t* next, uint8_t* follows, const int32_t* ids, int32_t rows) {
  const Self me = self();
  const auto row = static_cast<int32_t>(me.blockX * me.warps() + me.warp()), lane = static_cast<int32_t>(me.lane());
  if (row >= rows) return;
  const int32_t id = ids[row];
  int32_t found = kNone, earlier = 0;
  for (int32_t first = row + 1; first < rows && found == kNone; first += 32) {
    const int32_t other = first + lane;
    found = warpLeast(other < rows && ids[other] == id ? other : kNone);
  }
  for (int32_t last = row - 1; last >= 0 && earlier == 0; last -= 32) {
    const int32_t other = last - lane;
    earlier = kNone - warpLeast(other >= 0 && ids[other] == id ? 0 : kNone);
  }
  if (lane != 0) return;
  next[row] = found;
  follows[row] = earlier != 0;
}

/// A block a row of dout: the first that goes to its row of the table adds all that do, in order; the others have nothing to do.
KERNEL void scatterRows(View<float> dtable, View<float> dout, const int32_t* ids, const int32_t* next, const uint8_t* follows) {
  const Self me = self();
  const auto row = static_cast<int32_t>(me.blockX);
  if (follows[row]) return;
  float* const to = dtable.row(ids[row]);
  for (int64_t col = me.thread; col < dout.cols; col += me.threads) {
    float sum = to[col];
    for (int32_t other = row; other != kNone; other = next[other]) sum += dout(other, col);
    to[col] = sum;
  }
}

}  // namespace

void CudaBackend::gatherRows(const Tensor& out, const Tensor& table, const int32_t* ids) {
  withNumbers(out.dtype, [&]<typename To>() {
    withNumbers(table.dtype, [&]<typename From>() {
      using Body = Gather<To, From>;
      launchEach(stream_, out.rows, out.cols, Body{view<To>(out), view<From>(table), ids}, out, table);
    });
  });
}

void CudaBackend::gatherRowsBackward(const Tensor& dtable, const Tensor& dout, const int32_t* ids) {
  requireF32(dtable, dout);
  if (dout.rows == 0) return;
  auto* const next = static_cast<int32_t*>(scratchBytes(static_cast<size_t>(dout.rows) * (sizeof(int32_t) + 1)));
  auto* const follows = reinterpret_cast<uint8_t*>(next + dout.rows);
  launch(stream_, {blocksFor(dout.rows, kThreads / 32)}, kThreads, 0, chainRows, next, follows, ids, static_cast<int32_t>(dout.rows));
  launch(stream_, {static_cast<unsigned>(dout.rows)}, threadsFor(dout.cols), 0, scatterRows, view<float>(dtable), view<float>(dout), ids,
         static_cast<const int32_t*>(next), static_cast<const uint8_t*>(follows));
}

}  // namespace sftlab::cuda
