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
