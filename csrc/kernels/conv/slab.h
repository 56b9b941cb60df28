// Filling a slab: the pixels that a box of positions sees, with zeros for those outside the image.
#pragma once

#include <type_traits>

#include "kernels/conv/patches.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
void clear(T* to, std::int64_t count) {
  __builtin_memset(to, 0, static_cast<std::size_t>(count) * sizeof(T));
}

// The lanes of a pixel in the order of a spread slab.
template <class T>
void spread_pixel(T* to, const T* from, std::int64_t channels, const Spread& spread) {
  constexpr int L = kLanes<T>;
  using Lane = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
  typedef Lane Index __attribute__((vector_size(kVectorBytes)));
  const std::int64_t n = channels / spread.channels * spread.filters;
  // A vector of whole groups needs no channel beyond as many from that of its first lane.
  const bool whole = L % spread.filters == 0 && spread.channels <= spread.filters;
  Index first{};
  for (int j = 0; j < L; ++j) first[j] = static_cast<Lane>(j / spread.filters * spread.channels);
  for (std::int64_t f = 0; f < n; f += L) {
    const std::int64_t base = f / spread.filters * spread.channels, lanes = n - f < L ? n - f : L;
    if (whole && lanes == L && base + L <= channels) {
      const Vector<T> x = *reinterpret_cast<const Vector<T>*>(from + base);
      for (std::int64_t c = 0; c < spread.channels; ++c)
        *reinterpret_cast<Vector<T>*>(to + c * spread.width + f) = __builtin_shuffle(x, first + static_cast<Lane>(c));
    } else {
      for (std::int64_t c = 0; c < spread.channels; ++c)
        for (std::int64_t j = f; j < f + lanes; ++j)
          to[c * spread.width + j] = from[j / spread.filters * spread.channels + c];
    }
  }
}

// `pixels` pixels of a row of the image, of which only those at x in [0, extent) exist; x = first + i * step.
template <class T>
void copy_row(T* to, std::int64_t to_stride, const T* row, std::int64_t from_stride, std::int64_t channels,
              const Spread& spread, std::int64_t first, std::int64_t step, std::int64_t extent, std::int64_t pixels) {
  std::int64_t low = first < 0 ? (-first + step - 1) / step : 0;
  std::int64_t high = first < extent ? (extent - first + step - 1) / step : 0;
  if (high > pixels) high = pixels;
  if (low > high) low = high;
  clear(to, low * to_stride);
  const T* from = row + (first + low * step) * from_stride;
  T* pixel = to + low * to_stride;
  if (step == 1 && !spread.any() && to_stride == channels && from_stride == channels) {
    __builtin_memcpy(pixel, from, static_cast<std::size_t>((high - low) * channels) * sizeof(T));
  } else {
    for (std::int64_t i = low; i < high; ++i, from += step * from_stride, pixel += to_stride) {
      if (spread.any()) {
        spread_pixel(pixel, from, channels, spread);
      } else {
        for (std::int64_t c = 0; c < channels; ++c) pixel[c] = from[c];
      }
    }
  }
  clear(to + high * to_stride, (pixels - high) * to_stride);
}

// The pixels that a box of positions sees.
struct SlabWindow {
  std::int64_t images[2];  // the first, and how many
  std::int64_t first[3], pixels[3];

  SlabWindow(const PatchAxis (&axis)[3], const Slab& slab, const Box& box) : images{box.begin[0], box.count[0]} {
    for (int i = 0; i < 3; ++i) {
      first[i] = box.begin[i + 1] * axis[i].step + axis[i].offsets[0];
      const std::int64_t step = slab.source_step[i] == 1 ? axis[i].step : 1;  // pixels of the slab per position
      pixels[i] = (box.count[i + 1] - 1) * step + slab.reach[i];
    }
  }

  // Calls body(to, row) for each row of the slab in `memory`; row is nullptr where the image has none.
  template <class T, class Stored, class Body>
  void for_rows(const Patches<Stored>& x, const Slab& slab, T* memory, const Body& body) const {
    for (std::int64_t n = 0; n < images[1]; ++n)
      for (std::int64_t i = 0; i < pixels[0]; ++i)
        for (std::int64_t j = 0; j < pixels[1]; ++j) {
          const std::int64_t d = first[0] + i * slab.source_step[0], h = first[1] + j * slab.source_step[1];
          const bool there = inside(d, x.axis[0].extent) && inside(h, x.axis[1].extent);
          body(memory + n * slab.image_stride + i * slab.pixel_stride[0] + j * slab.pixel_stride[1],
               there ? image_row(x, images[0] + n, d, h) : nullptr);
        }
  }
};

// Copies what the box sees to `memory` unless it may stay where it is; returns the first tap of the box's first
// position.
template <class T>
const T* fill_slab(const Patches<T>& x, const Slab& slab, const Box& box, T* memory, const Spread& spread = {}) {
  const SlabWindow window(x.axis, slab, box);
  if (!slab.copied)
    return image_row(x, box.begin[0], window.first[0], window.first[1]) + window.first[2] * x.pixel_stride;
  window.for_rows(x, slab, memory, [&](T* to, const T* row) {
    if (!row) return clear(to, window.pixels[2] * slab.pixel_stride[2]);
    copy_row(to, slab.pixel_stride[2], row, x.pixel_stride, x.channels, spread, window.first[2], slab.source_step[2],
             x.axis[2].extent, window.pixels[2]);
  });
  return memory;
}

// Calls body(n, d, h), each counted from the box's beginning.
template <class Body>
void for_rows(const Box& box, const Body& body) {
  for (std::int64_t n = 0; n < box.count[0]; ++n)
    for (std::int64_t d = 0; d < box.count[1]; ++d)
      for (std::int64_t h = 0; h < box.count[2]; ++h) body(n, d, h);
}

template <class T>
T* position_at(const Positions<T>& y, const Box& box) {
  T* at = y.data + box.begin[0] * y.image_stride;
  for (int i = 0; i < 3; ++i) at += box.begin[i + 1] * y.steps[i];
  return at;
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
