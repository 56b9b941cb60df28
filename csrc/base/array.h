// Owning arrays: a spec and a reference-counted buffer from a caching allocator.
// A fresh large buffer costs more in page faults than most ops cost in bandwidth, so freed buffers are kept for reuse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kcore/tensor.h"

namespace kcore {

// 64-byte aligned, uninitialized memory of at least `bytes`. Thread-safe.
std::shared_ptr<void> allocate(std::size_t bytes);

struct MemoryStats {
  std::size_t in_use = 0;  // bytes in live buffers
  std::size_t cached = 0;  // bytes kept for reuse
  std::size_t peak = 0;    // highest in_use so far
};
MemoryStats memory_stats();
// Returns the cached buffers to the operating system.
void release_cached_memory();

// An immutable tensor value. A symbolic array has a spec and no data: ops on it infer and compute nothing.
class Array {
 public:
  Array() = default;
  static Array empty(TensorSpec spec);
  // `holder` lives as long as the array, for who wants to know.
  static Array symbolic(TensorSpec spec, const std::shared_ptr<void>& holder = nullptr);
  // Memory of somebody else's, kept alive by `owner`.
  static Array wrap(std::shared_ptr<void> owner, void* data, TensorSpec spec);

  // The same for copies of this value and for nothing else in this process; 0 of no value.
  std::uint64_t id() const { return id_; }
  const TensorSpec& spec() const { return spec_; }
  DType dtype() const { return spec_.dtype; }
  const Shape& shape() const { return spec_.shape; }
  bool is_symbolic() const { return !buffer_; }
  void* data() const { return buffer_.get(); }
  TensorView view() const { return TensorView(buffer_.get(), spec_); }
  // Whether `holders` copies of this value, or of what shares its memory, are all there are: who has them may write
  // there. Never of somebody else's memory.
  bool is_held_by(long holders) const;
  // The same buffer under another shape of as many elements.
  Array reshaped(const Shape& shape) const;

 private:
  explicit Array(TensorSpec spec);

  std::shared_ptr<void> buffer_;
  TensorSpec spec_;
  std::uint64_t id_ = 0;
};

}  // namespace kcore
