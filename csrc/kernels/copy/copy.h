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

// Strides count elements.
using TransposeFunction = void (*)(const void* x, std::int64_t xs, void* y, std::int64_t ys, std::int64_t rows,
                                   std::int64_t columns, bool around);

// `around`: write around the cache.
struct CopyKernels {
  // The two functions of kernels/stream.h, for results that ops put together from several calls of a kernel.
  void (*stream_out)(void* y, const void* block, std::int64_t bytes, const Ahead* ahead, int count);
  void (*stream_end)();
  // `rows` rows of `bytes` each; strides in bytes, 0 repeats a row.
  void (*rows)(const void* x, std::int64_t xs, void* y, std::int64_t ys, std::int64_t rows, std::int64_t bytes,
               bool around);
  // y[r * ys + c] = x[r + c * xs] for r < rows, c < columns; for elements of 1, 2, 4 and 8 bytes.
  TransposeFunction transpose[4];
};

}  // namespace kcore::kernels

KCORE_KERNELS(CopyKernels, copy)
