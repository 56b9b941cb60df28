// The micro-tile of products with few columns: lanes are columns of P, not of B.
//
// A tile of product.h multiplies each element of P with a vector of columns, which three columns would fill to a fifth.
// Here a vector of a row of P meets the same part of each column of B, and the lanes are added up at the end: that
// costs three operations for each element of the result, where K / lanes multiply-adds came before.
#pragma once

#include "kernels/conv/element.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// The columns of P that a tile sums over.
struct Runs {
  const std::int64_t* displacements;
  std::int64_t step, count, length;
};

// Up to as many columns the lanes of P are better filled; runs of whole vectors, for the elements behind a run are
// another tap's and may be Inf.
template <class T>
bool few_columns(const Slab& slab, std::int64_t n) {
  return n <= kLanes<T> / 2 && slab.run > 0 && slab.run % kLanes<T> == 0;
}

// Rows of a tile of C columns: as many accumulators as fit beside a vector of each column of B and one of P.
template <class T>
constexpr int lane_rows(int columns) {
  constexpr int registers = kVectorBytes == 64 ? 32 : 16;
  const int rows = (registers - 1 - columns) / columns;
  return rows < 8 ? rows : 8;
}

// Lane i of the result is the sum of v[i].
template <int S, class V, int L>
KCORE_INLINE V add_lanes(V (&v)[L]) {
#pragma GCC unroll 16
  for (int i = 0; i < L / S / 2; ++i) {
    exchange_blocks<S>(v[2 * i], v[2 * i + 1], std::make_integer_sequence<int, L>());
    v[i] = v[2 * i] + v[2 * i + 1];
  }
  if constexpr (2 * S < L) {
    return add_lanes<2 * S>(v);
  } else {
    return v[0];
  }
}

// c[r][j] = sum over runs i and k of rows[r][displacements[i * step] + k] b[j * K + i * length + k], j < C.
template <class X, int C>
void lane_tile(const Runs& runs, const X* const* rows, int count, const X* b, SumOf<X>* const* c) {
  using T = SumOf<X>;
  constexpr int L = kLanes<X>, R = lane_rows<X>(C), kSums = (R * C + L - 1) / L * L;
  const X* from[R];
  for (int r = 0; r < R; ++r) from[r] = rows[r < count ? r : 0];
  Vector<T> sum[kSums];
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) sum[i] = Vector<T>{};
  const std::int64_t size = runs.count * runs.length;
  for (std::int64_t i = 0; i < runs.count; ++i) {
    const std::int64_t first = runs.displacements[i * runs.step], end = first + runs.length;
    for (std::int64_t k = first; k < end; k += L, b += L) {
      Vector<X> bv[C];
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) bv[j] = *reinterpret_cast<const Vector<X>*>(b + j * size);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const Vector<X> a = *reinterpret_cast<const Vector<X>*>(from[r] + k);
#pragma GCC unroll 8
        for (int j = 0; j < C; ++j) Element<X>::add(sum[r * C + j], a, bv[j]);
      }
    }
  }
  T total[kSums];
#pragma GCC unroll 8
  for (int i = 0; i < kSums; i += L) {
    Vector<T> lanes[L];
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) lanes[l] = sum[i + l];
    *reinterpret_cast<Vector<T>*>(total + i) = add_lanes<1>(lanes);
  }
  for (int r = 0; r < count; ++r)
    for (int j = 0; j < C; ++j) c[r][j] = total[r * C + j];
}

template <class X>
struct LaneTile {
  void (*multiply)(const Runs& runs, const X* const* rows, int count, const X* b, SumOf<X>* const* c);
  int rows;
};
template <class X>
struct LaneTiles {
  LaneTile<X> of[kLanes<X> / 2];
};
template <class X, int... C>
constexpr LaneTiles<X> lane_tiles(std::integer_sequence<int, C...>) {
  return {{{lane_tile<X, C + 1>, lane_rows<X>(C + 1)}...}};
}
template <class X>
constexpr LaneTiles<X> kLaneTiles = lane_tiles<X>(std::make_integer_sequence<int, kLanes<X> / 2>());

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
