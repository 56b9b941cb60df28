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
  int slab_dim() const { return in[0] > 1 ? 0 : in[1] > 1 ? 1 : 2; }
  // The first output along slab_dim() whose window reaches to where that of output `begin` begins, or beyond.
  std::int64_t first_reaching(std::int64_t begin) const {
    const int d = slab_dim();
    const std::int64_t back = (window[d] - 1) / stride[d];
    return begin > back ? begin - back : 0;
  }
  // Elements of y in the windows that reach into the slab of outputs [begin, end).
  std::int64_t slab_size(std::int64_t begin, std::int64_t end) const {
    return out[0] * out[1] * out[2] / out[slab_dim()] * (end - first_reaching(begin)) * channels;
  }
};

// Rows [begin, end) of the o0 * o1 rows of y.
using PoolRows = void (*)(const PoolShape& s, const void* x, std::int64_t begin, std::int64_t end, void* y,
                          bool stream);
// The same, and which position of its window the first maximum has (a NaN is larger than anything), in row-major order
// and with padding counted. Positions are bytes (index 0 below) where windows have at most kBytePositions, else int32.
using MaxPoolFind = void (*)(const PoolShape& s, const void* x, std::int64_t begin, std::int64_t end, void* y,
                             void* positions, bool stream);
constexpr std::int64_t kBytePositions = 256;
// y = v at the positions. What is outside of v reads as zero.
using PoolTake = void (*)(const PoolShape& s, const void* v, const void* positions, std::int64_t begin,
                          std::int64_t end, void* y);
// The slab of dx that outputs [begin, end) along slab_dim() own: from where the first one's window begins, padding
// included, to where that of output `end` does; the first and the last slab go to the ends of dx. It is the sum of what
// all windows give that reach into it: dy at the position of its maximum. Positions outside of dx get nothing.
using MaxPoolGrad = void (*)(const PoolShape& s, const void* dy, const void* positions, std::int64_t begin,
                             std::int64_t end, void* dx, bool stream);
// The same with dy / (elements of its window) for each of them. scratch: slab_size(begin, end) elements.
using AveragePoolGrad = void (*)(const PoolShape& s, const void* dy, std::int64_t begin, std::int64_t end, void* dx,
                                 bool stream, void* scratch);

// Index 0: float32, 1: float64.
struct PoolKernels {
  PoolRows max[2];
  MaxPoolFind find_max[2][2];
  PoolTake take[2][2];
  MaxPoolGrad max_grad[2][2];
  PoolRows average[2];
  AveragePoolGrad average_grad[2];
};

}  // namespace kcore::kernels

KCORE_KERNELS(PoolKernels, pool)
