// The gradients' way through a slab of dx: every window that reaches into it gives its part, in the order of windows.
#pragma once

#include "kernels/pool/windows.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Calls body.operator()<V>(position of y, channel, window, give), which passes to `give` what position `count` of the
// window gets in vector v: give([](int count, int v) { ... }). Where no two windows meet, nothing is added: the values
// are stored, around the cache if `stream`, and what no window covers is cleared before.
template <class T, class Body>
KCORE_INLINE void for_slab(const PoolShape& s, std::int64_t begin, std::int64_t end, T* dx, bool stream,
                           const Body& body) {
  const int dim = s.slab_dim();
  bool apart = true, covers = true;
  for (int d = 0; d < 3; ++d) {
    apart = apart && s.stride[d] >= s.window[d];
    covers = covers && s.stride[d] <= s.window[d] && span_of(s, d, s.out[d] - 1).end == s.in[d];
  }
  const Span own = {begin == 0 ? 0 : span_of(s, dim, begin).begin,
                    end == s.out[dim] ? s.in[dim] : span_of(s, dim, end).begin};
  const std::int64_t line = (dim == 0 ? s.in[1] : 1) * s.in[2] * s.channels;
  if (!(apart && covers))
    for (std::int64_t i = own.begin * line; i < own.end * line; ++i) dx[i] = T(0);
  stream = stream && apart && covers && streamable(s, dx);

  std::int64_t first = begin;  // of the outputs whose windows reach into the slab
  while (first > 0 && span_of(s, dim, first - 1).end > own.begin) --first;
  const std::int64_t rows_begin = dim == 0 ? first * s.out[1] : first, rows_end = dim == 0 ? end * s.out[1] : end;
  const std::int64_t planes = dim == 0 ? 1 : s.out[0];
  for (std::int64_t plane = 0; plane < planes; ++plane)
    for_rows(s, plane * s.out[1] + rows_begin, plane * s.out[1] + rows_end, [&](std::int64_t at, const Window& w) {
      for_tiles<T>(s.channels, [&]<int V>(std::int64_t c) {
        using Tile = Tile<T, V>;
        body.template operator()<V>(at, c, w, [&](const auto& value) {
          Window part = w;  // what of it is in the slab
          Span& p = part.along[dim];
          p = {p.begin < own.begin ? own.begin : p.begin, p.end > own.end ? own.end : p.end};
          // Positions before the part, and between its rows.
          int count = 0;
          if (dim == 0) count = static_cast<int>((p.begin - w.along[0].begin) * w.along[1].size() * w.along[2].size());
          if (dim == 1) count = static_cast<int>((p.begin - w.along[1].begin) * w.along[2].size());
          for_window(s, part, dx + c, [&](T* out) {
#pragma GCC unroll 4
            for (int v = 0; v < Tile::kCount; ++v)
              Tile::put(out, v, apart ? value(count, v) : Tile::get(out, v) + value(count, v), stream);
            ++count;
          });
        });
      });
    });
  if (stream) stream_end();
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
