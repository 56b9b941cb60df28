// Softmax down columns: lanes are columns.
#pragma once

#include "kernels/softmax/rows.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr std::int64_t kFlush = 64;  // terms of a sum that are added up before they go to the total

// For each vector of columns, then each column left over: body(column), a Start or an index.
template <class T, class Body>
KCORE_INLINE void for_columns(std::int64_t width, const Body& body) {
  std::int64_t c = 0;
  for (; c + kLaneCount<T> <= width; c += kLaneCount<T>) body(Start{c});
  for (; c < width; ++c) body(c);
}

// Sum of value(first element of a row) over n rows.
template <class T, class Value>
KCORE_INLINE auto column_sum(std::int64_t n, std::int64_t stride, const Value& value) {
  decltype(value(std::int64_t{0})) total = {};
  for (std::int64_t begin = 0; begin < n; begin += kFlush) {
    const std::int64_t end = n - begin < kFlush ? n : begin + kFlush;
    decltype(value(std::int64_t{0})) part = {};
    for (std::int64_t i = begin; i < end; ++i) part += value(i * stride);
    total += part;
  }
  return total;
}

template <class T, class Column>
KCORE_INLINE auto column_max(const T* x, std::int64_t n, std::int64_t stride, Column c) {
  auto top = load(x, c);
  top = top == top ? top : top - top - static_cast<T>(__builtin_inf());  // NaNs are left out
  for (std::int64_t i = 0; i < n; ++i) {
    const auto v = load(x + i * stride, c);
    top = v > top ? v : top;
  }
  return top;
}

template <class T>
void columns(const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, T* y) {
  for_columns<T>(width, [=](auto c) {
    const auto top = column_max(x, n, stride, c);
    const auto sum = column_sum<T>(n, stride, [=](std::int64_t at) {
      const auto e = exp_below<T>(load(x + at, c) - top);
      put(y + at, c, e);
      return e;
    });
    const auto scale = T(1) / sum;
    for (std::int64_t i = 0; i < n; ++i) put(y + i * stride, c, load(y + i * stride, c) * scale);
  });
}

template <class T>
void log_columns(const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, T* y) {
  for_columns<T>(width, [=](auto c) {
    const auto top = column_max(x, n, stride, c);
    const auto sum =
        log_each<T>(column_sum<T>(n, stride, [=](std::int64_t at) { return exp_below<T>(load(x + at, c) - top); }));
    for (std::int64_t i = 0; i < n; ++i) put(y + i * stride, c, (load(x + i * stride, c) - top) - sum);
  });
}

template <class T>
void grad_columns(const T* dy, const T* y, std::int64_t n, std::int64_t width, std::int64_t stride, T* dx) {
  for_columns<T>(width, [=](auto c) {
    const auto dot = column_sum<T>(n, stride, [=](std::int64_t at) { return load(dy + at, c) * load(y + at, c); });
    for (std::int64_t at = 0; at < n * stride; at += stride)
      put(dx + at, c, load(y + at, c) * (load(dy + at, c) - dot));
  });
}

template <class T>
void log_grad_columns(const T* dy, const T* y, std::int64_t n, std::int64_t width, std::int64_t stride, T* dx) {
  for_columns<T>(width, [=](auto c) {
    const auto sum = column_sum<T>(n, stride, [=](std::int64_t at) { return load(dy + at, c); });
    for (std::int64_t at = 0; at < n * stride; at += stride)
      put(dx + at, c, load(dy + at, c) - exp_below<T>(load(y + at, c)) * sum);
  });
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
