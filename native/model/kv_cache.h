#pragma once

#include <memory>
#include <vector>

#include "model/arena.h"
#include "model/config.h"
#include "model/scheduler.h"

namespace sftlab {

/// The keys and values of all layers, for a number of sequences at a time: taken once for a call of `generate`.
class KvCache {
 public:
  /// Room for sequences of up to `capacity` tokens, as many at a time as are wanted and memory is meant for.
  KvCache(const std::shared_ptr<Backend>& backend, const ModelConfig& config, DType dtype, int32_t wanted, int32_t capacity);

  int32_t slots() const { return slots_; }
  /// A slot beyond those, of one token: for rows that only fill up a pass.
  int32_t spare() const { return slots_; }
  int32_t capacity() const { return capacity_; }
  const std::vector<KeyValueCache>& layers() const { return layers_; }
  /// Queues the copying of the beginning of one slot to another.
  void copy(const PrefixCopy& prefix) const;

 private:
  std::shared_ptr<Backend> backend_;
  Arena memory_;
  int32_t slots_, capacity_;
  std::vector<KeyValueCache> layers_;
};

}  // namespace sftlab
