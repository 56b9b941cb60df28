// Kernels that move elements and compute nothing.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

inline constexpr std::int64_t kStreamBytes = 4096;  // of a result that kernels/stream.h writes at a time

// What the next block reads.
struct Ahead {
  const void* from;
  std::int64_t bytes;
};

struct CopyKernels {
  // The two functions of kernels/stream.h, for results that ops put together from several calls of a kernel.
  void (*stream_out)(void* y, const void* block, std::int64_t bytes, const Ahead* ahead, int count);
  void (*stream_end)();
};

}  // namespace kcore::kernels

KCORE_KERNELS(CopyKernels, copy)
