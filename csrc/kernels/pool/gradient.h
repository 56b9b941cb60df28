// Gradients of pooling: every position of dx gathers what the windows that cover it give, in the order of windows. So
// each is written once, and sums stay in registers.
#pragma once

#include "kernels/pool/phases.h"
#include "kernels/pool/taps.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// The slab of dx that outputs [begin, end) along slab_dim() own, and the outputs whose windows reach into it. What is
// kept for these has their order.
struct Slab {
  Span own[3], out[3];

  KCORE_INLINE Slab(const PoolShape& s, std::int64_t begin, std::int64_t end) {
    for (int d = 0; d < 3; ++d) own[d] = {0, s.in[d], 0}, out[d] = {0, s.out[d], 0};
    const int dim = s.slab_dim();
    if (begin > 0) own[dim].begin = span_of(s, dim, begin).begin;
    if (end < s.out[dim]) own[dim].end = span_of(s, dim, end).begin;
    out[dim] = {s.first_reaching(begin), end, 0};
  }
  std::int64_t outputs() const { return out[0].size() * out[1].size() * out[2].size(); }

  // Rows of outputs before (a, b) in the order in which they are kept.
  std::int64_t rows_before(std::int64_t a, std::int64_t b) const {
    return (a - out[0].begin) * out[1].size() + b - out[1].begin;
  }
};

// What windows give, to the position of their maximum or to all positions alike:
//   term(at, local, id)   what position `id` gets from windows whose first is element `at` of y, `local` of what is
//   kept Held                  what is read for a vector of elements, to give() it to any position
template <class T>
struct Shared {
  const T* shares;

  struct Term {
    const T* shares;
    std::int64_t id;
  };
  using Held = Lanes<T>;
  KCORE_INLINE Term term(std::int64_t, std::int64_t local, std::int64_t id) const { return {shares + local, id}; }
  template <class Vectors>
  static KCORE_INLINE Held hold(const Term& t, std::int64_t i, const Vectors& at, int v) {
    return at.get(t.shares + i, v);
  }
  static KCORE_INLINE Lanes<T> give(const Held& held, std::int64_t) { return held; }
  template <class Vectors>
  static KCORE_INLINE Lanes<T> give(const Term& t, std::int64_t i, const Vectors& at, int v) {
    return hold(t, i, at, v);
  }
};

template <class Given>
struct Terms {
  static constexpr int kMost = 32;
  typename Given::Term term[kMost];
  int count = 0;
};

// `to` = the sum of the terms, or more by it unless `first`. e.step is that of `to`.
template <class T, class Given>
KCORE_INLINE void add_terms(const Terms<Given>& terms, const Elements& e, T* to, bool first, bool stream) {
  for (std::int64_t g = 0; g < e.groups; ++g)
    for_vectors<T>(
        e.size, [&]<class Vectors>(const Vectors& at, std::int64_t i) __attribute__((always_inline)) {
          constexpr int kCount = Vectors::kCount;
          T* out = to + g * e.step + i;
          Lanes<T> sum[kCount];
          for (int v = 0; v < kCount; ++v) sum[v] = first ? Lanes<T>{} : at.get(out, v);
          for (int t = 0; t < terms.count; ++t)
#pragma GCC unroll 4
            for (int v = 0; v < kCount; ++v) sum[v] += Given::give(terms.term[t], g * e.size + i, at, v);
          for (int v = 0; v < kCount; ++v) at.put(out, v, sum[v], stream);
        });
}

