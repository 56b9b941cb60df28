// Max pooling. A NaN is larger than anything, and the first of equals counts.
#pragma once

#include "kernels/pool/fold.h"
#include "kernels/pool/positions.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class V>
KCORE_INLINE auto beats(V value, V best) {
  return (value > best) | ((value != value) & (best == best));
}

struct MaxFold {
  static constexpr bool kDoubts = true;
  template <class T>
  static KCORE_INLINE T start() {
    return -static_cast<T>(__builtin_inf());
  }
  // In one instruction for each tap: that loses NaNs, so whether there may be one is asked of the sum of all. (So it is
  // for Inf - Inf.)
  template <class T, class Vectors>
  KCORE_INLINE void into(const Taps<T>& taps, std::int64_t i, const Vectors& at, Lanes<T> (&best)[Vectors::kCount],
                         Lanes<T>& doubt) const {
    Lanes<T> sum[Vectors::kCount] = {};
    for (int t = 0; t < taps.count; ++t)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors::kCount; ++v) {
        const auto value = at.get(taps.at[t] + i, v);
        best[v] = value > best[v] ? value : best[v];
        sum[v] += value;
      }
    for (int v = 0; v < Vectors::kCount; ++v) doubt += sum[v];
  }
  template <class T, class Vectors>
  KCORE_INLINE void surely_into(const Taps<T>& taps, std::int64_t i, const Vectors& at,
                                Lanes<T> (&best)[Vectors::kCount]) const {
    for (int v = 0; v < Vectors::kCount; ++v)
      for (int t = 0; t < taps.count; ++t) {
        const auto value = at.get(taps.at[t] + i, v);
        best[v] = beats(value, best[v]) ? value : best[v];
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
  constexpr int kCount = Vectors::kCount;
  const auto start = [&]() __attribute__((always_inline)) {
    for (int v = 0; v < kCount; ++v) {
      best[v] = Lanes<T>{} + MaxFold::start<T>();
      position[v] = position_of<T>(taps.id[0]);
    }
  };
  start();
  Lanes<T> sum[kCount] = {};  // whether there may be a NaN, as in MaxFold
  for (int t = 0; t < taps.count; ++t) {
    const Position<T> id = position_of<T>(taps.id[t]);
#pragma GCC unroll 4
    for (int v = 0; v < kCount; ++v) {
      const auto value = at.get(taps.at[t] + i, v);
      position[v] = value > best[v] ? id : position[v];
      best[v] = value > best[v] ? value : best[v];
      sum[v] += value;
    }
  }
  for (int v = 1; v < kCount; ++v) sum[0] += sum[v];
  if (!any_nan<T>(sum[0])) return;
  start();
  for (int t = 0; t < taps.count; ++t)
    for (int v = 0; v < kCount; ++v) {
      const auto value = at.get(taps.at[t] + i, v);
      const auto wins = beats(value, best[v]);
      best[v] = wins ? value : best[v];
      position[v] = wins ? position_of<T>(taps.id[t]) : position[v];
    }
}

// y, positions = those of the taps, or what is there from earlier ones unless `first`.
template <class T, class P>
KCORE_INLINE void find_taps(const Taps<T>& taps, const Elements& e, T* y, P* positions, bool first, bool stream) {
  for (std::int64_t g = 0; g < e.groups; ++g)
    for_vectors<T>(
        e.size, [&]<class Vectors>(const Vectors& at, std::int64_t i) __attribute__((always_inline)) {
          constexpr int kCount = Vectors::kCount;
          const std::int64_t to = g * e.size + i;
          Lanes<T> best[kCount];
          Position<T> position[kCount];
          find_max(taps, g * e.step + i, at, best, position);
          for (int v = 0; v < kCount; ++v) {
            if (!first) {
              const auto before = at.get(y + to, v);
              const auto wins = beats(best[v], before);
              best[v] = wins ? best[v] : before;
              position[v] = wins ? position[v] : get_positions(at, positions + to, v);
            }
            at.put(y + to, v, best[v], stream);
            put_positions(at, positions + to, v, position[v]);
          }
        });
}

// The same for a segment of few channels, from all rows of its windows in phases.
template <class T, class P>
KCORE_INLINE void find_phases(const PoolShape& s, const Rows& rows, const Segment& g, const T* x, T* y, P* positions) {
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
      find_taps(taps, Elements::together(g.count * c), y, positions, first, false);
      first = false;
      taps.count = 0;
    }
  });
}

template <class T>
void max_rows(const PoolShape& s, const void* x, std::int64_t begin, std::int64_t end, void* y, bool stream) {
  fold_rows<T>(MaxFold{}, s, x, begin, end, y, stream);
}

template <class T, class P>
void find_rows(const PoolShape& s, const void* x_, std::int64_t begin, std::int64_t end, void* y_, void* positions_,
               bool stream) {
  auto* x = static_cast<const T*>(x_);
  auto* y = static_cast<T*>(y_);
  auto* positions = static_cast<P*>(positions_);
  const bool phased = in_phases(s);
  stream = stream && streamable(s, y) && s.window[0] * s.window[1] * s.window[2] <= Taps<T>::kMost;
  for (std::int64_t row = begin; row < end; ++row) {
    const Rows rows = rows_of(s, row);
    for_segments(s, 0, s.out[2], phased ? phase_outputs(s) : s.out[2], [&](const Segment& g) {
      const std::int64_t to = (row * s.out[2] + g.first) * s.channels;
      if (phased && g.count > 1) return find_phases(s, rows, g, x, y + to, positions + to);
      for_taps(
          s, rows, g, x, [&](const Taps<T>& taps, bool first, bool) __attribute__((always_inline)) {
            find_taps(taps, Elements::of(s, g.count), y + to, positions + to, first, stream);
          });
    });
  }
  if (stream) stream_end();
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
