// One block of C from packers: the loops around the micro-tile. Convolutions use it with packers that gather.
//
// For each span of K: B's span is packed whole (it stays in L2); then panel by panel, A's rows are packed (they stay in
// L1) and meet every panel of B. Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008.
#pragma once

#include "kernels/gemm/pack.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// rows_of_c(m, count, pointers) gives the address of column 0 of each of `count` rows from m on.
template <class T, class PackA, class PackB, class RowsOfC>
void gemm_block(const PackA& pack_a, const PackB& pack_b, const RowsOfC& rows_of_c, const GemmRange& range,
                void* scratch) {
  constexpr int L = kLanes<T>, W = kTileColumns<T>;
  static_assert(kTileRows <= kGemmMaxTileRows && kGemmMaxN % W == 0);
  T* const packed_b = static_cast<T*>(scratch);
  T* const packed_a = packed_b + kGemmSpanK * kGemmMaxN;
  T** const c = reinterpret_cast<T**>(packed_a + kGemmSpanK * kGemmMaxTileRows);

  const std::int64_t m = range.m1 - range.m0, n = range.n1 - range.n0;
  rows_of_c(range.m0, m, c);
  if (range.k0 >= range.k1) {
    for (std::int64_t i = 0; i < m; ++i) __builtin_memset(c[i] + range.n0, 0, static_cast<std::size_t>(n) * sizeof(T));
    return;
  }

  const std::int64_t panels = (m + kTileRows - 1) / kTileRows;
  for (std::int64_t k0 = range.k0; k0 < range.k1; k0 += kGemmSpanK) {
    const std::int64_t count = range.k1 - k0 < kGemmSpanK ? range.k1 - k0 : kGemmSpanK;
    const auto columns_at = [&](std::int64_t j) { return static_cast<int>(n - j < W ? n - j : W); };
    for (std::int64_t j = 0; j < n; j += W) {
      const int columns = columns_at(j);
      pack_b(packed_b + j * kGemmSpanK, k0, count, range.n0 + j, columns, columns <= L ? L : W);
    }
    for (std::int64_t p = 0; p < panels; ++p) {
      const std::int64_t i = p * m / panels;
      const int rows = static_cast<int>((p + 1) * m / panels - i);
      pack_a(packed_a, range.m0 + i, rows, k0, count);
      for (std::int64_t j = 0; j < n; j += W) {
        const int columns = columns_at(j);
        kMicroTiles<T>.of[columns <= L ? 0 : 1][rows - 1](count, packed_a, packed_b + j * kGemmSpanK, c + i,
                                                          range.n0 + j, columns, k0 != range.k0);
      }
    }
  }
}

template <class T>
struct MatrixOut {
  T* c;
  std::int64_t ld;
  void operator()(std::int64_t m, std::int64_t count, T** rows) const {
    for (std::int64_t i = 0; i < count; ++i) rows[i] = c + (m + i) * ld;
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
