// Buffers that grow until they are large enough.
#include "base/scratch.h"

#include <algorithm>

#include "base/array.h"

namespace kcore {

void* Workspace::take(std::size_t bytes) {
  bytes = (std::max<std::size_t>(bytes, 1) + 63) / 64 * 64;
  asked_ += bytes;
  if (blocks_.empty() || blocks_.back().bytes - used_ < bytes) {
    blocks_.push_back({allocate(bytes), bytes});
    used_ = 0;
  }
  void* const memory = static_cast<char*>(blocks_.back().memory.get()) + used_;
  used_ += bytes;
  return memory;
}

void Workspace::clear() {
  if (blocks_.size() > 1) {
    blocks_.clear();
    blocks_.push_back({allocate(asked_), asked_});
  }
  used_ = asked_ = 0;
}

void* thread_scratch(std::size_t bytes) {
  thread_local std::shared_ptr<void> buffer;
  thread_local std::size_t size = 0;
  if (size < bytes) {
    buffer = allocate(bytes);
    size = bytes;
  }
  return buffer.get();
}

}  // namespace kcore
