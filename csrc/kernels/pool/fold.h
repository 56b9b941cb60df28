// Pooling as a fold: all elements of a window as one, for the maximum and for the mean.
#pragma once

#include "kernels/pool/phases.h"
#include "kernels/pool/taps.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// A fold has start(), the value of no elements; into(taps, element, vectors, value, doubt), which takes in all taps;
// and finish(value, elements of the window). One that kDoubts may have lost a NaN if there is one in `doubt`:
// surely_into(taps, element, vectors, value) then finds it, taking in what may have been taken in before.

// y = the fold of the taps, of what y holds too unless `first`; finished if it is the last portion of them.
template <class T, class Fold>
KCORE_INLINE void fold_taps(const Fold& fold, const Taps<T>& taps, const Elements& e, T* y, bool first, bool last,
                            std::int64_t size, bool stream) {
  const T divisor = static_cast<T>(size);
  const auto for_all = [&](const auto& into) __attribute__((always_inline)) {
    for (std::int64_t g = 0; g < e.groups; ++g)
      for_vectors<T>(
          e.size, [&]<class Vectors>(const Vectors& at, std::int64_t i) __attribute__((always_inline)) {
            constexpr int kCount = Vectors::kCount;
            T* to = y + g * e.size + i;
            Lanes<T> value[kCount];
            for (int v = 0; v < kCount; ++v) value[v] = first ? Lanes<T>{} + Fold::template start<T>() : at.get(to, v);
            into(at, g * e.step + i, value);
            for (int v = 0; v < kCount; ++v) at.put(to, v, last ? fold.finish(value[v], divisor) : value[v], stream);
          });
  };
  Lanes<T> doubt = {};
  for_all([&](const auto& at, std::int64_t i, auto& value)
              __attribute__((always_inline)) { fold.into(taps, i, at, value, doubt); });
  if constexpr (Fold::kDoubts)
    if (any_nan<T>(doubt))
      for_all([&](const auto& at, std::int64_t i, auto& value)
                  __attribute__((always_inline)) { fold.surely_into(taps, i, at, value); });
}

// A segment of few channels: down the rows first, then across what was taken apart into phases.
template <class T, class Fold>
KCORE_INLINE void fold_phases(const Fold& fold, const PoolShape& s, const Rows& rows, const Segment& g, const T* x,
                              T* y) {
  alignas(64) T column[kPhases], phases[kPhases];
  const std::int64_t inputs = phase_inputs(s, g.count), size = phase_size(s, inputs);
  const T* line = column;
  if (s.channels == 1 && rows.a.size() * rows.b.size() == 1) {
    for_lines(s, rows, x, [&](const T* only, std::int64_t) { line = only + g.span.begin; });
  } else {
    Segment down = g;
    down.span.end = down.span.begin + 1;
    for_taps(s, rows, down, x, [&](const Taps<T>& taps, bool first, bool) {
      fold_taps(fold, taps, Elements::together(inputs * s.channels), column, first, false, 0, false);
    });
  }
  split(s, line, inputs, phases, size);
  const std::int64_t elements = rows.a.size() * rows.b.size() * s.window[2];
  Taps<T> taps;
  for (std::int64_t k = 0; k < s.window[2];) {
    const bool first = k == 0;
    for (taps.count = 0; k < s.window[2] && taps.count < Taps<T>::kMost; ++k)
      taps.add(phases + in_phase(s, k, size), k);
    fold_taps(fold, taps, Elements::together(g.count * s.channels), y, first, k == s.window[2], elements, false);
  }
}

template <class T, class Fold>
KCORE_INLINE void fold_rows(const Fold& fold, const PoolShape& s, const void* x_, std::int64_t begin, std::int64_t end,
                            void* y_, bool stream) {
  auto* x = static_cast<const T*>(x_);
  auto* y = static_cast<T*>(y_);
  const bool phased = in_phases(s);
  stream = stream && streamable(s, y) && s.window[0] * s.window[1] * s.window[2] <= Taps<T>::kMost;
  for (std::int64_t row = begin; row < end; ++row) {
    const Rows rows = rows_of(s, row);
    for_segments(s, 0, s.out[2], phased ? phase_outputs(s) : s.out[2], [&](const Segment& g) {
      T* to = y + (row * s.out[2] + g.first) * s.channels;
      if (phased && g.count > 1) return fold_phases(fold, s, rows, g, x, to);
      const std::int64_t elements = rows.a.size() * rows.b.size() * g.span.size();
      for_taps(
          s, rows, g, x, [&](const Taps<T>& taps, bool first, bool last) __attribute__((always_inline)) {
            fold_taps(fold, taps, Elements::of(s, g.count), to, first, last, elements, stream);
          });
    });
  }
  if (stream) stream_end();
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
