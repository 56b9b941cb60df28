// Sums along a row and values of a row, in vectors as wide as the ISA's: what the compiler does not make of plain
// loops, several sums at a time and stores around the cache. Included by files compiled per ISA.
#pragma once

#include <cstdint>

#include "kernels/math.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace kcore::kernels::KCORE_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kLaneBytes = 64;
#elif defined(__AVX2__)
constexpr int kLaneBytes = 32;
#else
constexpr int kLaneBytes = 16;
#endif
template <class T>
constexpr int kLaneCount = kLaneBytes / static_cast<int>(sizeof(T));

// A vector, its counterpart in memory at any address of its elements, and the integers that compare it.
template <class T>
struct LaneTypes;
template <>
struct LaneTypes<float> {
  typedef float Value __attribute__((vector_size(kLaneBytes)));
  typedef float Memory __attribute__((vector_size(kLaneBytes), aligned(4), may_alias));
  typedef std::int32_t Mask __attribute__((vector_size(kLaneBytes)));
};
template <>
struct LaneTypes<double> {
  typedef double Value __attribute__((vector_size(kLaneBytes)));
  typedef double Memory __attribute__((vector_size(kLaneBytes), aligned(8), may_alias));
  typedef std::int64_t Mask __attribute__((vector_size(kLaneBytes)));
};
template <class T>
using Lanes = typename LaneTypes<T>::Value;

// Where a vector begins: load(x, Start{i}) is the vector x[i, i + lanes), load(x, i) is x[i].
struct Start {
  std::int64_t at;
};
template <class T>
KCORE_INLINE Lanes<T> load(const T* x, Start i) {
  return *reinterpret_cast<const typename LaneTypes<T>::Memory*>(x + i.at);
}
template <class T>
KCORE_INLINE T load(const T* x, std::int64_t i) {
  return x[i];
}

// Fetches what will be load(x + ahead, i), maybe past the end of x: the row after this one, while this one is computed.
template <class T>
KCORE_INLINE void fetch(const T* x, Start i, std::int64_t ahead) {
  __builtin_prefetch(x + i.at + ahead);
}
template <class T>
KCORE_INLINE void fetch(const T*, std::int64_t, std::int64_t) {}
template <class T>
KCORE_INLINE void store(T* y, Lanes<T> v) {
  *reinterpret_cast<typename LaneTypes<T>::Memory*>(y) = v;
}
template <class T>
KCORE_INLINE void put(T* y, Start i, Lanes<T> v) {
  store(y + i.at, v);
}
template <class T>
KCORE_INLINE void put(T* y, std::int64_t i, T v) {
  y[i] = v;
}
// Around the cache (see kernels/stream.h); y is aligned to kLaneBytes.
template <class T>
KCORE_INLINE void store_around(T* y, Lanes<T> v) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(y), reinterpret_cast<__m512i>(v));
#elif defined(__AVX__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(y), reinterpret_cast<__m256i>(v));
#elif defined(__SSE2__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(y), reinterpret_cast<__m128i>(v));
#else
  store(y, v);
#endif
}

// The first n < lanes elements of x, zero in the other lanes; and these lanes into y. No other element is touched.
template <class T>
KCORE_INLINE Lanes<T> load_first(const T* x, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return reinterpret_cast<Lanes<T>>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), x));
  else
    return reinterpret_cast<Lanes<T>>(_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), x));
#else
  Lanes<T> v = {};
  for (int l = 0; l < n; ++l) v[l] = x[l];
  return v;
#endif
}
template <class T>
KCORE_INLINE void store_first(T* y, Lanes<T> v, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(y, static_cast<__mmask16>((1u << n) - 1), reinterpret_cast<__m512>(v));
  else
    _mm512_mask_storeu_pd(y, static_cast<__mmask8>((1u << n) - 1), reinterpret_cast<__m512d>(v));
#else
  for (int l = 0; l < n; ++l) y[l] = v[l];
#endif
}

// Whether one of the lanes is a NaN.
template <class T>
KCORE_INLINE bool any_nan(Lanes<T> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(v), reinterpret_cast<__m512>(v), _CMP_UNORD_Q) != 0;
  else
    return _mm512_cmp_pd_mask(reinterpret_cast<__m512d>(v), reinterpret_cast<__m512d>(v), _CMP_UNORD_Q) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_epi8(reinterpret_cast<__m256i>(v != v)) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_epi8(reinterpret_cast<__m128i>(v != v)) != 0;
#else
  bool any = false;
  for (int l = 0; l < kLaneCount<T>; ++l) any |= v[l] != v[l];
  return any;
#endif
}

