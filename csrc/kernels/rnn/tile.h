// The Step of fused multiply-adds: a tile of rows and vectors in registers that broadcasts the state from where it
// lies.
//
// Packed, a panel is to[k * V * lanes + v * lanes + l]. The state is not: a tile's few rows of it lie in L1.
#pragma once

#include "kernels/rnn/panels.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr int kMaxStepRows = 8;

// Rows that keep R x V accumulators, V vectors of B and a broadcast in registers: 32 in AVX-512, 16 elsewhere.
constexpr int step_rows(int vectors) {
#if defined(__AVX512F__)
  return vectors == 4 ? 7 : kMaxStepRows;
#else
  return vectors == 4 ? 3 : vectors == 3 ? 4 : 6;
#endif
}

// z[(r * V + v) * lanes + l] = sum over k of a[r * lda + k] b[(k * V + v) * lanes + l]
template <class T, int R, int V>
void step_tile(std::int64_t k, const T* a, std::int64_t lda, const T* b, T* z) {
  constexpr int L = kLanes<T>;
  Vector<T> sum[R][V] = {};
  for (; k > 0; --k, ++a, b += V * L) {
    Vector<T> bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) bv[v] = *reinterpret_cast<const Vector<T>*>(b + v * L);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[r][v] += a[r * lda] * bv[v];
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) *reinterpret_cast<Vector<T>*>(z + (r * V + v) * L) = sum[r][v];
}

template <class T>
using StepTile = void (*)(std::int64_t k, const T* a, std::int64_t lda, const T* b, T* z);

template <class T>
struct StepTiles {
  StepTile<T> of[kPanelVectors][kMaxStepRows];
};
template <class T, int V, int... R>
constexpr void fill_step_tiles(StepTiles<T>& tiles, std::integer_sequence<int, R...>) {
  ((tiles.of[V - 1][R] = step_tile<T, R + 1, V>), ...);
}
template <class T, int... V>
constexpr StepTiles<T> step_tiles(std::integer_sequence<int, V...>) {
  StepTiles<T> tiles{};
  (fill_step_tiles<T, V + 1>(tiles, std::make_integer_sequence<int, step_rows(V + 1)>()), ...);
  return tiles;
}
template <class T>
constexpr StepTiles<T> kStepTiles = step_tiles<T>(std::make_integer_sequence<int, kPanelVectors>());

template <class T>
struct InPlace {
  using Value = T;
  static constexpr int kMostRows = kMaxStepRows;
  static constexpr int rows_of(int wide) { return step_rows(wide); }
  static void begin() {}
  static void end() {}
  static std::size_t panel_bytes(std::int64_t k, int wide) {
    return static_cast<std::size_t>(k * wide * kLanes<T>) * sizeof(T);
  }
  static void pack(const RecurrentMatrix<T>& m, int first, int wide, void* to, std::int64_t k0, std::int64_t k1) {
    const std::int64_t width = static_cast<std::int64_t>(wide) * kLanes<T>;
    pack_vectors(m, first, 0, wide, static_cast<T*>(to) + k0 * width, width, k0, k1 - k0);
  }
  static std::size_t operand_bytes(std::int64_t, std::int64_t) { return 0; }
  static void prepare(void*, const T*, std::int64_t, std::int64_t, std::int64_t) {}
  static void multiply(std::int64_t k, const void*, std::int64_t, const T* a, std::int64_t lda, int rows,
                       const void* panel, int wide, T* z) {
    kStepTiles<T>.of[wide - 1][rows - 1](k, a, lda, static_cast<const T*>(panel), z);
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
