// Resampling of NHWC images: affine transforms and separable resizing, each with its adjoint.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore {

enum class FillMode { constant, nearest, reflect, wrap, mirror };

// One image (height, width, channels), rows [row0, row1) of the output of the same size. Output pixel (x, y) is the
// input at
//   ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), k = c0 x + c1 y + 1
// transform: a0 a1 a2 b0 b1 b2 c0 c1. Bilinear, or nearest with halves rounded away from zero.
template <class T>
struct AffineImage {
  std::int64_t height, width, channels, row0, row1;
  const T* transform;
  bool bilinear;
  FillMode fill_mode;
  T fill_value;
};

// A linear map along an axis: output j is sum over t < taps of weights[j * taps + t] * input[first[j] + t].
template <class T>
struct AxisWeights {
  std::int64_t size_in, size_out, taps;
  const std::int32_t* first;  // (size_out,)
  const T* weights;           // (size_out, taps)
};

template <class T>
struct ImageResample {
  void (*affine)(const AffineImage<T>& image, const T* x, T* y);
  // dx += the adjoint of rows [row0, row1) applied to dy.
  void (*affine_grad)(const AffineImage<T>& image, const T* dy, T* dx);
  // x (size_in, inner) -> y (size_out, inner)
  void (*along_axis)(const AxisWeights<T>& axis, std::int64_t inner, const T* x, T* y);
  // dy (size_out, inner) -> dx (size_in, inner)
  void (*along_axis_grad)(const AxisWeights<T>& axis, std::int64_t inner, const T* dy, T* dx);
};

struct ImageKernels {
  ImageResample<float> f32;
  ImageResample<double> f64;
};

}  // namespace kcore

KCORE_KERNELS(ImageKernels, image)