// The lanes from `first` on; zero in the others.
template <class T>
KCORE_INLINE Lanes<T> keep_from(Lanes<T> v, std::int64_t first) {
  typename LaneTypes<T>::Mask lane;
#pragma GCC unroll 16
  for (int l = 0; l < kLaneCount<T>; ++l) lane[l] = l;
  return lane >= static_cast<int>(first) ? v : Lanes<T>{};
}

template <class T, int bytes>
struct LaneGroup {
  typedef T Value __attribute__((vector_size(bytes)));
};
// All lanes as one, by a function of two of them: halves on halves, down to 16 bytes.
template <class T, int bytes = kLaneBytes, class Function>
KCORE_INLINE T fold(typename LaneGroup<T, bytes>::Value v, const Function& f) {
  if constexpr (bytes > 16) {
    typename LaneGroup<T, bytes / 2>::Value low, high;
    __builtin_memcpy(&low, &v, sizeof low);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return fold<T, bytes / 2>(f(low, high), f);
  } else if constexpr (sizeof(T) == 8) {
    return f(v[0], v[1]);
  } else {
    return f(f(v[0], v[2]), f(v[1], v[3]));
  }
}
template <class T>
KCORE_INLINE T sum_of(Lanes<T> v) {
  return fold<T>(v, [](auto a, auto b) { return a + b; });
}

// totals[k] = the sum over [0, n) of what add(i, sums) adds to sums[k] for a Start i or an index i: short sums in
// lanes, added up in double. The last vector of a row overlaps the one before, with its lanes cleared that were there
// already.
template <class T, int count, class Add>
KCORE_INLINE void row_sums(std::int64_t n, double (&totals)[count], const Add& add) {
  constexpr int L = kLaneCount<T>;
  constexpr std::int64_t kFlush = 64 * 4 * L;
  for (int k = 0; k < count; ++k) totals[k] = 0;
  if (n < L) {
    T sums[count] = {};
    for (std::int64_t i = 0; i < n; ++i) add(i, sums);
    for (int k = 0; k < count; ++k) totals[k] = static_cast<double>(sums[k]);
    return;
  }
  const std::int64_t whole = n - n % L;
  for (std::int64_t i = 0; i < whole;) {
    const std::int64_t end = whole - i < kFlush ? whole : i + kFlush;
    Lanes<T> sums[4][count] = {};
    for (; i + 4 * L <= end; i += 4 * L)
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) add(Start{i + u * L}, sums[u]);
    for (; i < end; i += L) add(Start{i}, sums[0]);
    if (end == whole && whole < n) {
      Lanes<T> last[count] = {};
      add(Start{n - L}, last);
      for (int k = 0; k < count; ++k) sums[1][k] += keep_from<T>(last[k], L - (n - whole));
    }
    for (int k = 0; k < count; ++k)
      totals[k] += static_cast<double>(sum_of<T>((sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k])));
  }
}

// y[i] = value(i) over [0, n), for a Start i or an index i. `stream`: around the cache, to be followed by stream_end().
template <class T, class Value>
KCORE_INLINE void row_values(std::int64_t n, T* y, bool stream, const Value& value) {
  constexpr int L = kLaneCount<T>;
  std::int64_t i = 0;
  if (stream) {
    for (; i < n && reinterpret_cast<std::uintptr_t>(y + i) % kLaneBytes != 0; ++i) y[i] = value(i);
    for (; i + L <= n; i += L) store_around(y + i, value(Start{i}));
  } else {
    for (; i + L <= n; i += L) store(y + i, value(Start{i}));
  }
  for (; i < n; ++i) y[i] = value(i);
}

// What is computed for neighbouring columns at once: V vectors of them, or one column for V = 0.
template <class T, int V>
struct Tile {
  using Value = Lanes<T>;
  using Index = typename LaneTypes<T>::Mask;
  static constexpr int kCount = V;
  KCORE_INLINE static Value get(const T* x, int v) { return load(x, Start{v * kLaneCount<T>}); }
  KCORE_INLINE static void put(T* y, int v, Value value, bool stream) {
    stream ? store_around(y + v * kLaneCount<T>, value) : store(y + v * kLaneCount<T>, value);
  }
};
template <class T>
struct Tile<T, 0> {
  using Value = T;
  using Index = std::int64_t;
  static constexpr int kCount = 1;
  KCORE_INLINE static Value get(const T* x, int) { return *x; }
  KCORE_INLINE static void put(T* y, int, Value value, bool) { *y = value; }
};

// Calls body.operator()<V>(first column) for all columns, in tiles of V vectors.
template <class T, class Body>
KCORE_INLINE void for_tiles(std::int64_t columns, const Body& body) {
  constexpr int L = kLaneCount<T>;
  std::int64_t c = 0;
  for (; c + 4 * L <= columns; c += 4 * L) body.template operator()<4>(c);
  for (; c + L <= columns; c += L) body.template operator()<1>(c);
  for (; c < columns; ++c) body.template operator()<0>(c);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