// What `outputs` of one term give to `count` positions each, that follow one another: `to` gets all of them on end.
template <class T, class Given>
KCORE_INLINE void spread_term(const typename Given::Term& term, std::int64_t outputs, std::int64_t channels,
                              std::int64_t count, T* to, bool stream) {
  for (std::int64_t o = 0; o < outputs; ++o)
    for_vectors<T>(
        channels, [&]<class Vectors>(const Vectors& at, std::int64_t i) __attribute__((always_inline)) {
          constexpr int kCount = Vectors::kCount;
          typename Given::Held held[kCount];
          for (int v = 0; v < kCount; ++v) held[v] = Given::hold(term, o * channels + i, at, v);
          T* out = to + o * count * channels + i;
          for (std::int64_t k = 0; k < count; ++k, out += channels)
            for (int v = 0; v < kCount; ++v) at.put(out, v, Given::give(held[v], term.id + k), stream);
        });
}

// Outputs [begin, end) along a dimension whose windows cover position i.
KCORE_INLINE Span covering(const PoolShape& s, int dim, std::int64_t i) {
  const std::int64_t at = i + s.before[dim], above = at - s.window[dim] + s.stride[dim];
  return {most(above, 0) / s.stride[dim], least(at / s.stride[dim] + 1, s.out[dim]), 0};
}

// A row of dx being gathered.
template <class T, class Given>
struct GradientRow {
  const PoolShape& s;
  const Slab& slab;
  const Given& given;
  std::int64_t a, b;  // which row
  Span over_a = covering(s, 0, a), over_b = covering(s, 1, b);

  // Positions that are `phase` more than a multiple of the stride, padding included: those of multiples [q, q_end), of
  // which the first goes to `to`, and from one to the next it is `step`.
  KCORE_INLINE void gather_phase(std::int64_t phase, std::int64_t q, std::int64_t q_end, T* to, std::int64_t step,
                                 bool stream) const {
    // Output q - t gives what position phase + t stride of its window gets.
    const std::int64_t in_window = phase < s.window[2] ? (s.window[2] - 1 - phase) / s.stride[2] + 1 : 0;
    while (q < q_end) {
      const std::int64_t t_begin = most(0, q - s.out[2] + 1), t_end = least(in_window, q + 1);
      std::int64_t count = 1;
      if (t_begin == 0 && t_end == in_window) count = least(s.out[2], q_end) - q;
      if (in_window == 0 || t_begin >= t_end) count = q_end - q;  // none gives anything, nor to what follows
      const bool together = step == s.channels;
      gather_terms(phase, q, t_begin, t_end,
                   together ? Elements::together(count * step) : Elements{count, s.channels, step}, to, stream);
      to += count * step;
      q += count;
    }
  }

  KCORE_INLINE void gather_terms(std::int64_t phase, std::int64_t q, std::int64_t t_begin, std::int64_t t_end,
                                 const Elements& e, T* to, bool stream) const {
    Terms<Given> terms;
    bool first = true;
    for (std::int64_t oa = over_a.begin; oa < over_a.end; ++oa)
      for (std::int64_t ob = over_b.begin; ob < over_b.end; ++ob) {
        const std::int64_t ka = a + s.before[0] - oa * s.stride[0], kb = b + s.before[1] - ob * s.stride[1];
        const std::int64_t line = slab.rows_before(oa, ob);
        for (std::int64_t t = t_end - 1; t >= t_begin; --t) {
          if (terms.count == Terms<Given>::kMost) {
            add_terms(terms, e, to, first, false);
            first = false;
            terms.count = 0;
          }
          const std::int64_t id = (ka * s.window[1] + kb) * s.window[2] + phase + t * s.stride[2], o = q - t;
          terms.term[terms.count++] = given.term(((oa * s.out[1] + ob) * s.out[2] + o) * s.channels,
                                                 (line * slab.out[2].size() + o - slab.out[2].begin) * s.channels, id);
        }
      }
    add_terms(terms, e, to, first, stream && first);
  }

  // Multiples of the stride, [q, q_end), that are in the slab when `phase` is added.
  KCORE_INLINE Span in_slab(std::int64_t phase, std::int64_t q, std::int64_t q_end) const {
    const std::int64_t stride = s.stride[2], shift = s.before[2] - phase + stride - 1;
    const std::int64_t begin = most(slab.own[2].begin + shift, 0) / stride, end = (slab.own[2].end + shift) / stride;
    return {most(q, begin), most(least(q_end, end), most(q, begin)), 0};
  }

