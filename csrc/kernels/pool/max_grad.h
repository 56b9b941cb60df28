// Gradients of max pooling, from the positions of the maxima: gathered for each position of dx in vectors, or where
// channels fill no vector, scattered from the outputs one by one. Both add in the order of windows. And what reads at
// the positions, the gradient's own gradient.
#pragma once

#include "kernels/pool/gradient.h"
#include "kernels/pool/positions.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// dy, to the position of the maximum.
template <class T, class P>
struct Chosen {
  const T* dy;
  const P* positions;

  struct Term {
    const T* dy;
    const P* positions;
    std::int64_t id;
  };
  struct Held {
    Lanes<T> dy;
    Position<T> position;
  };
  KCORE_INLINE Term term(std::int64_t at, std::int64_t, std::int64_t id) const { return {dy + at, positions + at, id}; }
  template <class Vectors>
  static KCORE_INLINE Held hold(const Term& t, std::int64_t i, const Vectors& at, int v) {
    return {at.get(t.dy + i, v), get_positions(at, t.positions + i, v)};
  }
  static KCORE_INLINE Lanes<T> give(const Held& held, std::int64_t id) {
    return held.position == position_of<T>(id) ? held.dy : Lanes<T>{};
  }
  template <class Vectors>
  static KCORE_INLINE Lanes<T> give(const Term& t, std::int64_t i, const Vectors& at, int v) {
    return give(hold(t, i, at, v), t.id);
  }
};

// Where positions of the window of an output are in x.
struct Places {
  const PoolShape& s;
  std::int64_t start[3];

  KCORE_INLINE Places(const PoolShape& s_, std::int64_t row, std::int64_t out) : s(s_) {
    const std::int64_t at[3] = {row / s.out[1], row % s.out[1], out};
    for (int d = 0; d < 3; ++d) start[d] = at[d] * s.stride[d] - s.before[d];
  }
  // The element of channel 0; -1 outside of `own`.
  KCORE_INLINE std::int64_t element(std::int64_t position, const Span (&own)[3]) const {
    const std::int64_t line = position / s.window[2];
    const std::int64_t i[3] = {start[0] + line / s.window[1], start[1] + line % s.window[1],
                               start[2] + position % s.window[2]};
    for (int d = 0; d < 3; ++d)
      if (i[d] < own[d].begin || i[d] >= own[d].end) return -1;
    return ((i[0] * s.in[1] + i[1]) * s.in[2] + i[2]) * s.channels;
  }
};

// Outputs whose windows are inside of a part of x along one dimension.
KCORE_INLINE Span inside(const PoolShape& s, int dim, const Span& own, const Span& out) {
  const std::int64_t stride = s.stride[dim], first = own.begin + s.before[dim], last = own.end + s.before[dim];
  const std::int64_t begin = least(most(out.begin, (first + stride - 1) / stride), out.end);
  const std::int64_t end = last < s.window[dim] ? begin : least((last - s.window[dim]) / stride + 1, out.end);
  return {begin, most(begin, end), 0};
}

// From the first element of a window to those at its positions that are inside.
struct Offsets {
  static constexpr std::int64_t kOutside = -(std::int64_t{1} << 62);
  std::int64_t of[kBytePositions];

  // For the windows of outputs (a, b, ...), of which only dimensions 0 and 1 are looked at.
  KCORE_INLINE void fill(const PoolShape& s, const Span (&own)[3], std::int64_t a, std::int64_t b) {
    const std::int64_t first[2] = {a * s.stride[0] - s.before[0], b * s.stride[1] - s.before[1]};
    for (std::int64_t& offset : of) offset = kOutside;
    std::int64_t* to = of;
    for (std::int64_t i = 0; i < s.window[0]; ++i)
      for (std::int64_t j = 0; j < s.window[1]; ++j, to += s.window[2]) {
        const std::int64_t at[2] = {first[0] + i, first[1] + j};
        if (at[0] < own[0].begin || at[0] >= own[0].end || at[1] < own[1].begin || at[1] >= own[1].end) continue;
        for (std::int64_t k = 0; k < s.window[2]; ++k) to[k] = ((i * s.in[1] + j) * s.in[2] + k) * s.channels;
      }
  }
};

