// What softmax and the cross-entropies built on it need of a row: its maximum, and the sum of the exponentials below
// it.
#pragma once

#include "kernels/lanes.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// f of each lane, or of one value.
template <class T, class F>
KCORE_INLINE T each(T x, const F& f) {
  return f(x);
}
template <class T, class F>
KCORE_INLINE Lanes<T> each(Lanes<T> x, const F& f) {
  T lanes[kLaneCount<T>];
  __builtin_memcpy(lanes, &x, sizeof x);
#pragma omp simd
  for (int l = 0; l < kLaneCount<T>; ++l) lanes[l] = f(lanes[l]);
  __builtin_memcpy(&x, lanes, sizeof x);
  return x;
}

// Of lanes or of one value: exp of what is at most 0 (or NaN), exp, log.
template <class T, class V>
KCORE_INLINE V exp_below(V x) {
  return each<T>(x, [](T v) { return exp_of_negative(v); });
}
template <class T, class V>
KCORE_INLINE V exp_each(V x) {
  return each<T>(x, [](T v) { return exp_of(v); });
}
template <class T, class V>
KCORE_INLINE V log_each(V x) {
  return each<T>(x, [](T v) { return log_of(v); });
}

// The largest element, NaNs left out.
template <class T>
KCORE_INLINE T row_max(const T* x, std::int64_t n) {
  constexpr int L = kLaneCount<T>;
  const auto larger = [](auto a, auto b) { return a > b ? a : b; };
  const T lowest = static_cast<T>(-__builtin_inf());
  if (n < L) {
    T best = lowest;
    for (std::int64_t i = 0; i < n; ++i) best = larger(x[i], best);
    return best;
  }
  Lanes<T> best[4];
  for (auto& b : best) b = Lanes<T>{} + lowest;
  std::int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L)
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) best[u] = larger(load(x, Start{i + u * L}), best[u]);
  for (; i + L <= n; i += L) best[0] = larger(load(x, Start{i}), best[0]);
  best[1] = larger(load(x, Start{n - L}), best[1]);  // the end, overlapping what was there already
  return fold<T>(larger(larger(best[0], best[1]), larger(best[2], best[3])), larger);
}

// Sum of exp(x[i] - top) over [0, n); the terms are stored to e if there is one.
template <class T>
KCORE_INLINE double exp_sum(const T* x, std::int64_t n, T top, T* e) {
  double sum[1];
  if (e) {
    row_sums<T>(n, sum, [x, top, e, n](auto i, auto& s) {
      const auto v = exp_below<T>(load(x, i) - top);
      fetch(x, i, n);
      put(e, i, v);
      s[0] += v;
    });
  } else {
    row_sums<T>(n, sum, [x, top, n](auto i, auto& s) {
      fetch(x, i, n);
      s[0] += exp_below<T>(load(x, i) - top);
    });
  }
  return sum[0];
}

// Rows of a few classes are taken kGroup at a time, with a row in each lane.
constexpr int kGroup = 64, kShort = 24;

// Of `rows` <= kGroup rows of x (rows, n), n < kShort: the maxima, the sums of the exponentials below them, and those
// as e (n, kGroup).
template <class T>
KCORE_INLINE void short_exps(const T* x, std::int64_t rows, std::int64_t n, T* top, T* sum, T* e) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t k = 0; k < n; ++k) e[k * kGroup + r] = x[r * n + k];
  for (std::int64_t k = 0; k < n; ++k)
    for (std::int64_t r = rows; r < kGroup; ++r) e[k * kGroup + r] = T(0);
  constexpr int L = kLaneCount<T>;
  for (std::int64_t r = 0; r < rows; r += L) {
    Lanes<T> best = Lanes<T>{} - static_cast<T>(__builtin_inf()), total = {};
    for (std::int64_t k = 0; k < n; ++k) {
      const Lanes<T> v = load(e, Start{k * kGroup + r});
      best = v > best ? v : best;
    }
    for (std::int64_t k = 0; k < n; ++k) {
      const Lanes<T> v = exp_below<T>(load(e, Start{k * kGroup + r}) - best);
      store(e + k * kGroup + r, v);
      total += v;
    }
    store(top + r, best);
    store(sum + r, total);
  }
}

// Calls body(first row, rows, top, sum, e) with what short_exps gives, for all rows.
template <class T, class Body>
KCORE_INLINE void for_short_rows(const T* x, std::int64_t rows, std::int64_t n, const Body& body) {
  T top[kGroup], sum[kGroup], e[kShort * kGroup];
  for (std::int64_t r = 0; r < rows; r += kGroup) {
    const std::int64_t count = rows - r < kGroup ? rows - r : kGroup;
    short_exps(x + r * n, count, n, top, sum, e);
    body(r, count, top, sum, e);
  }
}

// The exponentials of a longer row are kept in the result until their sum is known, or, if the result is streamed, in
// a buffer for rows that fit it.
constexpr std::int64_t kBufferBytes = 1 << 15;
template <class T>
KCORE_INLINE bool fits_buffer(std::int64_t n) {
  return n * static_cast<std::int64_t>(sizeof(T)) <= kBufferBytes;
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