  // What follows writes the positions of block q, multiples of the stride, for all phases of it: what the outputs give
  // is read for each phase.
  KCORE_INLINE void direct(T* row, const Span& q, bool stream) const {
    const std::int64_t stride = s.stride[2], c = s.channels;
    for (std::int64_t phase = 0; phase < stride; ++phase) {
      const Span here = in_slab(phase, q.begin, q.end);
      gather_phase(phase, here.begin, here.end, row + (here.begin * stride + phase - s.before[2]) * c, stride * c,
                   stream);
    }
  }

  // Where windows stand side by side and each row has one of them: no position gets more than one thing.
  KCORE_INLINE bool apart() const { return s.stride[2] == s.window[2] && over_a.size() == 1 && over_b.size() == 1; }
  KCORE_INLINE void spread(T* row, const Span& q, bool stream) const {
    const std::int64_t c = s.channels, begin = most(q.begin, slab.out[2].begin), end = least(q.end, slab.out[2].end);
    const std::int64_t ka = a + s.before[0] - over_a.begin * s.stride[0],
                       kb = b + s.before[1] - over_b.begin * s.stride[1];
    const std::int64_t line = (over_a.begin * s.out[1] + over_b.begin) * s.out[2];
    const std::int64_t local = slab.rows_before(over_a.begin, over_b.begin) * slab.out[2].size() - slab.out[2].begin;
    const Span positions = positions_of(q);
    std::int64_t written = positions.begin;
    for_segments(s, begin, end, end - begin, [&](const Segment& g) {
      const std::int64_t id = (ka * s.window[1] + kb) * s.window[2] + g.span.skipped;
      spread_term<T, Given>(given.term((line + g.first) * c, (local + g.first) * c, id), g.count, c, g.span.size(),
                            row + g.span.begin * c, stream);
      written = g.span.begin + g.count * g.span.size();
    });
    for (std::int64_t i = written * c; i < positions.end * c; ++i) row[i] = T(0);
  }

  KCORE_INLINE void phased(T* row, const Span& q) const {
    alignas(64) T phases[kPhases], line[kPhases];
    const std::int64_t stride = s.stride[2], c = s.channels, size = q.size() * c + kPhaseSlack;
    for (std::int64_t phase = 0; phase < stride; ++phase) {
      const Span here = in_slab(phase, q.begin, q.end);
      gather_phase(phase, here.begin, here.end, phases + phase * size + (here.begin - q.begin) * c, c, false);
    }
    const std::int64_t at = q.begin * stride - s.before[2];
    const Span positions = positions_of(q);
    join(s, phases, size, (positions.end - at + stride - 1) / stride, line);
    __builtin_memcpy(row + positions.begin * c, line + (positions.begin - at) * c,
                     static_cast<std::size_t>(positions.size() * c) * sizeof(T));
  }

  // The positions of the slab in multiples q of the stride.
  KCORE_INLINE Span positions_of(const Span& q) const {
    return {most(q.begin * s.stride[2] - s.before[2], slab.own[2].begin),
            least(q.end * s.stride[2] - s.before[2], slab.own[2].end), 0};
  }
};

