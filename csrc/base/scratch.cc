// Buffers that grow until they are large enough.
#include "base/scratch.h"

#include <algorithm>
#include <bit>
#include <new>

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

namespace {

// Free blocks by the logarithm of their size, each beginning with the address of the next one.
struct FreeBlocks {
  static constexpr std::size_t kSizes = 17;  // up to 64 KiB; larger ones are not kept
  void* first[kSizes] = {};
  ~FreeBlocks() {
    for (void*& block : first)
      while (block) ::operator delete(std::exchange(block, *static_cast<void**>(block)));
  }
};
thread_local FreeBlocks free_blocks;

std::size_t size_class(std::size_t bytes) {
  return static_cast<std::size_t>(std::bit_width(std::max(bytes, sizeof(void*)) - 1));
}

}  // namespace

void* take_recycled(std::size_t bytes) {
  const std::size_t size = size_class(bytes);
  if (size >= FreeBlocks::kSizes) return ::operator new(bytes);
  void*& first = free_blocks.first[size];
  if (!first) return ::operator new(std::size_t{1} << size);
  return std::exchange(first, *static_cast<void**>(first));
}

void give_recycled(void* memory, std::size_t bytes) {
  const std::size_t size = size_class(bytes);
  if (size >= FreeBlocks::kSizes) return ::operator delete(memory);
  *static_cast<void**>(memory) = std::exchange(free_blocks.first[size], memory);
}

}  // namespace kcore
