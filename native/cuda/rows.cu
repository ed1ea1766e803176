// Rows of a table: embedding, and the choice of rows that have a loss.

#include <utility>

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

// The gradient: places of rows are sorted by where the rows go, those that go to the same place by their order. Each run of equals is added
// from the left, cut at every kWindow-th place of the sorted list: so the order of the sums is one of the ids alone, and a token that is
// met a thousand times is not one thread's work.

constexpr int32_t kTile = 2048;  ///< keys that a block sorts
constexpr int32_t kWindow = 16, kAtOnce = 8;

DEVICE int32_t idOf(uint64_t key) { return static_cast<int32_t>(key >> 32); }
DEVICE int32_t rowOf(uint64_t key) { return static_cast<int32_t>(key); }

/// Sorts each `tile` keys, a power of two, by half as many threads (Batcher's bitonic sort). Keys are all different.
KERNEL BOUNDS(kTile / 2, 1) void sortTiles(uint64_t* keys, const int32_t* ids, int32_t rows, int32_t tile) {
  const Self me = self();
  auto* const sorted = sharedMemory<uint64_t>();
  const int32_t begin = static_cast<int32_t>(me.blockX) * tile, thread = static_cast<int32_t>(me.thread), half = tile / 2;
  for (const int32_t i : {thread, thread + half}) {
    const int32_t row = begin + i;
    sorted[i] = row < rows ? static_cast<uint64_t>(ids[row]) << 32 | static_cast<uint32_t>(row) : UINT64_MAX;
  }
  for (int32_t size = 2; size <= tile; size *= 2) {
    for (int32_t apart = size / 2; apart > 0; apart /= 2) {
      syncBlock();
      const int32_t low = 2 * thread - (thread & (apart - 1)), high = low + apart;
      const uint64_t a = sorted[low], b = sorted[high];
      if ((a > b) == ((low & size) == 0)) {
        sorted[low] = b;
        sorted[high] = a;
      }
    }
  }
  syncBlock();
  for (const int32_t i : {thread, thread + half}) {
    if (begin + i < rows) keys[begin + i] = sorted[i];
  }
}

/// The first of the sorted places [first, end) whose key is not less.
DEVICE int32_t placeOf(uint64_t key, const uint64_t* keys, int32_t first, int32_t end) {
  while (first < end) {
    const int32_t middle = first + (end - first) / 2;
    if (keys[middle] < key) {
      first = middle + 1;
    } else {
      end = middle;
    }
  }
  return first;
}

/// Merges each two neighbouring tiles: a key comes after those of its own tile that are before it, and the lesser ones of the other.
KERNEL void mergeTiles(uint64_t* to, const uint64_t* from, int32_t rows, int32_t tile) {
  const auto i = static_cast<int32_t>(self().index());
  if (i >= rows) return;
  const int32_t own = i / tile * tile, other = own ^ tile, begin = own < other ? own : other;
  const int32_t end = other + tile < rows ? other + tile : rows;
  const int32_t lesser = other < rows ? placeOf(from[i], from, other, end) - other : 0;
  to[begin + (i - own) + lesser] = from[i];
}