// Whether windows stand side by side and cover all of x, in few positions: then what is found for an output can go
// straight to them.
KCORE_INLINE bool tiled(const PoolShape& s) {
  std::int64_t positions = 1;
  for (int d = 0; d < 3; ++d) {
    if (s.stride[d] != s.window[d] || span_of(s, d, s.out[d] - 1).end != s.in[d]) return false;
    positions *= s.window[d];
  }
  return positions <= Taps<float>::kMost && !in_phases(s);
}
// dx of a slab of tiled windows. give(taps, their element, element of y, vectors, put) calls
// put(tap, v, value) for all taps; `place` points to where they are in dx's layout.
template <class T, class Give>
KCORE_INLINE void fill_tiles(const PoolShape& s, const Slab& slab, const T* place, T* dx, bool stream,
                             const Give& give) {
  stream = stream && streamable(s, dx);
  for (std::int64_t a = slab.out[0].begin; a < slab.out[0].end; ++a)
    for (std::int64_t b = slab.out[1].begin; b < slab.out[1].end; ++b) {
      const std::int64_t row = a * s.out[1] + b;
      const Rows rows = rows_of(s, row);
      for_segments(s, slab.out[2].begin, slab.out[2].end, s.out[2], [&](const Segment& g) {
        for_taps(
            s, rows, g, place, [&](const Taps<T>& taps, bool, bool) __attribute__((always_inline)) {
              const Elements e = Elements::of(s, g.count);
              const std::int64_t from = (row * s.out[2] + g.first) * s.channels;
              for (std::int64_t group = 0; group < e.groups; ++group)
                for_vectors<T>(
                    e.size, [&]<class Vectors>(const Vectors& at, std::int64_t i) __attribute__((always_inline)) {
                      const std::int64_t in = group * e.step + i;
                      give(
                          taps, in, from + group * e.size + i,
                          at, [&](int t, int v, Lanes<T> value) __attribute__((always_inline)) {
                            at.put(dx + (taps.at[t] - place) + in, v, value, stream);
                          });
                    });
            });
      });
    }
  if (stream) stream_end();
}

// Outputs that are gathered at a time: what is kept for them, and what they are found in, stays in L1.
KCORE_INLINE std::int64_t block_outputs(const PoolShape& s) {
  return in_phases(s) ? phase_outputs(s) : most(1, 2048 / s.channels);
}

// dx of the slab. prepare(row of y, outputs of it, where what is kept for these begins) is called for each output
// before what it gives is gathered, and not much before.
template <class T, class Given, class Prepare>
KCORE_INLINE void gather(const PoolShape& s, const Slab& slab, const Given& given, T* dx, bool stream,
                         const Prepare& prepare) {
  stream = stream && streamable(s, dx);
  const std::int64_t across = slab.out[1].size(), stride = s.stride[2], outputs = block_outputs(s);
  const std::int64_t first = (slab.own[2].begin + s.before[2]) / stride;
  const std::int64_t last = (slab.own[2].end + s.before[2] + stride - 1) / stride;
  std::int64_t prepared = 0;  // rows of outputs
  for (std::int64_t a = slab.own[0].begin; a < slab.own[0].end; ++a)
    for (std::int64_t b = slab.own[1].begin, b_end; b < slab.own[1].end; b = b_end) {
      // Rows of dx that need no more rows of outputs than the first of them go together.
      const std::int64_t line = covering(s, 0, a).end - 1, needed = slab.rows_before(line, covering(s, 1, b).end);
      for (b_end = b + 1; b_end < slab.own[1].end && slab.rows_before(line, covering(s, 1, b_end).end) == needed;)
        ++b_end;
      for (std::int64_t q = first; q < last; q += outputs) {
        const Span block = {q, least(q + outputs, last), 0};
        const Span made = {q == first ? slab.out[2].begin : q, least(block.end, slab.out[2].end), 0};
        for (std::int64_t r = prepared; r < needed && made.size() > 0; ++r)
          prepare((slab.out[0].begin + r / across) * s.out[1] + slab.out[1].begin + r % across, made,
                  (r * slab.out[2].size() + made.begin - slab.out[2].begin) * s.channels);
        for (std::int64_t i = b; i < b_end; ++i) {
          const GradientRow<T, Given> row{s, slab, given, a, i};
          T* to = dx + (a * s.in[1] + i) * s.in[2] * s.channels;
          in_phases(s)  ? row.phased(to, block)
          : row.apart() ? row.spread(to, block, stream)
                        : row.direct(to, block, stream);
        }
      }
      prepared = most(prepared, needed);
    }
  if (stream) stream_end();
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
