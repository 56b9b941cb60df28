// The caching allocator: free lists by size class, four classes per power of two, so at most a fifth is wasted.
#include "base/array.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdio>
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

constexpr std::size_t kHugePage = std::size_t{2} << 20;
// Buffers from here on are mapped, each for itself: malloc would keep what is freed between others.
constexpr std::size_t kMapped = 2 * kHugePage;

// Large buffers ask for huge pages: with 4 KB pages a core read 18 GB/s where it reads 33 with pages of 2 MB, and a
// first touch cost twice as much.
void* fresh(std::size_t bytes) {
  if (bytes < kMapped) return std::aligned_alloc(kAlignment, bytes);
  void* mapped =
      mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(mapped);
  char* const data = begin + (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  if (data > begin) munmap(begin, static_cast<std::size_t>(data - begin));
  char* const end = data + bytes;
  munmap(end, static_cast<std::size_t>(begin + bytes + kHugePage - end));
  madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // a wish: where it is not granted, small pages
  return data;
}

void drop(void* data, std::size_t bytes) {
  if (bytes < kMapped)
    std::free(data);
  else
    munmap(data, bytes);
}

// Bytes that this process may use at most: the machine's memory, or the container's share of it.
std::size_t memory_limit() {
  std::size_t limit =
      static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/memory.max", "r")) {
    unsigned long long share = 0;
    if (std::fscanf(file, "%llu", &share) == 1) limit = std::min<std::size_t>(limit, share);  // "max": no limit
    std::fclose(file);
  }
  return limit;
}

class Allocator {
 public:
  void* take(std::size_t bytes) {
    std::lock_guard lock(mutex_);
    void* data = nullptr;
    FreeList& list = free_[bytes];
    list.used = ++clock_;
    if (!list.buffers.empty()) {
      data = list.buffers.back();
      list.buffers.pop_back();
      stats_.cached -= bytes;
    } else {
      // The system grants more than there is, and kills the process once it is used: refuse before.
      static const std::size_t limit = memory_limit();
      if (bytes > limit || stats_.in_use > limit - bytes) throw std::bad_alloc();
      if (stats_.in_use + stats_.cached > limit - bytes) drop_cache();
      data = fresh(bytes);
      if (!data) {  // give back what is only cached, then try once more
        drop_cache();
        data = fresh(bytes);
      }
      if (!data) throw std::bad_alloc();
    }
    stats_.in_use += bytes;
    stats_.peak = std::max(stats_.peak, stats_.in_use);
    return data;
  }

  void give(void* data, std::size_t bytes) {
    std::lock_guard lock(mutex_);
    stats_.in_use -= bytes;
    free_[bytes].buffers.push_back(data);
    stats_.cached += bytes;
    // The cache never outgrows what the process has used at once, plus a little for small programs; what was not asked
    // for the longest goes first.
    while (stats_.cached > stats_.peak + kSlack) drop_oldest();
  }

  void release() {
    std::lock_guard lock(mutex_);
    drop_cache();
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  void drop_cache() {
    while (stats_.cached > 0) drop_oldest();
  }

  // Frees one buffer of the size class that was asked for the longest ago.
  void drop_oldest() {
    auto oldest = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it)
      if (!it->second.buffers.empty() && (oldest == free_.end() || it->second.used < oldest->second.used)) oldest = it;
    drop(oldest->second.buffers.back(), oldest->first);
    oldest->second.buffers.pop_back();
    stats_.cached -= oldest->first;
  }

  struct FreeList {
    std::vector<void*> buffers;
    std::uint64_t used = 0;  // when the class was last asked for
  };

  static constexpr std::size_t kSlack = std::size_t{1} << 20;
  std::mutex mutex_;
  std::uint64_t clock_ = 0;
  std::map<std::size_t, FreeList> free_;
  MemoryStats stats_;
};

// Never destroyed: arrays held by Python may outlive static destructors.
Allocator& allocator() {
  static Allocator* instance = new Allocator;
  return *instance;
}

// A child of fork() has only the thread that called it: were another one inside the allocator, it would stay locked.
const int registered =
    pthread_atfork([] { allocator().lock(); }, [] { allocator().unlock(); }, [] { allocator().unlock(); });

}  // namespace

namespace {
struct Give {
  std::size_t bytes;
  void operator()(void* data) const { allocator().give(data, bytes); }
};
}  // namespace

std::shared_ptr<void> allocate(std::size_t bytes) {
  const std::size_t rounded = size_class(bytes);
  return std::shared_ptr<void>(allocator().take(rounded), Give{rounded});
}

MemoryStats memory_stats() { return allocator().stats(); }
void release_cached_memory() { allocator().release(); }

Array::Array(TensorSpec spec) : spec_(spec) {
  static std::atomic<std::uint64_t> last{0};
  id_ = last.fetch_add(1, std::memory_order_relaxed) + 1;
}

Array Array::empty(TensorSpec spec) {
  // A size of more than 2^60 elements is a mistake, and would overflow the byte count.
  double elements = 1;
  for (std::int64_t dim : spec.shape) elements *= static_cast<double>(dim);
  if (elements > 1e18) throw std::bad_alloc();
  Array array(spec);
  array.buffer_ = allocate(static_cast<std::size_t>(spec.shape.size() * size_of(spec.dtype)));
  return array;
}

Array Array::symbolic(TensorSpec spec, const std::shared_ptr<void>& holder) {
  Array array(spec);
  if (holder) array.buffer_ = std::shared_ptr<void>(holder, nullptr);
  return array;
}

Array Array::wrap(std::shared_ptr<void> owner, void* data, TensorSpec spec) {
  Array array(spec);
  array.buffer_ = std::shared_ptr<void>(std::move(owner), data);
  return array;
}

bool Array::is_held_by(long holders) const {
  if (buffer_.use_count() != holders || !std::get_deleter<Give>(buffer_)) return false;
  // What those who let go of it have read, they read before anything is written.
  std::atomic_thread_fence(std::memory_order_acquire);
  return true;
}

Array Array::reshaped(const Shape& shape) const {
  Array array({spec_.dtype, shape});
  array.buffer_ = buffer_;
  return array;
}

}  // namespace kcore
