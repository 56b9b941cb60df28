// What outputs are made of: elements side by side, each from one element of every tap.
#pragma once

#include "kernels/pool/windows.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// The first output's elements at positions of its window, and which positions these are, in row-major order.
template <class T>
struct Taps {
  static constexpr int kMost = 32;
  const T* at[kMost];
  std::int64_t id[kMost];
  int count = 0;

  KCORE_INLINE void add(const T* x, std::int64_t position) {
    at[count] = x;
    id[count++] = position;
  }
};

// V vectors of elements, or the first `left` lanes of one.
template <class T, int V>
struct Whole {
  static constexpr int kCount = V;  // vectors
  KCORE_INLINE Lanes<T> get(const T* x, int v) const { return load(x, Start{v * kLaneCount<T>}); }
  KCORE_INLINE void put(T* y, int v, Lanes<T> value, bool stream) const {
    stream ? store_around(y + v * kLaneCount<T>, value) : store(y + v * kLaneCount<T>, value);
  }
};
template <class T>
struct Part {
  static constexpr int kCount = 1;
  int left;
  KCORE_INLINE Lanes<T> get(const T* x, int) const { return load_first(x, left); }
  KCORE_INLINE void put(T* y, int, Lanes<T> value, bool) const { store_first(y, value, left); }
};

// Calls body(vectors, element) for all of n elements.
template <class T, class Body>
KCORE_INLINE void for_vectors(std::int64_t n, const Body& body) {
  constexpr int L = kLaneCount<T>;
  std::int64_t e = 0;
  for (; e + 4 * L <= n; e += 4 * L) body(Whole<T, 4>{}, e);
  if (e + 2 * L <= n) body(Whole<T, 2>{}, e), e += 2 * L;
  if (e + L <= n) body(Whole<T, 1>{}, e), e += L;
  if (e < n) body(Part<T>{static_cast<int>(n - e)}, e);
}

// Where the elements of a segment are: `groups` of `size`; from one to the next by `step` in the taps.
struct Elements {
  std::int64_t groups, size, step;

  static KCORE_INLINE Elements together(std::int64_t count) { return {1, count, 0}; }
  static KCORE_INLINE Elements of(const PoolShape& s, std::int64_t outputs) {
    return s.stride[2] == 1 ? together(outputs * s.channels) : Elements{outputs, s.channels, s.stride[2] * s.channels};
  }
};

// A row of windows: the rows of x that they cover.
struct Rows {
  Span a, b;
};
KCORE_INLINE Rows rows_of(const PoolShape& s, std::int64_t row) {
  return {span_of(s, 0, row / s.out[1]), span_of(s, 1, row % s.out[1])};
}
// Calls body(row of x, position of its first element in the whole window) in order.
template <class T, class Body>
KCORE_INLINE void for_lines(const PoolShape& s, const Rows& rows, const T* x, const Body& body) {
  for (std::int64_t i = rows.a.begin; i < rows.a.end; ++i)
    for (std::int64_t j = rows.b.begin; j < rows.b.end; ++j) {
      const std::int64_t a = i - rows.a.begin + rows.a.skipped, b = j - rows.b.begin + rows.b.skipped;
      body(x + (i * s.in[1] + j) * s.in[2] * s.channels, (a * s.window[1] + b) * s.window[2]);
    }
}

// Calls body(taps, first, last) with the taps of a segment, in as many portions as they need.
template <class T, class Body>
KCORE_INLINE void for_taps(const PoolShape& s, const Rows& rows, const Segment& g, const T* x, const Body& body) {
  Taps<T> taps;
  bool first = true;
  for_lines(s, rows, x, [&](const T* line, std::int64_t id) {
    for (std::int64_t k = 0; k < g.span.size(); ++k) {
      if (taps.count == Taps<T>::kMost) {
        body(taps, first, false);
        first = false;
        taps.count = 0;
      }
      taps.add(line + (g.span.begin + k) * s.channels, id + g.span.skipped + k);
    }
  });
  body(taps, first, true);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
