// Softmax down columns: lanes are columns, in tiles whose sums stay in registers.
#pragma once

#include "kernels/softmax/rows.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr std::int64_t kFlush = 64;  // terms of a sum that are added up before they go to the total

// What is known of the columns of a tile.
template <class T, int V>
struct Column {
  using Of = Tile<T, V>;
  typename Of::Value of[Of::kCount] = {};
};

template <class T, int V>
KCORE_INLINE Column<T, V> column_max(const T* x, std::int64_t n, std::int64_t stride) {
  using Of = Tile<T, V>;
  Column<T, V> top;
  for (auto& t : top.of) t -= static_cast<T>(__builtin_inf());
  for (std::int64_t i = 0; i < n; ++i, x += stride)
#pragma GCC unroll 4
    for (int v = 0; v < Of::kCount; ++v) {
      const auto value = Of::get(x, v);
      top.of[v] = value > top.of[v] ? value : top.of[v];
    }
  return top;
}

// Sums of value(first element of a row, v) over n rows.
template <class T, int V, class Value>
KCORE_INLINE Column<T, V> column_sum(std::int64_t n, std::int64_t stride, const Value& value) {
  Column<T, V> total;
  for (std::int64_t begin = 0; begin < n; begin += kFlush) {
    const std::int64_t end = n - begin < kFlush ? n : begin + kFlush;
    Column<T, V> part;
    for (std::int64_t i = begin; i < end; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < Tile<T, V>::kCount; ++v) part.of[v] += value(i * stride, v);
    for (int v = 0; v < Tile<T, V>::kCount; ++v) total.of[v] += part.of[v];
  }
  return total;
}

// y = value(first element of a row, v) in n rows.
template <class T, int V, class Value>
KCORE_INLINE void column_values(std::int64_t n, std::int64_t stride, T* y, const Value& value) {
  for (std::int64_t at = 0; at < n * stride; at += stride)
#pragma GCC unroll 4
    for (int v = 0; v < Tile<T, V>::kCount; ++v) Tile<T, V>::put(y + at, v, value(at, v), false);
}

template <class T>
void columns(const T* x_, std::int64_t n, std::int64_t width, std::int64_t stride, T* y_) {
  for_tiles<T>(width, [=]<int V>(std::int64_t c) {
    using Of = Tile<T, V>;
    const T* x = x_ + c;
    T* y = y_ + c;
    const auto top = column_max<T, V>(x, n, stride);
    auto sum = column_sum<T, V>(n, stride, [&](std::int64_t at, int v) {
      const auto e = exp_below<T>(Of::get(x + at, v) - top.of[v]);
      Of::put(y + at, v, e, false);
      return e;
    });
    for (auto& s : sum.of) s = T(1) / s;
    column_values<T, V>(n, stride, y, [&](std::int64_t at, int v) { return Of::get(y + at, v) * sum.of[v]; });
  });
}

template <class T>
void log_columns(const T* x_, std::int64_t n, std::int64_t width, std::int64_t stride, T* y) {
  for_tiles<T>(width, [=]<int V>(std::int64_t c) {
    using Of = Tile<T, V>;
    const T* x = x_ + c;
    const auto top = column_max<T, V>(x, n, stride);
    auto sum = column_sum<T, V>(n, stride,
                                [&](std::int64_t at, int v) { return exp_below<T>(Of::get(x + at, v) - top.of[v]); });
    for (auto& s : sum.of) s = log_each<T>(s);
    column_values<T, V>(n, stride, y + c,
                        [&](std::int64_t at, int v) { return (Of::get(x + at, v) - top.of[v]) - sum.of[v]; });
  });
}

template <class T>
void grad_columns(const T* dy_, const T* y_, std::int64_t n, std::int64_t width, std::int64_t stride, T* dx) {
  for_tiles<T>(width, [=]<int V>(std::int64_t c) {
    using Of = Tile<T, V>;
    const T *dy = dy_ + c, *y = y_ + c;
    const auto dot =
        column_sum<T, V>(n, stride, [=](std::int64_t at, int v) { return Of::get(dy + at, v) * Of::get(y + at, v); });
    column_values<T, V>(n, stride, dx + c,
                        [&](std::int64_t at, int v) { return Of::get(y + at, v) * (Of::get(dy + at, v) - dot.of[v]); });
  });
}

template <class T>
void log_grad_columns(const T* dy_, const T* y_, std::int64_t n, std::int64_t width, std::int64_t stride, T* dx) {
  for_tiles<T>(width, [=]<int V>(std::int64_t c) {
    using Of = Tile<T, V>;
    const T *dy = dy_ + c, *y = y_ + c;
    const auto sum = column_sum<T, V>(n, stride, [=](std::int64_t at, int v) { return Of::get(dy + at, v); });
    column_values<T, V>(n, stride, dx + c, [&](std::int64_t at, int v) {
      return Of::get(dy + at, v) - exp_each<T>(Of::get(y + at, v)) * sum.of[v];
    });
  });
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
