// Max and average pooling of one image x (d0, d1, d2, C) -> y (o0, o1, o2, C), channels last, padding left out of
// every window. Fewer spatial dimensions are leading ones of length 1. Work is cut by slabs of o0 * o1 rows, or (where
// windows may overlap in what they write) by channels.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

struct PoolShape {
  std::int64_t in[3], out[3], window[3], stride[3], before[3];  // before: padding in front
  std::int64_t channels;
};

// Rows [begin, end) of the o0 * o1 rows of y.
using PoolRows = void (*)(const PoolShape& s, const void* x, std::int64_t begin, std::int64_t end, void* y);
// y = v at the position of the first maximum of x in each window (a NaN is larger than anything).
using PoolTake = void (*)(const PoolShape& s, const void* v, const void* x, std::int64_t begin, std::int64_t end,
                          void* y);
// Channels [begin, end) of all of dx: dy is added where x has the first maximum of its window.
using MaxPoolGrad = void (*)(const PoolShape& s, const void* dy, const void* x, std::int64_t begin, std::int64_t end,
                             void* dx);
// Channels [begin, end) of all of dx: dy / (elements of its window) is added to each of them.
using AveragePoolGrad = void (*)(const PoolShape& s, const void* dy, std::int64_t begin, std::int64_t end, void* dx);

// Index 0: float32, 1: float64.
struct PoolKernels {
  PoolRows max[2];
  PoolTake take[2];
  MaxPoolGrad max_grad[2];
  PoolRows average[2];
  AveragePoolGrad average_grad[2];
};

}  // namespace kcore::kernels

KCORE_KERNELS(PoolKernels, pool)
