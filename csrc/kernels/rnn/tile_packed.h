// The Step of a tile of kernels/gemm that wants its operands in a format of its own: bfloat16 parts. Every step
// rewrites the state, which is small; the panels are rewritten once per call.
//
// Packed, a panel is a panel of B of the tile for each of its kColumns columns.
#pragma once

#include "kernels/rnn/panels.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Columns of a panel of the recurrent kernel as gemm/pack.h wants a packer of B.
struct PanelColumns {
  const RecurrentMatrix<float>& matrix;
  int first;
  void operator()(float* to, std::int64_t k, std::int64_t count, std::int64_t j, int columns, int width) const {
    constexpr int L = kLanes<float>;
    pack_vectors(matrix, first, static_cast<int>(j) / L, columns / L, to, width, k, count);
    clear_columns(to, count, columns, width);
  }
};

template <class Tile>
struct Packed {
  using Value = float;
  static constexpr int kMostRows = Tile::kRows;
  static constexpr int kColumns = Tile::kColumns;
  static_assert(kColumns % kLanes<float> == 0 && Tile::kSpan % kPackSteps == 0);
  static constexpr int rows_of(int) { return kMostRows; }
  static void begin() { Tile::begin(); }
  static void end() { Tile::end(); }

  // Calls body(column, columns, offset) for each panel of B in a panel of `wide` vectors.
  template <class Body>
  static void for_columns(std::int64_t k, int wide, const Body& body) {
    const int all = wide * kLanes<float>;
    for (int j = 0; j < all; j += kColumns)
      body(j, all - j < kColumns ? all - j : kColumns, static_cast<std::size_t>(j / kColumns) * Tile::b_bytes(k));
  }
  static std::size_t panel_bytes(std::int64_t k, int wide) {
    return static_cast<std::size_t>((wide * kLanes<float> + kColumns - 1) / kColumns) * Tile::b_bytes(k);
  }
  static void pack(const RecurrentMatrix<float>& m, int first, int wide, void* to, std::int64_t k0, std::int64_t k1) {
    for_columns(m.k, wide, [&](int j, int columns, std::size_t offset) {
      for_chunks(Tile::kSpan, k1 - k0, [&](std::int64_t at, std::int64_t steps) {
        Tile::pack_b(PanelColumns{m, first}, static_cast<char*>(to) + offset, k0 + at, k0 + at, steps, j, columns);
      });
    });
  }

  static std::int64_t tiles_of(std::int64_t rows) { return (rows + kMostRows - 1) / kMostRows; }
  static std::size_t operand_bytes(std::int64_t rows, std::int64_t k) {
    return static_cast<std::size_t>(tiles_of(rows)) * Tile::a_bytes(k);
  }
  static void prepare(void* to, const float* a, std::int64_t lda, std::int64_t rows, std::int64_t k) {
    const std::int64_t tiles = tiles_of(rows);
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int64_t row = tile * rows / tiles, count = (tile + 1) * rows / tiles - row;
      for_chunks(Tile::kSpan, k, [&](std::int64_t at, std::int64_t steps) {
        Tile::pack_a(MatrixRows<float>{{a, lda}},
                     static_cast<char*>(to) + static_cast<std::size_t>(tile) * Tile::a_bytes(k), at, row,
                     static_cast<int>(count), at, steps);
      });
    }
  }
  static void multiply(std::int64_t k, const void* operand, std::int64_t tile, const float*, std::int64_t, int rows,
                       const void* panel, int wide, float* z) {
    float* c[kMostRows];
    for (int r = 0; r < rows; ++r) c[r] = z + r * wide * kLanes<float>;
    const char* const a = static_cast<const char*>(operand) + static_cast<std::size_t>(tile) * Tile::a_bytes(k);
    for_columns(k, wide, [&](int j, int columns, std::size_t offset) {
      Tile::multiply(k, a, rows, static_cast<const char*>(panel) + offset, columns, c, j, false);
    });
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
