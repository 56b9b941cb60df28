// Convolutions as matrix products that gather: no patch matrix is ever stored. Serial, one block at a time.
//
// The patch matrix P of an image has a row for each position of a window (batch, d, h, w) and a column for each pair of
// a tap and a channel: P[(n, p), (t, c)] = image[n, p * step + offset[t], c] in each of three spatial dimensions, and
// zero outside the image.
//   forward      y  = P(x) kernel                  step = stride, offset = t * dilation - pad
//   input grad   dx = P(dy) kernel transposed      once per phase (residue of the coordinate modulo the stride): step 1
//   kernel grad  dkernel = P(x) transposed dy
// The layout is channels last throughout, and one- and two-dimensional images have leading dimensions of one.
//
// There are two ways. The packed one is the GEMM's, with packers that gather: for micro-tiles that want their operands
// in a format of their own. The direct one takes a box of positions at a time. What they see of the image is copied
// with its padding to a slab (or read in place where no tap leaves the image), in which every tap lies at a fixed
// distance from its position: the micro-tile then reads P from there, with nothing to pack and no borders.
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

// A box of positions: images, then three spatial axes.
struct Box {
  std::int64_t begin[4], count[4];
};

// Where boxes of positions find their pixels; the same for all boxes of a call. Strides are in elements.
struct Slab {
  bool copied;                // or the image itself
  std::int64_t image_stride;  // from one image to the next
  std::int64_t pixel_stride[3], position_stride[3];
  std::int64_t source_step[3];  // pixels of the image from one pixel of the slab to the next
  std::int64_t reach[3];        // pixels of the slab that a position sees, from first to last
  std::int64_t elements;        // to copy at most, rounded up to whole cache lines
  const std::int64_t* taps;     // the distance of each tap from its position
  // Columns of P whose pixels are neighbours in memory: `runs` runs of `run` columns; run i starts at tap i * run_taps.
  std::int64_t runs, run, run_taps;
};

// A slab whose pixels hold a vector of filters for each channel of a group: lane f of vector c is the channel c of the
// group of filter f, and `width` elements from lane f of vector c - 1.
struct Spread {
  std::int64_t channels = 1, filters = 1;  // of a group
  std::int64_t width = 0;

  bool any() const { return channels > 1 || filters > 1; }
};

// A share of a kernel's gradient: row (t, c) is at data + t * tap_stride + c * channel_stride.
template <class T>
struct KernelShare {
  T* data;
  std::int64_t tap_stride, channel_stride;
};

inline constexpr std::int64_t kConvPanel = 32;  // the direct way cuts columns of B at multiples of this

// Two bfloat16, the first in the lower half: an element of products of bfloat16.
using Pair = std::uint32_t;

// The direct way, over elements X that are summed in T, of arrays of Stored: all the same, or pairs of bfloat16. Two
// neighbouring channels are such a pair where they lie, so patches of pairs have half of the channels. In a kernel's
// gradient, whose sums run over positions, pairs are made as the slab is filled. scratch is 64-byte aligned.
template <class X, class T = X, class Stored = X>
struct DirectConvKernels {
  // Rows [k0, k1) of B (a row for each column of P, n columns) in the order in which `product` reads them; `to` has
  // room for n rounded up to kConvPanel.
  void (*pack)(const Matrix<Stored>& b, const Slab& slab, std::int64_t k0, std::int64_t k1, std::int64_t n, X* to);
  void (*pack_flipped)(const FlippedKernel<Stored>& b, const Slab& slab, std::int64_t k0, std::int64_t k1,
                       std::int64_t n, X* to);
  // Columns [n0, n1) of the rows of y that belong to a box: y = epilogue(P B), where the residual has the layout of y.
  // scratch: the slab's elements, three pointers for each position and, where y is rounded, a sum for each of its
  // elements with n1 - n0 rounded up to kConvPanel.
  void (*product)(const Patches<X>& x, const Slab& slab, const X* packed_b, const Positions<Stored>& y, const Box& box,
                  std::int64_t n0, std::int64_t n1, const Epilogue<T>& epilogue, void* scratch);
  // The share of a box of positions in columns [0, n) of P transposed dy, set or added. scratch: the slab's elements,
  // those of dy with n rounded up to kConvPanel, and two pointers for each row of positions.
  void (*kernel_grad)(const Patches<Stored>& x, const Slab& slab, const Positions<const Stored>& dy, std::int64_t n,
                      const KernelShare<T>& dkernel, const Box& box, bool add, void* scratch);
};

// The packed way, of an arithmetic that wants operands in a format of its own.
template <class T>
struct PackedConvKernels {
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

// Fused multiply-adds and AVX-512's products of bfloat16 go the direct way, all else the packed one; an ISA has what it
// adds to those below it.
struct Conv {
  DirectConvKernels<float> f32;
  DirectConvKernels<double> f64;
  DirectConvKernels<Pair, float, bfloat16> bf16;
  PackedConvKernels<float> packed[kArithmeticCount];
};

}  // namespace kcore::kernels

KCORE_PRODUCT_KERNELS(Conv, conv)
