// Convolutions in many groups of few channels, depthwise ones above all: vectors along the filters, one box of
// positions and one chunk of groups at a time. Serial. A GEMM would fill few lanes of its vectors and spend its time
// packing.
//
//   y[n, p, f] = sum over taps t and channels c of f's group of x[n, p * step + offset[t], c] kernel[(t, c), f]
// Boxes and their slabs are those of kernels/conv. Where a group has more than one channel or filter, the slab is
// spread, so that every product is one of vectors: a tap is then a pair of a tap and a channel.
#pragma once

#include "kernels/conv/conv.h"

namespace kcore::kernels {

// Pixels of the slab have room for whole vectors: their filters are rounded up to this.
inline constexpr std::int64_t kDepthwiseRound = 16;

// scratch is 64-byte aligned, and holds the slab's elements and kDepthwiseRound more, then the kernel's: taps times the
// filters rounded up. slab.taps are slab.runs pairs of a tap and a channel, the order of the kernel's rows.
template <class T>
struct DepthwiseKernels {
  // The filters of the groups of x in a box of positions, with an epilogue whose residual has the layout of y.
  void (*product)(const Patches<T>& x, const Slab& slab, const Spread& spread, const T* kernel,
                  std::int64_t filter_stride, const Positions<T>& y, const Box& box, const Epilogue<T>& epilogue,
                  void* scratch);
  // The share of a box in dkernel, set or added.
  void (*kernel_grad)(const Patches<T>& x, const Slab& slab, const Spread& spread, const Positions<const T>& dy,
                      T* dkernel, std::int64_t filter_stride, const Box& box, bool add, void* scratch);
};

struct Depthwise {
  DepthwiseKernels<float> f32;
  DepthwiseKernels<double> f64;
};

}  // namespace kcore::kernels

KCORE_KERNELS(Depthwise, depthwise)
