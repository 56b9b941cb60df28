// Working memory of the calling thread, for kernels that pack or buffer inside a parallel_for.
#pragma once

#include <cstddef>

namespace kcore {

// At least `bytes`, 64-byte aligned, uninitialized; the same memory is handed out again on the thread's next call.
// Small sizes only: it is kept until the thread ends, and an allocation that fails inside a parallel_for ends the
// process.
void* thread_scratch(std::size_t bytes);

}  // namespace kcore
