// One block of C from packers: the loops around the micro-tile. Convolutions use it with packers that gather.
//
// For each span of K: B's span is packed whole (it stays in L2); then, a few panels at a time, A's rows are packed (a
// panel stays in L1) and meet every panel of B. Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication", 2008.
//
// A Tile is the innermost kernel and the format of its operands (tile.h describes the first):
//   Value                      the type of C
//   kRows, kColumns, kSpan     of a micro-tile of C, and the part of K that its packed panels hold
//   a_bytes(k), b_bytes(k)     size of a packed panel of A and B of k steps
//   pack_a(packer, to, at, i, rows, k, count), pack_b(packer, to, at, k, count, j, columns)   steps [at, at + count) of
//                              a panel; at is a multiple of kPackSteps
//   multiply(count, a, rows, b, columns, c, n, add)   C[rows, n : n + columns] = or += the product of two panels
//   begin(), end()             around the use of the tile on this thread
#pragma once

#include "kernels/gemm/epilogue.h"
#include "kernels/gemm/pack.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Panels of A that are packed together.
constexpr std::int64_t kGroupA = 4;

// Columns of C that a panel of rows has ready in L1 before they are written around the cache.
constexpr std::int64_t kStreamColumns = 64;

// rows_of_c(m, count, pointers) gives the address of column 0 of each of `count` rows from m on. The epilogue's
// residual has C's rows in the order of m.
template <class Tile, class PackA, class PackB, class RowsOfC>
void gemm_block(const PackA& pack_a, const PackB& pack_b, const RowsOfC& rows_of_c, const GemmRange& range,
                const Epilogue<typename Tile::Value>& epilogue, void* scratch) {
  using T = typename Tile::Value;
  constexpr std::int64_t R = Tile::kRows, W = Tile::kColumns;
  static_assert(R <= kGemmMaxTile && W <= 64 && 64 % W == 0 && kGemmSpanK % Tile::kSpan == 0);
  const std::int64_t m = range.m1 - range.m0, n = range.n1 - range.n0;
  const std::int64_t panels_n = (n + W - 1) / W, panels_m = (m + R - 1) / R;
  char* const packed_b = static_cast<char*>(scratch);
  char* const packed_a = packed_b + static_cast<std::size_t>(panels_n) * Tile::b_bytes(Tile::kSpan);
  T** const c = reinterpret_cast<T**>(packed_a + kGroupA * Tile::a_bytes(Tile::kSpan));

  rows_of_c(range.m0, m, c);
  if (range.k0 >= range.k1)
    for (std::int64_t i = 0; i < m; ++i) __builtin_memset(c[i] + range.n0, 0, static_cast<std::size_t>(n) * sizeof(T));

  Tile::begin();
  // Only where C is not read again, to be added to.
  const bool stream = epilogue.stream && range.k1 - range.k0 <= Tile::kSpan && range.k0 < range.k1;
  alignas(64) T block[R * kStreamColumns];
  const auto panel_of_b = [&](std::int64_t q) {
    return packed_b + static_cast<std::size_t>(q) * Tile::b_bytes(Tile::kSpan);
  };
  const auto columns_of = [&](std::int64_t q) { return static_cast<int>(n - q * W < W ? n - q * W : W); };
  // Columns [n0, n1) of rows of C from i on, which are at `rows` for now.
  const auto finish = [&](T* const* rows, std::int64_t i, std::int64_t count, std::int64_t n0, std::int64_t n1) {
    if (!epilogue.empty()) finish_rows(epilogue, rows, count, n0, n1, [&](std::int64_t r) { return range.m0 + i + r; });
  };
  const auto first_row = [&](std::int64_t panel) { return panel * m / panels_m; };
  for (std::int64_t k0 = range.k0; k0 < range.k1; k0 += Tile::kSpan) {
    const std::int64_t count = range.k1 - k0 < Tile::kSpan ? range.k1 - k0 : Tile::kSpan;
    for_chunks(steps_together(pack_b, count), count, [&](std::int64_t at, std::int64_t steps) {
      for (std::int64_t q = 0; q < panels_n; ++q)
        Tile::pack_b(pack_b, panel_of_b(q), at, k0 + at, steps, range.n0 + q * W, columns_of(q));
    });
    for (std::int64_t group = 0; group < panels_m; group += kGroupA) {
      const std::int64_t end = group + kGroupA < panels_m ? group + kGroupA : panels_m;
      for_chunks(steps_together(pack_a, count), count, [&](std::int64_t at, std::int64_t steps) {
        for (std::int64_t p = group; p < end; ++p)
          Tile::pack_a(pack_a, packed_a + static_cast<std::size_t>(p - group) * Tile::a_bytes(Tile::kSpan), at,
                       range.m0 + first_row(p), static_cast<int>(first_row(p + 1) - first_row(p)), k0 + at, steps);
      });
      for (std::int64_t p = group; p < end; ++p) {
        const std::int64_t i = first_row(p);
        const int rows = static_cast<int>(first_row(p + 1) - i);
        const void* const a = packed_a + static_cast<std::size_t>(p - group) * Tile::a_bytes(Tile::kSpan);
        for (std::int64_t j = 0; stream && j < n; j += kStreamColumns) {
          const std::int64_t n0 = range.n0 + j, columns = n - j < kStreamColumns ? n - j : kStreamColumns;
          T* to[R];
          for (int r = 0; r < rows; ++r) to[r] = block + r * kStreamColumns - n0;
          for (std::int64_t q = 0; q < columns; q += W)
            Tile::multiply(count, a, rows, panel_of_b((j + q) / W), static_cast<int>(columns - q < W ? columns - q : W),
                           to, n0 + q, false);
          finish(to, i, rows, n0, n0 + columns);
          for (int r = 0; r < rows; ++r)
            stream_out(c[i + r] + n0, to[r] + n0, columns * static_cast<std::int64_t>(sizeof(T)), nullptr, 0);
        }
        if (stream) continue;
        for (std::int64_t q = 0; q < panels_n; ++q)
          Tile::multiply(count, a, rows, panel_of_b(q), columns_of(q), c + i, range.n0 + q * W, k0 != range.k0);
        if (k0 + count == range.k1) finish(c + i, i, rows, range.n0, range.n1);
      }
    }
  }
  Tile::end();
  if (stream) stream_end();
  if (range.k0 >= range.k1) finish(c, 0, m, range.n0, range.n1);
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
