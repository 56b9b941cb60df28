// Average pooling.
#pragma once

#include "kernels/pool/slab.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
void average_rows(const PoolShape& s, const void* x_, std::int64_t begin, std::int64_t end, void* y_, bool stream) {
  auto* x = static_cast<const T*>(x_);
  auto* y = static_cast<T*>(y_);
  stream = stream && streamable(s, y);
  for_rows(s, begin, end, [&](std::int64_t at, const Window& w) {
    const T count = static_cast<T>(w.size());
    for_tiles<T>(s.channels, [&]<int V>(std::int64_t c) {
      using Tile = Tile<T, V>;
      typename Tile::Value sum[Tile::kCount] = {};
      for_window(s, w, x + c, [&](const T* in) {
#pragma GCC unroll 4
        for (int v = 0; v < Tile::kCount; ++v) sum[v] += Tile::get(in, v);
      });
      for (int v = 0; v < Tile::kCount; ++v) Tile::put(y + at * s.channels + c, v, sum[v] / count, stream);
    });
  });
  if (stream) stream_end();
}

template <class T>
void average_grad(const PoolShape& s, const void* dy_, std::int64_t begin, std::int64_t end, void* dx_, bool stream) {
  auto* dy = static_cast<const T*>(dy_);
  for_slab(s, begin, end, static_cast<T*>(dx_), stream,
           [&]<int V>(std::int64_t at, std::int64_t c, const Window& w, const auto& give) {
             using Tile = Tile<T, V>;
             const T count = static_cast<T>(w.size());
             typename Tile::Value g[Tile::kCount];
             for (int v = 0; v < Tile::kCount; ++v) g[v] = Tile::get(dy + at * s.channels + c, v) / count;
             give([&](int, int v) { return g[v]; });
           });
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