/// A block takes a window of the sorted rows and some columns. What goes on from the window before goes to `partial` (windows, cols), the
/// rest to the table at once. All that is read is asked for before any of it is added.
template <int width>
KERNEL BOUNDS(64, 1) void sumRuns(View<float> dtable, float* partial, View<float> dout, const uint64_t* keys, int32_t rows) {
  const Self me = self();
  const int64_t col = (static_cast<int64_t>(me.blockY) * me.threads + me.thread) * width;
  if (col >= dout.cols) return;
  const int32_t first = static_cast<int32_t>(me.blockX) * kWindow, end = first + kWindow < rows ? first + kWindow : rows;
  bool goesOn = first > 0 && idOf(keys[first - 1]) == idOf(keys[first]);
  float sum[width] = {};
  for (int32_t begin = first; begin < end; begin += kAtOnce) {
    float numbers[kAtOnce][width] = {}, before[kAtOnce][width] = {};
    float* to[kAtOnce] = {};  // of the last of each run
    uint64_t key[kAtOnce + 1];
    UNROLL for (int32_t i = 0; i <= kAtOnce; ++i) key[i] = keys[begin + i < end ? begin + i : end - 1];
    UNROLL for (int32_t i = 0; i < kAtOnce; ++i) {
      if (begin + i >= end) continue;
      load(numbers[i], &dout(rowOf(key[i]), col));
      if (begin + i + 1 < end && idOf(key[i]) == idOf(key[i + 1])) continue;
      to[i] = goesOn ? partial + me.blockX * dout.cols + col : &dtable(idOf(key[i]), col);
      if (!goesOn) load(before[i], to[i]);
      goesOn = false;
    }
    UNROLL for (int32_t i = 0; i < kAtOnce; ++i) {
      UNROLL for (int k = 0; k < width; ++k) sum[k] += numbers[i][k];
      if (!to[i]) continue;
      UNROLL for (int k = 0; k < width; ++k) {
        before[i][k] += sum[k];
        sum[k] = 0;
      }
      store(to[i], before[i]);
    }
  }
}

/// Adds to the table what stands in `partial`: the window after the one where a run begins takes all of it.
template <int width>
KERNEL void addRuns(View<float> dtable, const float* partial, const uint64_t* keys, int32_t rows) {
  const Self me = self();
  const int32_t window = static_cast<int32_t>(me.blockX) + 1, first = window * kWindow, id = idOf(keys[first]);
  if (idOf(keys[first - 1]) != id || (window > 1 && idOf(keys[first - kWindow - 1]) == id)) return;
  const int64_t col = (static_cast<int64_t>(me.blockY) * me.threads + me.thread) * width;
  if (col >= dtable.cols) return;
  const int32_t end = placeOf(static_cast<uint64_t>(id + 1) << 32, keys, first, rows), windows = (end + kWindow - 1) / kWindow;
  float sum[width];
  load(sum, &dtable(id, col));
  for (int32_t w = window; w < windows; ++w) {
    float part[width];
    load(part, partial + w * dtable.cols + col);
    UNROLL for (int k = 0; k < width; ++k) sum[k] += part[k];
  }
  store(&dtable(id, col), sum);
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
  const auto rows = static_cast<int32_t>(dout.rows);
  int32_t tile = 64;
  while (tile < kTile && tile < rows) tile *= 2;
  const unsigned windows = blocksFor(rows, kWindow);
  auto* keys = static_cast<uint64_t*>(scratchBytes(dout.rows * 2 * sizeof(uint64_t) + windows * dout.cols * sizeof(float)));
  uint64_t* other = keys + rows;
  auto* const partial = reinterpret_cast<float*>(other + rows);
  launch(stream_, {blocksFor(rows, tile)}, static_cast<unsigned>(tile / 2), tile * sizeof(uint64_t), sortTiles, keys, ids, rows, tile);
  for (; tile < rows; tile *= 2) {
    launch(stream_, {blocksFor(rows, kThreads)}, kThreads, 0, mergeTiles, other, static_cast<const uint64_t*>(keys), rows, tile);
    std::swap(keys, other);
  }
  const auto start = [&]<int width>() {
    const unsigned threads = dout.cols > 32 * width ? 64 : 32, across = blocksFor(dout.cols, threads * width);
    launch(stream_, {windows, across}, threads, 0, sumRuns<width>, view<float>(dtable), partial, view<float>(dout),
           static_cast<const uint64_t*>(keys), rows);
    launch(stream_, {windows - 1, across}, threads, 0, addRuns<width>, view<float>(dtable), static_cast<const float*>(partial),
           static_cast<const uint64_t*>(keys), rows);
  };
  inFours(dtable, dout) ? start.template operator()<4>() : start.template operator()<1>();
}

}  // namespace sftlab::cuda
