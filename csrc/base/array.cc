// The caching allocator: free lists by size class, four classes per power of two, so at most a fifth is wasted.
#include "base/array.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace kcore {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t size_class(std::size_t bytes) {
  bytes = std::max<std::size_t>(bytes, kAlignment);
  const std::size_t step = std::max(kAlignment, std::bit_floor(bytes) / 4);
  return (bytes + step - 1) / step * step;
}

class Allocator {
 public:
  void* take(std::size_t bytes) {
    {
      std::lock_guard lock(mutex_);
      auto found = free_.find(bytes);
      stats_.in_use += bytes;
      stats_.peak = std::max(stats_.peak, stats_.in_use);
      if (found != free_.end() && !found->second.empty()) {
        void* data = found->second.back();
        found->second.pop_back();
        stats_.cached -= bytes;
        return data;
      }
    }
    void* data = std::aligned_alloc(kAlignment, bytes);
    if (!data) {  // give back what is only cached, then try once more
      release();
      data = std::aligned_alloc(kAlignment, bytes);
    }
    if (!data) {
      std::lock_guard lock(mutex_);
      stats_.in_use -= bytes;
      throw std::bad_alloc();
    }
    return data;
  }

  void give(void* data, std::size_t bytes) {
    std::lock_guard lock(mutex_);
    stats_.in_use -= bytes;
    // The cache never outgrows what the process has used at once, plus a little for small programs.
    if (stats_.cached + bytes <= stats_.peak + kSlack) {
      free_[bytes].push_back(data);
      stats_.cached += bytes;
    } else {
      std::free(data);
    }
  }

  void release() {
    std::lock_guard lock(mutex_);
    for (auto& [bytes, list] : free_)
      for (void* data : list) std::free(data);
    free_.clear();
    stats_.cached = 0;
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  static constexpr std::size_t kSlack = std::size_t{1} << 20;
  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  MemoryStats stats_;
};

// Never destroyed: arrays held by Python may outlive static destructors.
Allocator& allocator() {
  static Allocator* instance = new Allocator;
  return *instance;
}

}  // namespace

std::shared_ptr<void> allocate(std::size_t bytes) {
  const std::size_t rounded = size_class(bytes);
  void* data = allocator().take(rounded);
  return std::shared_ptr<void>(data, [rounded](void* p) { allocator().give(p, rounded); });
}

MemoryStats memory_stats() { return allocator().stats(); }
void release_cached_memory() { allocator().release(); }

Array Array::empty(TensorSpec spec) {
  Array array;
  // A size of more than 2^60 elements is a mistake, and would overflow the byte count.
  double elements = 1;
  for (std::int64_t dim : spec.shape) elements *= static_cast<double>(dim);
  if (elements > 1e18) throw std::bad_alloc();
  array.buffer_ = allocate(static_cast<std::size_t>(spec.shape.size() * size_of(spec.dtype)));
  array.spec_ = spec;
  return array;
}

Array Array::symbolic(TensorSpec spec) {
  Array array;
  array.spec_ = spec;
  return array;
}

Array Array::wrap(std::shared_ptr<void> owner, void* data, TensorSpec spec) {
  Array array;
  array.buffer_ = std::shared_ptr<void>(std::move(owner), data);
  array.spec_ = spec;
  return array;
}

Array Array::reshaped(const Shape& shape) const {
  Array array = *this;
  array.spec_.shape = shape;
  return array;
}

}  // namespace kcore
