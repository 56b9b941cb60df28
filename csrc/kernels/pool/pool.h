// Max and average pooling of one image x (d0, d1, d2, C) -> y (o0, o1, o2, C), channels last, padding left out of
// every window. Fewer spatial dimensions are leading ones of length 1. `stream`: results are written around the cache.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

struct PoolShape {
  std::int64_t in[3], out[3], window[3], stride[3], before[3];  // before: padding in front
  std::int64_t channels;

  // The dimension that gradients are cut along: the outermost that is one.
  int slab_dim() const { return in[0] > 1 ? 0 : 1; }
};

// Rows [begin, end) of the o0 * o1 rows of y.
using PoolRows = void (*)(const PoolShape& s, const void* x, std::int64_t begin, std::int64_t end, void* y,
                          bool stream);
// y = v at the position of the first maximum of x in each window (a NaN is larger than anything).
using PoolTake = void (*)(const PoolShape& s, const void* v, const void* x, std::int64_t begin, std::int64_t end,
                          void* y, bool stream);
// The slab of dx that outputs [begin, end) along slab_dim() own: from where the first one's window begins, padding
// included, to where that of output `end` does; the first and the last slab go to the ends of dx. Windows of other
// outputs that reach into the slab add to it too: dy where x has the first maximum of the window.
using MaxPoolGrad = void (*)(const PoolShape& s, const void* dy, const void* x, std::int64_t begin, std::int64_t end,
                             void* dx, bool stream);
// The same with dy / (elements of its window) for each of them.
using AveragePoolGrad = void (*)(const PoolShape& s, const void* dy, std::int64_t begin, std::int64_t end, void* dx,
                                 bool stream);

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
