// Products of blocks that lie in memory row by row, with any row step: attention's operands are results of one product
// and inputs of the next, read along their rows by one and down their columns by another, and are not packed again.
//
// The tile is that of gemm/tile.h with A in place.
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

// body(first, count) over [begin, end) in panels of nearly equal size, none above kTileRows.
template <class Body>
inline __attribute__((always_inline)) void for_panels(std::int64_t begin, std::int64_t end, const Body& body) {
  const std::int64_t count = end - begin, panels = (count + kTileRows - 1) / kTileRows;
  for (std::int64_t p = 0; p < panels; ++p) {
    const std::int64_t i = p * count / panels;
    body(begin + i, static_cast<int>((p + 1) * count / panels - i));
  }
}

// One panel: c[r, 0:n] = or += A[r, 0:k] b[0:k, 0:n] for r < rows <= kTileRows. A[r, k] is a[r * lda + k], or
// a[k * lda + r] where A lies transposed. b may be read up to whole vectors of columns.
template <class T, bool kTransposed>
void product_panel(int rows, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, Block<T> b, T* c,
                   std::int64_t ldc, bool add) {
  constexpr int L = kLanes<T>, W = kTileColumns<T>;
  T* rows_of_c[kTileRows];
  for (int r = 0; r < rows; ++r) rows_of_c[r] = c + r * ldc;
  for (std::int64_t j = 0; j < n; j += W) {
    const int columns = static_cast<int>(n - j < W ? n - j : W);
    kMicroTiles<T, !kTransposed>.of[columns <= L ? 0 : 1][rows - 1](k, a, lda, b.data + j, b.ld, rows_of_c, j, columns,
                                                                    add);
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
