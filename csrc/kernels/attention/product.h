// Products of blocks that lie in memory row by row, with any row step: attention's operands are results of one product
// and inputs of the next, read along their rows by one and down their columns by another, and are not packed again.
//
// The tile is that of gemm/tile.h with A in place: broadcasts from 14 rows cost what broadcasts from a packed panel do.
#pragma once

#include "kernels/gemm/tile.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
struct Block {
  T* data;
  std::int64_t ld;
  T* row(std::int64_t i) const { return data + i * ld; }
};

// c[r * ldc + n] = or += sum over k of A[r, k] b[k * ldb + n] for r < R, n < columns <= V * lanes.
// A[r, k] is a[r * lda + k], or a[k * lda + r] where A lies transposed. b may be read up to V * lanes columns.
template <class T, bool kTransposed, int R, int V>
void product_tile(std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc,
                  int columns, bool add) {
  constexpr int L = kLanes<T>;
  Vector<T> sum[R][V] = {};
  for (; k > 0; --k, a += kTransposed ? lda : 1, b += ldb) {
    Vector<T> bv[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) bv[v] = *reinterpret_cast<const Vector<T>*>(b + v * L);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] += a[kTransposed ? r : r * lda] * bv[v];
  }
  if (columns == V * L) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        Vector<T>* const y = reinterpret_cast<Vector<T>*>(c + r * ldc + v * L);
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
    T* const y = c + r * ldc;
    for (int j = 0; j < columns; ++j) y[j] = add ? y[j] + row[j] : row[j];
  }
}

template <class T>
using ProductTile = void (*)(std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, T* c,
                             std::int64_t ldc, int columns, bool add);
template <class T>
struct ProductTiles {
  ProductTile<T> of[kTileVectors][kTileRows];
};
template <class T, bool kTransposed, int... R>
constexpr ProductTiles<T> product_tiles(std::integer_sequence<int, R...>) {
  return {{{product_tile<T, kTransposed, R + 1, 1>...}, {product_tile<T, kTransposed, R + 1, 2>...}}};
}
template <class T, bool kTransposed>
constexpr ProductTiles<T> kProductTiles = product_tiles<T, kTransposed>(std::make_integer_sequence<int, kTileRows>());

// body(first, count) over [begin, end) in panels of nearly equal size, none above kTileRows.
template <class Body>
inline __attribute__((always_inline)) void for_panels(std::int64_t begin, std::int64_t end, const Body& body) {
  const std::int64_t count = end - begin, panels = (count + kTileRows - 1) / kTileRows;
  for (std::int64_t p = 0; p < panels; ++p) {
    const std::int64_t i = p * count / panels;
    body(begin + i, static_cast<int>((p + 1) * count / panels - i));
  }
}

// One panel: c[r, 0:n] = or += A[r, 0:k] b[0:k, 0:n] for r < rows <= kTileRows.
template <class T, bool kTransposed>
void product_panel(int rows, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, Block<T> b, T* c,
                   std::int64_t ldc, bool add) {
  constexpr int L = kLanes<T>, W = kTileColumns<T>;
  for (std::int64_t j = 0; j < n; j += W) {
    const int columns = static_cast<int>(n - j < W ? n - j : W);
    kProductTiles<T, kTransposed>.of[columns <= L ? 0 : 1][rows - 1](k, a, lda, b.data + j, b.ld, c + j, ldc, columns,
                                                                     add);
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
