// Max pooling. A NaN is larger than anything, and the first of equals counts. Gradients look for the maxima again: that
// costs less than storing where they were.
#pragma once

#include "kernels/pool/fold.h"
#include "kernels/pool/gradient.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class V>
KCORE_INLINE auto beats(V value, V best) {
  return (value > best) | ((value != value) & (best == best));
}

// best = the largest of what it is and the taps, in one instruction for each: that loses NaNs, so whether there may be
// one is asked of the sum, and true is returned. (So it is for Inf - Inf.)
template <class T, class Vectors>
KCORE_INLINE bool largest(const Taps<T>& taps, std::int64_t i, const Vectors& at, Lanes<T> (&best)[Vectors::kCount]) {
  Lanes<T> sum[Vectors::kCount];
  for (int v = 0; v < Vectors::kCount; ++v) sum[v] = best[v];
  for (int t = 0; t < taps.count; ++t)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors::kCount; ++v) {
      const auto value = at.get(taps.at[t] + i, v);
      best[v] = value > best[v] ? value : best[v];
      sum[v] += value;
    }
  for (int v = 1; v < Vectors::kCount; ++v) sum[0] += sum[v];
  return any_nan<T>(sum[0]);
}

struct MaxFold {
  template <class T>
  static KCORE_INLINE T start() {
    return -static_cast<T>(__builtin_inf());
  }
  template <class T, class Vectors>
  KCORE_INLINE void into(const Taps<T>& taps, std::int64_t i, const Vectors& at,
                         Lanes<T> (&best)[Vectors::kCount]) const {
    Lanes<T> before[Vectors::kCount];
    for (int v = 0; v < Vectors::kCount; ++v) before[v] = best[v];
    if (!largest(taps, i, at, best)) return;
    for (int v = 0; v < Vectors::kCount; ++v) {
      best[v] = before[v];
      for (int t = 0; t < taps.count; ++t) {
        const auto value = at.get(taps.at[t] + i, v);
        best[v] = beats(value, best[v]) ? value : best[v];
      }
    }
  }
  template <class V, class T>
  KCORE_INLINE V finish(V best, T) const {
    return best;
  }
};

// position = which of the taps has the maximum, which is returned in `best`.
template <class T, class Vectors>
KCORE_INLINE void find_max(const Taps<T>& taps, std::int64_t i, const Vectors& at, Lanes<T> (&best)[Vectors::kCount],
                           Position<T> (&position)[Vectors::kCount]) {
  using P = PositionOf<T>;
  for (int v = 0; v < Vectors::kCount; ++v) {
    best[v] = Lanes<T>{} + MaxFold::start<T>();
    position[v] = Position<T>{} + static_cast<P>(taps.id[0]);
  }
  if (!largest(taps, i, at, best)) {
    for (int t = taps.count - 1; t >= 0; --t)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors::kCount; ++v)
        position[v] = at.get(taps.at[t] + i, v) == best[v] ? Position<T>{} + static_cast<P>(taps.id[t]) : position[v];
    return;
  }
  for (int v = 0; v < Vectors::kCount; ++v) {
    best[v] = Lanes<T>{} + MaxFold::start<T>();
    for (int t = 0; t < taps.count; ++t) {
      const auto value = at.get(taps.at[t] + i, v);
      const auto wins = beats(value, best[v]);
      best[v] = wins ? value : best[v];
      position[v] = wins ? Position<T>{} + static_cast<P>(taps.id[t]) : position[v];
    }
  }
}

// positions, best = those of the taps, or what is there from earlier ones unless `first`.
template <class T>
KCORE_INLINE void find_taps(const Taps<T>& taps, const Elements& e, PositionOf<T>* positions, T* best, bool first,
                            bool last) {
  const bool single = first && last;
  for (std::int64_t g = 0; g < e.groups; ++g)
    for_vectors<T>(
        e.size, [&]<class Vectors>(const Vectors& at, std::int64_t i) __attribute__((always_inline)) {
          constexpr int kCount = Vectors::kCount;
          const std::int64_t to = g * e.size + i;
          Lanes<T> most[kCount];
          Position<T> position[kCount];
          find_max(taps, g * e.step + i, at, most, position);
          for (int v = 0; v < kCount; ++v) {
            if (!first) {
              const auto before = at.get(best + to, v);
              const auto wins = beats(most[v], before);
              most[v] = wins ? most[v] : before;
              position[v] = wins ? position[v] : get_positions<T>(positions + to, v, at);
            }
            if (!single) at.put(best + to, v, most[v], false);
            put_positions<T>(positions + to, v, at, position[v]);
          }
        });
}

