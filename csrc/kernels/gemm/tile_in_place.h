// The micro-tile of fused multiply-adds with operands read where they lie, for products too small to pay for packing.
// The sums are those of FmaTile, bit for bit.
//
// A "packed panel" says where the panel lies. What cannot be read in place is packed behind that after all: a B whose
// rows do not lie as vectors, an A whose rows would meet in a few sets of L1, what a packer of convolutions gathers.
#pragma once

#include <type_traits>

#include "kernels/gemm/pack.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Bytes between rows of A from which on they are packed: 14 rows 4 KB apart share a set of 8 or 12 lines.
constexpr std::int64_t kMaxRowBytes = 3072;

template <class T>
struct InPlaceTile : FmaTile<T> {
  using Packed = FmaTile<T>;
  struct alignas(64) Panel {
    const T* data;
    std::int64_t ld;
    bool in_place;  // of A: its rows are apart; of B: it ends with its last column
  };

  static constexpr std::size_t a_bytes(std::int64_t k) { return sizeof(Panel) + Packed::a_bytes(k); }
  static constexpr std::size_t b_bytes(std::int64_t k) { return sizeof(Panel) + Packed::b_bytes(k); }

  template <class Packer>
  static void pack_a(const Packer& pack, void* to, std::int64_t at, std::int64_t i, int rows, std::int64_t k,
                     std::int64_t count) {
    Panel* const panel = static_cast<Panel*>(to);
    if constexpr (std::is_same_v<Packer, MatrixRows<T>>) {
      const Matrix<T>& a = pack.a;
      if (a.transposed || a.ld * static_cast<std::int64_t>(sizeof(T)) <= kMaxRowBytes) {
        if (at == 0) *panel = {a.data + (a.transposed ? k * a.ld + i : i * a.ld + k), a.ld, !a.transposed};
        return;
      }
    }
    Packed::pack_a(pack, panel + 1, at, i, rows, k, count);
    *panel = {reinterpret_cast<const T*>(panel + 1), rows, false};
  }

  template <class Packer>
  static void pack_b(const Packer& pack, void* to, std::int64_t at, std::int64_t k, std::int64_t count, std::int64_t j,
                     int columns) {
    Panel* const panel = static_cast<Panel*>(to);
    if constexpr (std::is_same_v<Packer, MatrixColumns<T>>) {
      if (!pack.b.transposed) {
        if (at == 0) *panel = {pack.b.data + k * pack.b.ld + j, pack.b.ld, true};
        return;
      }
    }
    Packed::pack_b(pack, panel + 1, at, k, count, j, columns);
    *panel = {reinterpret_cast<const T*>(panel + 1), Packed::width_of(columns), false};
  }

  static void multiply(std::int64_t count, const void* a, int rows, const void* b, int columns, T* const* c,
                       std::int64_t n, bool add) {
    const Panel &pa = *static_cast<const Panel*>(a), &pb = *static_cast<const Panel*>(b);
    const bool ends = pb.in_place && columns != Packed::width_of(columns);
    const MicroTiles<T>& tiles = pa.in_place ? (ends ? kMicroTiles<T, true, true> : kMicroTiles<T, true>)
                                             : (ends ? kMicroTiles<T, false, true> : kMicroTiles<T>);
    tiles.of[columns <= kLanes<T> ? 0 : 1][rows - 1](count, pa.data, pa.ld, pb.data, pb.ld, c, n, columns, add);
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