template <class T, class P>
KCORE_INLINE void scatter(const PoolShape& s, const Slab& slab, const T* dy, const P* positions, T* dx) {
  const std::int64_t c = s.channels;
  const std::int64_t unit[3] = {s.in[1] * s.in[2] * c, s.in[2] * c, c};
  const Span own = slab.own[s.slab_dim()];
  __builtin_memset(dx + own.begin * unit[s.slab_dim()], 0,
                   static_cast<std::size_t>(own.size() * unit[s.slab_dim()]) * sizeof(T));
  constexpr bool kTable = sizeof(P) == 1;
  Span whole[3];
  for (int d = 0; d < 3; ++d) whole[d] = inside(s, d, slab.own[d], slab.out[d]);
  const Span along = kTable ? whole[2] : Span{slab.out[2].end, slab.out[2].end, 0};
  Offsets offsets;
  bool filled = false;  // for windows that are whole
  T nowhere = 0;
  for (std::int64_t a = slab.out[0].begin; a < slab.out[0].end; ++a)
    for (std::int64_t b = slab.out[1].begin; b < slab.out[1].end; ++b) {
      const std::int64_t row = a * s.out[1] + b;
      const auto one_by_one = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t o = begin; o < end; ++o) {
          const Places places(s, row, o);
          for (std::int64_t i = 0, from = (row * s.out[2] + o) * c; i < c; ++i) {
            const std::int64_t to = places.element(positions[from + i], slab.own);
            if (to >= 0) dx[to + i] += dy[from + i];
          }
        }
      };
      one_by_one(slab.out[2].begin, along.begin);
      if constexpr (kTable) {
        const bool all = whole[0].begin <= a && a < whole[0].end && whole[1].begin <= b && b < whole[1].end;
        if (!all || !filled) offsets.fill(s, slab.own, a, b);
        filled = all;
        const T* given = dy + (row * s.out[2] + along.begin) * c;
        const P* position = positions + (row * s.out[2] + along.begin) * c;
        std::int64_t to = 0;
        const std::int64_t at[3] = {a, b, along.begin};
        for (int d = 0; d < 3; ++d) to += (at[d] * s.stride[d] - s.before[d]) * unit[d];
        for (std::int64_t o = along.begin; o < along.end; ++o, given += c, position += c, to += s.stride[2] * c)
          for (std::int64_t i = 0; i < c; ++i) {
            const std::int64_t offset = offsets.of[position[i]];
            *(offset == Offsets::kOutside ? &nowhere : dx + (to + offset + i)) += given[i];
          }
      }
      one_by_one(along.end, slab.out[2].end);
    }
}

template <class T, class P>
void max_grad(const PoolShape& s, const void* dy_, const void* positions_, std::int64_t begin, std::int64_t end,
              void* dx_, bool stream) {
  auto* dy = static_cast<const T*>(dy_);
  auto* positions = static_cast<const P*>(positions_);
  auto* dx = static_cast<T*>(dx_);
  const Slab slab(s, begin, end);
  if (tiled(s)) {
    const auto give = [&]<class Vectors, class Put>(const Taps<T>& taps, std::int64_t, std::int64_t out,
                                                    const Vectors& at, const Put& put) __attribute__((always_inline)) {
      for (int v = 0; v < Vectors::kCount; ++v) {
        const Lanes<T> given = at.get(dy + out, v);
        const Position<T> position = get_positions(at, positions + out, v);
        for (int t = 0; t < taps.count; ++t) put(t, v, position == position_of<T>(taps.id[t]) ? given : Lanes<T>{});
      }
    };
    return fill_tiles(s, slab, static_cast<const T*>(dx), dx, stream, give);
  }
  if (in_phases(s)) return scatter(s, slab, dy, positions, dx);
  gather<T>(s, slab, Chosen<T, P>{dy, positions}, dx, stream, [](std::int64_t, const Span&, std::int64_t) {});
}

template <class T, class P>
void take_rows(const PoolShape& s, const void* v_, const void* positions_, std::int64_t begin, std::int64_t end,
               void* y_) {
  auto* v = static_cast<const T*>(v_);
  auto* positions = static_cast<const P*>(positions_);
  auto* y = static_cast<T*>(y_);
  const Span all[3] = {{0, s.in[0], 0}, {0, s.in[1], 0}, {0, s.in[2], 0}};
  for (std::int64_t row = begin; row < end; ++row)
    for (std::int64_t o = 0; o < s.out[2]; ++o) {
      const Places places(s, row, o);
      for (std::int64_t i = 0, to = (row * s.out[2] + o) * s.channels; i < s.channels; ++i) {
        const std::int64_t from = places.element(positions[to + i], all);
        y[to + i] = from < 0 ? T(0) : v[from + i];
      }
    }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
