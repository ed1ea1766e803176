#include "model/arena.h"

#include <algorithm>

namespace sftlab {

void* Arena::takeBytes(size_t bytes) {
  const size_t size = sizeOfPiece(bytes);
  while (current_ < blocks_.size() && blocks_[current_].used + size > blocks_[current_].size) {
    if (current_ + 1 == blocks_.size()) break;
    blocks_[++current_].used = 0;
  }
  if (blocks_.empty() || blocks_[current_].used + size > blocks_[current_].size) {
    size_t held = 0;
    for (const Block& block : blocks_) held += block.size;
    const size_t fresh = std::max({size, held / 2, size_t{1} << 20});
    blocks_.push_back({static_cast<char*>(backend_->allocate(fresh)), fresh, 0});
    current_ = blocks_.size() - 1;
  }
  Block& block = blocks_[current_];
  void* const data = block.data + block.used;
  block.used += size;
  size_t taken = 0;
  for (size_t i = 0; i <= current_; ++i) taken += blocks_[i].used;
  most_ = std::max(most_, taken);
  return data;
}

void Arena::rewind(Mark mark) {
  if (blocks_.empty()) return;
  for (size_t i = mark.block + 1; i < blocks_.size(); ++i) blocks_[i].used = 0;
  current_ = mark.block;
  blocks_[current_].used = mark.used;
}

void Arena::reset() {
  if (blocks_.size() > 1) {
    releaseBlocks();
    reserve(most_);
  }
  current_ = 0;
  if (!blocks_.empty()) blocks_[0].used = 0;
}

void Arena::reserve(size_t bytes) {
  if (bytes == 0 || !blocks_.empty()) return;
  blocks_.push_back({static_cast<char*>(backend_->allocate(bytes)), bytes, 0});
}

void Arena::releaseBlocks() {
  for (const Block& block : blocks_) backend_->release(block.data);
  blocks_.clear();
}

}  // namespace sftlab
