// Depthwise convolution, where every input channel has filters of its own: direct loops, vectors along the channels.
// With few products per element a GEMM would spend its time packing. Serial, over ranges of image rows.
//
//   y[n, p, c * multiplier + j] = sum over taps t of x[n, p * stride + t * dilation - pad, c] kernel[t, c * multiplier
//   + j]
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

struct DepthwiseAxis {
  std::int64_t in, out, kernel, stride, dilation, pad;  // pad: in front
};

struct DepthwiseShape {
  std::int64_t batch, channels, multiplier;
  DepthwiseAxis axis[3];
};

template <class T>
struct DepthwiseKernels {
  // Rows [begin, end) of y; a row is one (n, d, h).
  void (*forward)(const DepthwiseShape& s, const T* x, const T* kernel, T* y, std::int64_t begin, std::int64_t end);
  // Rows [begin, end) of dx.
  void (*input_grad)(const DepthwiseShape& s, const T* dy, const T* kernel, T* dx, std::int64_t begin,
                     std::int64_t end);
  // The share of rows [begin, end) of dy in dkernel, which is overwritten.
  void (*kernel_grad)(const DepthwiseShape& s, const T* x, const T* dy, T* dkernel, std::int64_t begin,
                      std::int64_t end);
};

struct Depthwise {
  DepthwiseKernels<float> f32;
  DepthwiseKernels<double> f64;
};

}  // namespace kcore::kernels

KCORE_KERNELS(Depthwise, depthwise)