// The same for a segment of few channels, from all rows of its windows in phases.
template <class T>
KCORE_INLINE void find_phases(const PoolShape& s, const Rows& rows, const Segment& g, const T* x,
                              PositionOf<T>* positions, T* best) {
  constexpr int kLines = 4;
  alignas(64) T phases[kLines * kPhases];
  const std::int64_t inputs = phase_inputs(s, g.count), size = phase_size(s, inputs), c = s.channels;
  const std::int64_t all = rows.a.size() * rows.b.size() * s.window[2];
  Taps<T> taps;
  std::int64_t done = 0, slot = 0;
  bool first = true;
  for_lines(s, rows, x, [&](const T* line, std::int64_t id) {
    T* to = phases + slot * kPhases;
    split(s, line + g.span.begin * c, inputs, to, size);
    slot = (slot + 1) % kLines;
    for (std::int64_t k = 0; k < s.window[2]; ++k) {
      taps.add(to + in_phase(s, k, size), id + k);
      ++done;
      const bool full = taps.count == Taps<T>::kMost || (slot == 0 && k + 1 == s.window[2]);
      if (!full && done < all) continue;
      find_taps(taps, Elements::together(g.count * c), positions, best, first, done == all);
      first = false;
      taps.count = 0;
    }
  });
}

// positions = where the maxima of outputs [begin, end) of a row are; `best` is room for as many elements.
template <class T>
KCORE_INLINE void find_row(const PoolShape& s, std::int64_t row, std::int64_t begin, std::int64_t end, const T* x,
                           PositionOf<T>* positions, T* best) {
  const bool phased = in_phases(s);
  const Rows rows = rows_of(s, row);
  for_segments(s, begin, end, phased ? phase_outputs(s) : end - begin, [&](const Segment& g) {
    const std::int64_t at = (g.first - begin) * s.channels;
    if (phased && g.count > 1) return find_phases(s, rows, g, x, positions + at, best + at);
    for_taps(
        s, rows, g, x, [&](const Taps<T>& taps, bool first, bool last) __attribute__((always_inline)) {
          find_taps(taps, Elements::of(s, g.count), positions + at, best + at, first, last);
        });
  });
}

template <class T>
void max_rows(const PoolShape& s, const void* x, std::int64_t begin, std::int64_t end, void* y, bool stream) {
  fold_rows<T>(MaxFold{}, s, x, begin, end, y, stream);
}

template <class T>
void take_rows(const PoolShape& s, const void* v_, const void* x_, std::int64_t begin, std::int64_t end, void* y_,
               void* scratch) {
  auto *from = static_cast<const T*>(v_), *x = static_cast<const T*>(x_);
  auto* y = static_cast<T*>(y_);
  const std::int64_t c = s.channels, n = s.out[2] * c;
  auto* positions = static_cast<PositionOf<T>*>(scratch);
  for (std::int64_t row = begin; row < end; ++row) {
    find_row(s, row, 0, s.out[2], x, positions, static_cast<T*>(scratch) + n);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t at = positions[i], line = at / s.window[2];
      const std::int64_t a = row / s.out[1] * s.stride[0] - s.before[0] + line / s.window[1];
      const std::int64_t b = row % s.out[1] * s.stride[1] - s.before[1] + line % s.window[1];
      const std::int64_t k = i / c * s.stride[2] - s.before[2] + at % s.window[2];
      y[row * n + i] = from[((a * s.in[1] + b) * s.in[2] + k) * c + i % c];
    }
  }
}

template <class T>
void max_grad(const PoolShape& s, const void* dy_, const void* x_, std::int64_t begin, std::int64_t end, void* dx,
              bool stream, void* scratch) {
  auto *dy = static_cast<const T*>(dy_), *x = static_cast<const T*>(x_);
  const Slab slab(s, begin, end);
  if (tiled(s)) {
    const auto give = [&]<class Vectors, class Put>(const Taps<T>& taps, std::int64_t in, std::int64_t out,
                                                    const Vectors& at, const Put& put) __attribute__((always_inline)) {
      Lanes<T> best[Vectors::kCount];
      Position<T> position[Vectors::kCount];
      find_max(taps, in, at, best, position);
      for (int v = 0; v < Vectors::kCount; ++v) best[v] = at.get(dy + out, v);
      for (int t = 0; t < taps.count; ++t)
        for (int v = 0; v < Vectors::kCount; ++v)
          put(t, v, position[v] == Position<T>{} + static_cast<PositionOf<T>>(taps.id[t]) ? best[v] : Lanes<T>{});
    };
    return fill_tiles(s, slab, x, static_cast<T*>(dx), stream, give);
  }
  auto* positions = static_cast<PositionOf<T>*>(scratch);
  T* best = static_cast<T*>(scratch) + slab.outputs() * s.channels;
  const auto find = [&](std::int64_t row, const Span& made, std::int64_t local) {
    find_row(s, row, made.begin, made.end, x, positions + local, best);
  };
  // The row of x that comes after those of the windows that end here.
  const std::int64_t ahead = (s.in[1] > 1 ? s.window[1] : 0) * s.in[2] * s.channels;
  gather<T>(s, slab, Chosen<T>{dy, x, positions, static_cast<T*>(dx), ahead}, static_cast<T*>(dx), stream, find);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
