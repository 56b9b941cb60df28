// Where windows are, and the outputs of a row that are computed together.
#pragma once

#include "kernels/lanes.h"
#include "kernels/pool/pool.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

KCORE_INLINE std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
KCORE_INLINE std::int64_t most(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// The part of a window that is inside the image, along one dimension; and `skipped` positions of it before that part.
struct Span {
  std::int64_t begin, end, skipped;
  std::int64_t size() const { return end - begin; }
};
KCORE_INLINE Span span_of(const PoolShape& s, int dim, std::int64_t out) {
  const std::int64_t start = out * s.stride[dim] - s.before[dim], stop = start + s.window[dim];
  const std::int64_t begin = most(start, 0);
  return {begin, least(stop, s.in[dim]), begin - start};
}

// `count` neighbouring outputs of a row, from `first` on; several only where their windows are whole along the row.
// `span`: that of the first.
struct Segment {
  std::int64_t first, count;
  Span span;
};
// Calls body(segment) for outputs [begin, end) of a row, at most `limit` at a time.
template <class Body>
KCORE_INLINE void for_segments(const PoolShape& s, std::int64_t begin, std::int64_t end, std::int64_t limit,
                               const Body& body) {
  for (std::int64_t o = begin; o < end;) {
    const Span span = span_of(s, 2, o);
    std::int64_t count = 1;
    if (span.size() == s.window[2]) {
      const std::int64_t whole = (s.in[2] + s.before[2] - s.window[2]) / s.stride[2] + 1;
      count = least(least(whole, end) - o, limit);
    }
    body(Segment{o, count, span});
    o += count;
  }
}

// Channels that fill no vector are computed together with their neighbours: as one row of elements where windows are
// one position apart, else after positions that are a stride apart were brought together (phases.h). Not for the ISA to
// decide: sums depend on it.
KCORE_INLINE bool in_phases(const PoolShape& s) {
  return s.channels < 16 && s.stride[2] > 1 && s.stride[2] < 16 && s.window[2] < 64;
}

// Whether streaming stores may go to an array of positions that begins at y: these are whole cache lines.
template <class T>
KCORE_INLINE bool streamable(const PoolShape& s, const T* y) {
  return s.channels * static_cast<int>(sizeof(T)) % 64 == 0 && reinterpret_cast<std::uintptr_t>(y) % 64 == 0;
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
