#include "model/kv_cache.h"

#include <algorithm>

namespace sftlab {

namespace {

constexpr int64_t kMostBytes = int64_t{4} << 30;  ///< unless a single sequence needs more

int32_t slotsFor(const ModelConfig& config, DType dtype, int32_t wanted, int32_t capacity) {
  const int64_t bytes = int64_t{2} * config.layers * capacity * config.kvHeads * config.headSize * static_cast<int64_t>(sizeOf(dtype));
  return static_cast<int32_t>(std::clamp<int64_t>(kMostBytes / bytes, 1, wanted));
}

}  // namespace

KvCache::KvCache(const std::shared_ptr<Backend>& backend, const ModelConfig& config, DType dtype, int32_t wanted, int32_t capacity)
    : backend_(backend), memory_(backend), slots_(slotsFor(config, dtype, wanted, capacity)), capacity_(capacity) {
  const int64_t width = int64_t{config.kvHeads} * config.headSize, rows = int64_t{slots_} * capacity + 1;
  memory_.reserve(static_cast<size_t>(2 * config.layers) * Arena::sizeOfPiece(static_cast<size_t>(rows * width) * sizeOf(dtype)));
  for (int32_t i = 0; i < config.layers; ++i) {
    layers_.push_back({memory_.take(rows, width, dtype), memory_.take(rows, width, dtype), capacity});
  }
}

void KvCache::copy(const PrefixCopy& prefix) const {
  const int64_t from = int64_t{prefix.from} * capacity_, to = int64_t{prefix.to} * capacity_;
  for (const KeyValueCache& layer : layers_) {
    backend_->copy(layer.keys.slice(to, prefix.length), layer.keys.slice(from, prefix.length));
    backend_->copy(layer.values.slice(to, prefix.length), layer.values.slice(from, prefix.length));
  }
}

}  // namespace sftlab
