// One growing buffer per thread.
#include "base/scratch.h"

#include "base/array.h"

namespace kcore {

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
