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
};

/// A block a row of dout: the first that hits its table row adds all that hit it, in order; the others have nothing to do.
KERNEL void scatterRows(View<float> dtable, View<float> dout, const int32_t* ids) {
  const Self me = self();
  int* const earlier = sharedMemory<int>();
  const int64_t row = me.blockX;
  const int32_t id = ids[row];
  if (me.thread == 0) *earlier = 0;
  syncBlock();
  for (int64_t other = me.thread; other < row; other += me.threads) {
    if (ids[other] == id) *earlier = 1;
  }
  syncBlock();
  if (*earlier) return;
  for (int64_t col = me.thread; col < dout.cols; col += me.threads) {
    float sum = dtable(id, col);
    for (int64_t other = row; other < dout.rows; ++other) {
      if (ids[other] == id) sum += dout(other, col);
    }
    dtable(id, col) = sum;
  }
}

}  // namespace

void CudaBackend::gatherRows(const Tensor& out, const Tensor& table, const int32_t* ids) {
  withNumbers(out.dtype, [&]<typename To>() {
    withNumbers(table.dtype, [&]<typename From>() {
      using Body = Gather<To, From>;
      launch(stream_, gridFor(out.size()), kThreads, 0, eachElement<Body>, out.rows, out.cols,
             Body{view<To>(out), view<From>(table), ids});
    });
  });
}

void CudaBackend::gatherRowsBackward(const Tensor& dtable, const Tensor& dout, const int32_t* ids) {
  requireF32(dtable, dout);
  launch(stream_, {static_cast<unsigned>(dout.rows)}, threadsFor(dout.cols), sizeof(int), scatterRows, view<float>(dtable), view<float>(dout), ids);
}

}  // namespace sftlab::cuda
