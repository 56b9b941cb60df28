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

// A linear map to `size` outputs along an axis: output j is the sum of weight[t] * input[index[t]] over t in
// [begin[j], begin[j + 1]).
template <class T>
struct AxisTerms {
  std::int64_t size;
  const std::int64_t* begin;  // (size + 1,)
  const std::int32_t* index;
  const T* weight;
};

// Elements after a line of work that may be read.
inline constexpr std::int64_t kLineSlack = 16;

template <class T>
struct ImageResample {
  void (*affine)(const AffineImage<T>& image, const T* x, T* y);
  // dx += the adjoint of rows [row0, row1) applied to dy.
  void (*affine_grad)(const AffineImage<T>& image, const T* dy, T* dx);
  // Rows [begin, end) of an image y (rows.size, columns.size, channels), from an image x as wide as `width`. line:
  // room for a row of x and kLineSlack elements. `stream`: y is written around the cache.
  void (*resize)(const AxisTerms<T>& rows, const AxisTerms<T>& columns, std::int64_t width, std::int64_t channels,
                 const T* x, std::int64_t begin, std::int64_t end, T* y, bool stream, T* line);
};

struct ImageKernels {
  ImageResample<float> f32;
  ImageResample<double> f64;
};

}  // namespace kcore

KCORE_KERNELS(ImageKernels, image)
