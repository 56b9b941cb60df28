// Working memory: of a thread, for kernels that pack or buffer inside a parallel_for; of an op, while it runs.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace kcore {

// What an op asks for while it runs. Kept from one run to the next, it settles on one block of the largest sum of bytes
// that was asked for, and then allocates no more.
class Workspace {
 public:
  // Uninitialized, 64-byte aligned memory that is valid until clear().
  void* take(std::size_t bytes);
  void clear();

 private:
  struct Block {
    std::shared_ptr<void> memory;
    std::size_t bytes;
  };
  std::vector<Block> blocks_;
  std::size_t used_ = 0;   // bytes of the last block
  std::size_t asked_ = 0;  // since clear()
};

// At least `bytes`, 64-byte aligned, uninitialized; the same memory is handed out again on the thread's next call.
// Small sizes only: it is kept until the thread ends, and an allocation that fails inside a parallel_for ends the
// process.
void* thread_scratch(std::size_t bytes);

// Small things that an op makes while it runs, lists of offsets, say: memory that the same thread gave back before, so
// that an op which does what it did the last time allocates nothing.
void* take_recycled(std::size_t bytes);
void give_recycled(void* memory, std::size_t bytes);

template <class T>
struct Recycled {
  using value_type = T;
  Recycled() = default;
  template <class U>
  Recycled(const Recycled<U>&) {}
  T* allocate(std::size_t count) { return static_cast<T*>(take_recycled(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) { give_recycled(memory, count * sizeof(T)); }
  bool operator==(const Recycled&) const { return true; }
};

template <class T>
using RecycledVector = std::vector<T, Recycled<T>>;

template <class T, class... Args>
std::shared_ptr<T> make_recycled(Args&&... args) {
  return std::allocate_shared<T>(Recycled<T>(), std::forward<Args>(args)...);
}

}  // namespace kcore
