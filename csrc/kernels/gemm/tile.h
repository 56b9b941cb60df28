// The micro-tile: kTileRows x (kTileVectors vectors) of C kept in registers while k runs. Sizes per ISA.
//
// AVX-512 (32 registers): 14 x 2 accumulators + 2 of B, A broadcast from memory. AVX2 (16): 6 x 2. SSE2 (16): 4 x 2.
// 2 FMA ports x 4 cycles of latency need 8 or more independent accumulators.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <utility>

#include "kernels/gemm/gemm.h"
#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kTileRows = 14;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kTileRows = 6;
#else
constexpr int kVectorBytes = 16, kTileRows = 4;
#endif
constexpr int kTileVectors = 2;

// Vectors that may be loaded from and stored to any address of their element type. Name the type in full where a
// pointer to it is declared: `auto` and template parameters lose the alignment.
template <class T>
struct Vectors;
template <>
struct Vectors<float> {
  typedef float Full __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
  typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));
  typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
};
template <>
struct Vectors<double> {
  typedef double Full __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
  typedef double Quad __attribute__((vector_size(32), aligned(8), may_alias));
  typedef double Eight __attribute__((vector_size(64), aligned(8), may_alias));
};
template <class T>
using Vector = typename Vectors<T>::Full;
template <class T>
using Quad = typename Vectors<T>::Quad;
template <class T>
using Eight = typename Vectors<T>::Eight;

template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));
// Columns of a full micro-tile.
template <class T>
constexpr int kTileColumns = kTileVectors * kLanes<T>;

// The first `count` lanes, zeros in the others; compiler vectors have no masks.
template <class T>
KCORE_INLINE Vector<T> load_part(const T* from, int count) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vector<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
  } else {
    return (Vector<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), from);
  }
#elif defined(__AVX2__)
  alignas(32) static constexpr std::int32_t kOnes[] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
  const __m256i lanes =
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kOnes + 8 - count * static_cast<int>(sizeof(T) / 4)));
  if constexpr (sizeof(T) == 4) {
    return (Vector<T>)_mm256_maskload_ps(from, lanes);
  } else {
    return (Vector<T>)_mm256_maskload_pd(from, lanes);
  }
#else
  Vector<T> v{};
  for (int l = 0; l < kLanes<T>; ++l) v[l] = l < count ? from[l] : T(0);
  return v;
#endif
}

// Masked stores of AVX2 take longer than one by one on some CPUs.
template <class T>
KCORE_INLINE void store_part(T* to, Vector<T> v, int count) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), (__m512)v);
  } else {
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1u << count) - 1), (__m512d)v);
  }
#else
  T lanes[kLanes<T>];
  *reinterpret_cast<Vector<T>*>(lanes) = v;
  for (int l = 0; l < count; ++l) to[l] = lanes[l];
#endif
}

// c[r][n + j] = or += sum over k of A[r, k] b[k * ldb + j], for r < R and j < columns <= V * lanes, all but the last of
// the V vectors full. A[r, k] is a[r * lda + k] if its rows are apart, else a[k * lda + r]; packed panels are of the
// latter kind. b has all V * lanes columns, or, if it ends, only `columns` that may be read.
template <class T, int R, int V, bool kApart, bool kEnds>
void micro_tile(std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* const* c, std::int64_t n,
                int columns, bool add) {
  constexpr int L = kLanes<T>;
  const int last = columns - (V - 1) * L;
  Vector<T> sum[R][V];
  // One by one: `= {}` would clear them in memory first.
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[r][v] = Vector<T>{};
  for (; k > 0; --k, a += kApart ? 1 : lda, b += ldb) {
    Vector<T> bv[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v)
      bv[v] = kEnds && v == V - 1 ? load_part(b + v * L, last) : *reinterpret_cast<const Vector<T>*>(b + v * L);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] += a[kApart ? r * lda : r] * bv[v];
  }
  if (last == L) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        Vector<T>* const y = reinterpret_cast<Vector<T>*>(c[r] + n + v * L);
        *y = add ? *y + sum[r][v] : sum[r][v];
      }
    return;
  }
  // Unrolled so that sum is never indexed by a variable, which would put it in memory.
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    T* const y = c[r] + n;
    if constexpr (V > 1) {
      Vector<T>* const first = reinterpret_cast<Vector<T>*>(y);
      *first = add ? *first + sum[r][0] : sum[r][0];
    }
    T* const end = y + (V - 1) * L;
    store_part(end, add ? load_part(end, last) + sum[r][V - 1] : sum[r][V - 1], last);
  }
}

template <class T>
using MicroTile = void (*)(std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* const* c,
                           std::int64_t n, int columns, bool add);

// One instance for each number of rows, so that a block's rows divide evenly into panels.
template <class T>
struct MicroTiles {
  MicroTile<T> of[kTileVectors][kTileRows];
};
template <class T, bool kApart, bool kEnds, int... R>
constexpr MicroTiles<T> micro_tiles(std::integer_sequence<int, R...>) {
  return {{{micro_tile<T, R + 1, 1, kApart, kEnds>...}, {micro_tile<T, R + 1, 2, kApart, kEnds>...}}};
}
template <class T, bool kApart = false, bool kEnds = false>
constexpr MicroTiles<T> kMicroTiles = micro_tiles<T, kApart, kEnds>(std::make_integer_sequence<int, kTileRows>());

// The micro-tile as gemm_block wants it. A panel of A is to[k * rows + r], of B to[k * width + j], where width is one
// vector if the columns fit into it.
template <class T>
struct FmaTile {
  using Value = T;
  static void begin() {}
  static void end() {}
  static constexpr std::int64_t kRows = kTileRows, kColumns = kTileColumns<T>, kSpan = kGemmSpanK;
  static constexpr std::size_t a_bytes(std::int64_t k) { return static_cast<std::size_t>(k * 16) * sizeof(T); }
  static constexpr std::size_t b_bytes(std::int64_t k) { return static_cast<std::size_t>(k * kColumns) * sizeof(T); }
  static constexpr int width_of(int columns) { return columns <= kLanes<T> ? kLanes<T> : kTileColumns<T>; }

  template <class Packer>
  static void pack_a(const Packer& pack, void* to, std::int64_t at, std::int64_t i, int rows, std::int64_t k,
                     std::int64_t count) {
    pack(static_cast<T*>(to) + at * rows, i, rows, k, count);
  }
  template <class Packer>
  static void pack_b(const Packer& pack, void* to, std::int64_t at, std::int64_t k, std::int64_t count, std::int64_t j,
                     int columns) {
    const int width = width_of(columns);
    pack(static_cast<T*>(to) + at * width, k, count, j, columns, width);
  }
  static void multiply(std::int64_t count, const void* a, int rows, const void* b, int columns, T* const* c,
                       std::int64_t n, bool add) {
    kMicroTiles<T>.of[columns <= kLanes<T> ? 0 : 1][rows - 1](
        count, static_cast<const T*>(a), rows, static_cast<const T*>(b), width_of(columns), c, n, columns, add);
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
