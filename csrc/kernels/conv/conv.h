// Convolutions as matrix products whose packing gathers: no patch matrix is ever stored. Serial, one block at a time.
//
// The patch matrix P of an image has a row for each position of a window (batch, d, h, w) and a column for each pair of
// a tap and a channel: P[(n, p), (t, c)] = image[n, p * step + offset[t], c] in each of three spatial dimensions, and
// zero outside the image.
//   forward      y  = P(x) kernel                  step = stride, offset = t * dilation - pad
//   input grad   dx = P(dy) kernel transposed      once per phase (residue of the coordinate modulo the stride): step 1
//   kernel grad  dkernel = P(x) transposed dy
// The layout is channels last throughout, and one- and two-dimensional images have leading dimensions of one.
#pragma once

#include "kernels/gemm/gemm.h"

namespace kcore::kernels {

// One spatial dimension of a patch matrix.
struct PatchAxis {
  std::int64_t extent;     // pixels of the image
  std::int64_t positions;  // of the window
  std::int64_t step;       // pixels from one position to the next
  std::int64_t taps;
  const std::int64_t* offsets;  // ascending: the pixel of each tap at position 0
};

template <class T>
struct Patches {
  const T* image;
  std::int64_t pixel_stride;  // elements from a pixel to the next: the channels of all groups
  std::int64_t channels;      // those of this group
  PatchAxis axis[3];
};

// The part of a kernel that an input gradient multiplies with: B[(t, f), c] = kernel[index of t, c, f].
template <class T>
struct FlippedKernel {
  const T* kernel;
  std::int64_t filter_stride;  // filters of all groups
  std::int64_t channels, filters;
  const std::int64_t* indices[3];  // for each axis, the kernel's tap of each patch tap
  std::int64_t taps[3];            // of the patches
  std::int64_t size[3];            // of the kernel
};

// Where the rows of a result go: position p of axis i is steps[i] elements from position p - 1; images are image_stride
// apart.
template <class T>
struct Positions {
  T* data;
  std::int64_t image_stride, count[3], steps[3];
};

template <class T>
struct ConvKernels {
  // Rows of the range are positions, columns are filters, k runs over (tap, channel). scratch: gemm_scratch_bytes().
  void (*forward)(const Patches<T>& x, const Matrix<T>& kernel, T* y, std::int64_t ldy, const GemmRange& range,
                  const Epilogue<T>& epilogue, void* scratch);
  // Rows are positions of one phase, columns are channels, k runs over (tap, filter).
  void (*input_grad)(const Patches<T>& dy, const FlippedKernel<T>& kernel, const Positions<T>& dx,
                     const GemmRange& range, const Epilogue<T>& epilogue, void* scratch);
  // Rows are (tap, channel), columns are filters, k runs over positions.
  void (*kernel_grad)(const Patches<T>& x, const Matrix<T>& dy, T* dkernel, std::int64_t ld, const GemmRange& range,
                      const Epilogue<T>& epilogue, void* scratch);
};

struct Conv {
  ConvKernels<float> f32;
  ConvKernels<double> f64;
};

}  // namespace kcore::kernels

KCORE_KERNELS(Conv, conv)
