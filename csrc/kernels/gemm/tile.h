// The micro-tile: kTileRows x (kTileVectors vectors) of C kept in registers while k runs. Sizes per ISA.
//
// AVX-512 (32 registers): 14 x 2 accumulators + 2 of B, A broadcast from memory. AVX2 (16): 6 x 2. SSE2 (16): 4 x 2.
// 2 FMA ports x 4 cycles of latency need 8 or more independent accumulators.
#pragma once

#include <utility>

#include "kernels/gemm/gemm.h"

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

// c[r][n + j] = or += sum over k of a[k * R + r] b[k * V * lanes + j], for r < R and j < columns <= V * lanes.
template <class T, int R, int V>
void micro_tile(std::int64_t k, const T* a, const T* b, T* const* c, std::int64_t n, int columns, bool add) {
  constexpr int L = kLanes<T>;
  Vector<T> sum[R][V];
  // One by one: `= {}` would clear them in memory first.
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[r][v] = Vector<T>{};
  for (; k > 0; --k, a += R, b += V * L) {
    Vector<T> bv[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) bv[v] = *reinterpret_cast<const Vector<T>*>(b + v * L);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] += a[r] * bv[v];
  }
  if (columns == V * L) {
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
    T row[V * L];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) *reinterpret_cast<Vector<T>*>(row + v * L) = sum[r][v];
    T* y = c[r] + n;
    for (int j = 0; j < columns; ++j) y[j] = add ? y[j] + row[j] : row[j];
  }
}

template <class T>
using MicroTile = void (*)(std::int64_t k, const T* a, const T* b, T* const* c, std::int64_t n, int columns, bool add);

// One instance for each number of rows, so that a block's rows divide evenly into panels.
template <class T>
struct MicroTiles {
  MicroTile<T> of[kTileVectors][kTileRows];
};
template <class T, int... R>
constexpr MicroTiles<T> micro_tiles(std::integer_sequence<int, R...>) {
  return {{{micro_tile<T, R + 1, 1>...}, {micro_tile<T, R + 1, 2>...}}};
}
template <class T>
constexpr MicroTiles<T> kMicroTiles = micro_tiles<T>(std::make_integer_sequence<int, kTileRows>());

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
    kMicroTiles<T>.of[columns <= kLanes<T> ? 0 : 1][rows - 1](count, static_cast<const T*>(a), static_cast<const T*>(b),
                                                              c, n, columns, add);
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
