// Sums and maxima along a row, shared by softmax and the cross-entropies built on it.
#pragma once

#include <cstdint>

#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr int kLanes = 32;
constexpr std::int64_t kFlush = 64 * kLanes;  // elements summed in lanes before the sum goes to a double

// Sum of value(i) over [0, n): short sums in lanes, added up in double. value may write to other arrays.
template <class T, class Value>
KCORE_INLINE double row_sum(std::int64_t n, const Value& value) {
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += kFlush) {
    const std::int64_t end = begin + kFlush < n ? begin + kFlush : n;
    std::int64_t i = begin;
    if (end - begin >= kLanes) {
      T lanes[kLanes] = {};
      for (; i + kLanes <= end; i += kLanes) {
#pragma omp simd
        for (int l = 0; l < kLanes; ++l) lanes[l] += value(i + l);
      }
      for (int w = kLanes / 2; w; w /= 2)
        for (int l = 0; l < w; ++l) lanes[l] += lanes[l + w];
      total += lanes[0];
    }
    T rest = T(0);
#pragma omp simd reduction(+ : rest)
    for (std::int64_t j = i; j < end; ++j) rest += value(j);
    total += rest;
  }
  return total;
}

// Sum of exp(x[i] - top) over [0, n); the terms are stored to y if there is one. Rows of a few classes are common, so
// the end of a row is a vector too, filled up with -inf.
template <class T>
KCORE_INLINE double exp_sum(const T* x, std::int64_t n, T top, T* y) {
  constexpr int kEnd = 16;
  const std::int64_t whole = n / kLanes * kLanes;
  double total = y ? row_sum<T>(whole, [x, y, top](std::int64_t i) { return y[i] = exp_of(x[i] - top); })
                   : row_sum<T>(whole, [x, top](std::int64_t i) { return exp_of(x[i] - top); });
  for (std::int64_t i = whole; i < n; i += kEnd) {
    const int width = static_cast<int>(n - i < kEnd ? n - i : kEnd);
    T terms[kEnd];
    for (int l = 0; l < kEnd; ++l) terms[l] = static_cast<T>(-__builtin_inf());
    for (int l = 0; l < width; ++l) terms[l] = x[i + l] - top;
#pragma omp simd
    for (int l = 0; l < kEnd; ++l) terms[l] = exp_of(terms[l]);
    if (y)
      for (int l = 0; l < width; ++l) y[i + l] = terms[l];
    for (int w = kEnd / 2; w; w /= 2)
      for (int l = 0; l < w; ++l) terms[l] += terms[l + w];
    total += terms[0];
  }
  return total;
}

// The largest element, NaNs left out.
template <class T>
KCORE_INLINE T row_max(const T* x, std::int64_t n) {
  T best = static_cast<T>(-__builtin_inf());
#pragma omp simd reduction(max : best)
  for (std::int64_t i = 0; i < n; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
