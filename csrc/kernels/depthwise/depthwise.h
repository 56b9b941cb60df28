// Depthwise convolution, where every input channel has filters of its own: vectors along the channels, one box of
// positions and one chunk of channels at a time. Serial. With few products per element a GEMM would spend its time
// packing.
//
//   y[n, p, c * m + j] = sum over taps t of x[n, p * stride + t * dilation - pad, c] kernel[t, c * m + j]
// where m, the multiplier, is the number of filters of a channel. Boxes and their slabs are those of kernels/conv.
#pragma once

#include "kernels/conv/conv.h"

namespace kcore::kernels {

// Pixels of the slab have room for whole vectors: their filters are rounded up to this.
inline constexpr std::int64_t kDepthwiseRound = 16;

// scratch is 64-byte aligned, and holds the slab's elements and kDepthwiseRound more, then the kernel's: taps times the
// filters rounded up.
template <class T>
struct DepthwiseKernels {
  // The filters of the channels of x in a box of positions, with an epilogue whose residual has the layout of y.
  // kernel: row t is at kernel + t * filter_stride; tap i of x is multiplied with row rows[i].
  void (*forward)(const Patches<T>& x, const Slab& slab, std::int64_t multiplier, const T* kernel,
                  std::int64_t filter_stride, const std::int64_t* rows, const Positions<T>& y, const Box& box,
                  const Epilogue<T>& epilogue, void* scratch);
  // x from y: the gradient, of which dy has `multiplier` filters for each channel of dx. The scratch also holds the
  // rounded filters of kDepthwiseRound positions.
  void (*input_grad)(const Patches<T>& dy, const Slab& slab, std::int64_t multiplier, const T* kernel,
                     std::int64_t filter_stride, const std::int64_t* rows, const Positions<T>& dx, const Box& box,
                     void* scratch);
  // The share of a box in dkernel, set or added.
  void (*kernel_grad)(const Patches<T>& x, const Slab& slab, std::int64_t multiplier, const Positions<const T>& dy,
                      T* dkernel, std::int64_t filter_stride, const Box& box, bool add, void* scratch);
};

struct Depthwise {
  DepthwiseKernels<float> f32;
  DepthwiseKernels<double> f64;
};

}  // namespace kcore::kernels

KCORE_KERNELS(Depthwise, depthwise)
