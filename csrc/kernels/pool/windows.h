// Where windows are, and loops over their positions. Channels go in tiles whose running results stay in registers.
#pragma once

#include "kernels/lanes.h"
#include "kernels/pool/pool.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// The part of a window that is inside the image, along one dimension.
struct Span {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};
KCORE_INLINE Span span_of(const PoolShape& s, int dim, std::int64_t out) {
  const std::int64_t start = out * s.stride[dim] - s.before[dim], stop = start + s.window[dim];
  return {start < 0 ? 0 : start, stop < s.in[dim] ? stop : s.in[dim]};
}
struct Window {
  Span along[3];
  std::int64_t size() const { return along[0].size() * along[1].size() * along[2].size(); }
};

// Calls body(position of y, window) for each of rows [begin, end) of y.
template <class Body>
KCORE_INLINE void for_rows(const PoolShape& s, std::int64_t begin, std::int64_t end, const Body& body) {
  for (std::int64_t row = begin; row < end; ++row) {
    Window w{{span_of(s, 0, row / s.out[1]), span_of(s, 1, row % s.out[1]), {0, 0}}};
    for (std::int64_t o = 0; o < s.out[2]; ++o) {
      w.along[2] = span_of(s, 2, o);
      body(row * s.out[2] + o, w);
    }
  }
}

// Calls body(x at a position) for each position of a window, in row-major order; x is at the first channel to look at.
template <class T, class Body>
KCORE_INLINE void for_window(const PoolShape& s, const Window& w, T* x, const Body& body) {
  for (std::int64_t i = w.along[0].begin; i < w.along[0].end; ++i)
    for (std::int64_t j = w.along[1].begin; j < w.along[1].end; ++j) {
      T* at = x + ((i * s.in[1] + j) * s.in[2] + w.along[2].begin) * s.channels;
      for (std::int64_t k = w.along[2].begin; k < w.along[2].end; ++k, at += s.channels) body(at);
    }
}

// Whether all vectors of an array that begins at y are where streaming stores may go.
template <class T>
KCORE_INLINE bool streamable(const PoolShape& s, const T* y) {
  return s.channels % kLaneCount<T> == 0 && reinterpret_cast<std::uintptr_t>(y) % kLaneBytes == 0;
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
