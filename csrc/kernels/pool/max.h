// Max pooling. Gradients look for the maxima again: that costs less than storing where they were.
#pragma once

#include "kernels/pool/slab.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// A NaN is larger than anything, and the first of equals stays.
template <class V>
KCORE_INLINE auto beats(V value, V best) {
  return (value > best) | ((value != value) & (best == best));
}

template <class T>
void max_rows(const PoolShape& s, const void* x_, std::int64_t begin, std::int64_t end, void* y_, bool stream) {
  auto* x = static_cast<const T*>(x_);
  auto* y = static_cast<T*>(y_);
  stream = stream && streamable(s, y);
  for_rows(s, begin, end, [&](std::int64_t at, const Window& w) {
    for_tiles<T>(s.channels, [&]<int V>(std::int64_t c) {
      using Tile = Tile<T, V>;
      typename Tile::Value best[Tile::kCount];
      for (auto& b : best) b = typename Tile::Value{} - static_cast<T>(__builtin_inf());
      for_window(s, w, x + c, [&](const T* in) {
#pragma GCC unroll 4
        for (int v = 0; v < Tile::kCount; ++v) {
          const auto value = Tile::get(in, v);
          best[v] = (value > best[v]) | (value != value) ? value : best[v];
        }
      });
      for (int v = 0; v < Tile::kCount; ++v) Tile::put(y + at * s.channels + c, v, best[v], stream);
    });
  });
  if (stream) stream_end();
}

// position[v]: which position of the window, counted in row-major order, has the maximum.
template <class T, class Tile>
KCORE_INLINE void find_max(const PoolShape& s, const Window& w, const T* x,
                           typename Tile::Index (&position)[Tile::kCount]) {
  typename Tile::Value best[Tile::kCount];
  for (int v = 0; v < Tile::kCount; ++v) {
    best[v] = typename Tile::Value{} - static_cast<T>(__builtin_inf());
    position[v] = typename Tile::Index{};
  }
  int count = 0;
  for_window(s, w, x, [&](const T* in) {
#pragma GCC unroll 4
    for (int v = 0; v < Tile::kCount; ++v) {
      const auto value = Tile::get(in, v);
      const auto wins = beats(value, best[v]);
      best[v] = wins ? value : best[v];
      position[v] = wins ? typename Tile::Index{} + count : position[v];
    }
    ++count;
  });
}

template <class T>
void take_rows(const PoolShape& s, const void* v_, const void* x_, std::int64_t begin, std::int64_t end, void* y_,
               bool stream) {
  auto *from = static_cast<const T*>(v_), *x = static_cast<const T*>(x_);
  auto* y = static_cast<T*>(y_);
  stream = stream && streamable(s, y);
  for_rows(s, begin, end, [&](std::int64_t at, const Window& w) {
    for_tiles<T>(s.channels, [&]<int V>(std::int64_t c) {
      using Tile = Tile<T, V>;
      typename Tile::Index position[Tile::kCount];
      find_max<T, Tile>(s, w, x + c, position);
      typename Tile::Value taken[Tile::kCount] = {};
      int count = 0;
      for_window(s, w, from + c, [&](const T* in) {
#pragma GCC unroll 4
        for (int v = 0; v < Tile::kCount; ++v) taken[v] = position[v] == count ? Tile::get(in, v) : taken[v];
        ++count;
      });
      for (int v = 0; v < Tile::kCount; ++v) Tile::put(y + at * s.channels + c, v, taken[v], stream);
    });
  });
  if (stream) stream_end();
}

template <class T>
void max_grad(const PoolShape& s, const void* dy_, const void* x_, std::int64_t begin, std::int64_t end, void* dx_,
              bool stream) {
  auto *dy = static_cast<const T*>(dy_), *x = static_cast<const T*>(x_);
  auto* dx = static_cast<T*>(dx_);
  for_slab(s, begin, end, dx, stream, [&]<int V>(std::int64_t at, std::int64_t c, const Window& w, const auto& give) {
    using Tile = Tile<T, V>;
    typename Tile::Index position[Tile::kCount];
    find_max<T, Tile>(s, w, x + c, position);
    typename Tile::Value g[Tile::kCount];
    for (int v = 0; v < Tile::kCount; ++v) g[v] = Tile::get(dy + at * s.channels + c, v);
    give([&](int count, int v) { return position[v] == count ? g[v] : typename Tile::Value{}; });
  });
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
