// A step's product: rows of the state times packed panels, tile by tile, each handed on while it is in L1.
//
// A panel is V vectors of columns over all k: to[k * V * lanes + v * lanes + l]. With several gates it holds the same
// units of each gate, so that a tile has all that these units need; with one gate, up to kPanelVectors vectors of
// units. The last vector is padded with zeros. A is not packed: a tile broadcasts from its few rows, which lie in L1.
#pragma once

#include "kernels/gemm/pack.h"
#include "kernels/math.h"
#include "kernels/rnn/rnn.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr int kPanelVectors = 4;
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
int vectors_of(std::int64_t units) {
  return static_cast<int>((units + kLanes<T> - 1) / kLanes<T>);
}

// What a step multiplies with.
template <class T>
struct Panels {
  const T* data;
  std::int64_t k, units;
  int gates;
};

// Rows [row, row + rows) of a step's product, for the vector of `count` units from `unit` on: z(r) holds a vector for
// each gate.
template <class T>
struct StepResult {
  std::int64_t row, unit;
  int rows, count;
  T* data;
  std::int64_t ld;
  T* z(int r) const { return data + r * ld; }
};

// Calls ahead(row, unit) for each row and vector of units before, and body(result) after each tile's product.
// a == nullptr: the product is zero. A team shares the panels; all have finished theirs when it returns.
template <class T, class Ahead, class Body>
void for_step(const Walk& walk, const T* a, std::int64_t lda, const Panels<T>& panels, const Ahead& ahead,
              const Body& body) {
  constexpr int L = kLanes<T>;
  alignas(64) T z[kMaxStepRows * kPanelVectors * L];
  const int vectors = vectors_of<T>(panels.units), per_panel = panels.gates == 1 ? kPanelVectors : 1;
  const int count_panels = (vectors + per_panel - 1) / per_panel, team = walk.team.size, member = walk.team.member;
  const std::int64_t rows = walk.rows;
  for (int p = count_panels * member / team; p < count_panels * (member + 1) / team; ++p) {
    const int first = p * per_panel;
    const T* const panel = panels.data + panels.k * first * panels.gates * L;
    const int groups = vectors - first < per_panel ? vectors - first : per_panel, wide = groups * panels.gates;
    const int most = step_rows(wide);
    const std::int64_t tiles = (rows + most - 1) / most;
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int64_t row = tile * rows / tiles, end = (tile + 1) * rows / tiles;
      const int count = static_cast<int>(end - row);
      for (std::int64_t r = row; r < end; ++r)
        for (int g = 0; g < groups; ++g) ahead(r, static_cast<std::int64_t>(first + g) * L);
      if (a) {
        kStepTiles<T>.of[wide - 1][count - 1](panels.k, a + row * lda, lda, panel, z);
      } else {
        __builtin_memset(z, 0, static_cast<std::size_t>(count * wide * L) * sizeof(T));
      }
      for (int g = 0; g < groups; ++g) {
        const std::int64_t unit = static_cast<std::int64_t>(first + g) * L, left = panels.units - unit;
        body(StepResult<T>{row, unit, count, static_cast<int>(left < L ? left : L), z + g * panels.gates * L,
                           static_cast<std::int64_t>(wide) * L});
      }
    }
  }
  walk.team.wait();
}

// Rows [k0, k1) of every panel.
template <class T>
void pack_panels(const RecurrentMatrix<T>& m, T* to, std::int64_t k0, std::int64_t k1) {
  constexpr int L = kLanes<T>;
  const int vectors = vectors_of<T>(m.units), per_panel = m.gates == 1 ? kPanelVectors : 1;
  for (int first = 0; first < vectors; first += per_panel) {
    const int groups = vectors - first < per_panel ? vectors - first : per_panel, wide = groups * m.gates;
    for (int v = 0; v < wide; ++v) {
      const std::int64_t unit = static_cast<std::int64_t>(first + (m.gates == 1 ? v : 0)) * L;
      const std::int64_t column = unit + (m.gates == 1 ? 0 : v * m.units);
      const int count = static_cast<int>(m.units - unit < L ? m.units - unit : L);
      T* const y = to + k0 * wide * L + v * L;
      if (m.transposed) {
        const T* from[L];
        for (int l = 0; l < count; ++l) from[l] = m.data + (column + l) * m.ld + k0;
        transpose_rows(y, wide * L, from, count, k1 - k0);
      } else {
        copy_runs(y, wide * L, m.data + k0 * m.ld + column, m.ld, count, k1 - k0);
      }
      for (std::int64_t k = 0; k < k1 - k0; ++k)
        for (int l = count; l < L; ++l) y[k * wide * L + l] = 0;
    }
    to += m.k * wide * L;
  }
}

// --- vectors of units, whose last may be cut short by the caller's array ---

template <class T>
KCORE_INLINE void add_part(T* to, const T* from, int count) {
  if (count == kLanes<T>) {
    *reinterpret_cast<Vector<T>*>(to) += *reinterpret_cast<const Vector<T>*>(from);
  } else {
    for (int l = 0; l < count; ++l) to[l] += from[l];
  }
}

template <class T>
KCORE_INLINE void copy_part(T* to, const T* from, int count) {
  if (count == kLanes<T>) {
    *reinterpret_cast<Vector<T>*>(to) = *reinterpret_cast<const Vector<T>*>(from);
  } else {
    for (int l = 0; l < count; ++l) to[l] = from[l];
  }
}

template <class T>
KCORE_INLINE void zero_part(T* to, int count) {
  if (count == kLanes<T>) {
    *reinterpret_cast<Vector<T>*>(to) = Vector<T>{};
  } else {
    for (int l = 0; l < count; ++l) to[l] = 0;
  }
}

// A whole vector of an array: in place, or its last units copied to `buffer` before zeros.
template <class T>
KCORE_INLINE const T* whole(const T* from, int count, T* buffer) {
  if (count == kLanes<T>) return from;
  for (int l = 0; l < kLanes<T>; ++l) buffer[l] = l < count ? from[l] : T(0);
  return buffer;
}

// The gates leave the product in a tile; several loops over its rows, each short, keep more rows in flight than one.
template <class T>
KCORE_INLINE void sigmoid_vector(T* z) {
#pragma omp simd
  for (int l = 0; l < kLanes<T>; ++l) z[l] = sigmoid_of(z[l]);
}
template <class T>
KCORE_INLINE void tanh_vector(T* z) {
#pragma omp simd
  for (int l = 0; l < kLanes<T>; ++l) z[l] = tanh_of(z[l]);
}

// --- compact states, rows padded to whole vectors ---

// to (rows, padded) from an array (rows, units). One member of a team does it; the others wait before they read.
template <class T>
void load_state(const Walk& walk, const T* from, T* to) {
  if (walk.team.member > 0) return;
  const std::int64_t padded = padded_units(walk.units);
  for (std::int64_t r = 0; r < walk.rows; ++r)
    for (std::int64_t j = 0; j < padded; ++j)
      to[r * padded + j] = from && j < walk.units ? from[r * walk.units + j] : T(0);
}

template <class T>
void store_state(const Walk& walk, const T* from, T* to) {
  if (walk.team.member > 0) return;
  const std::int64_t padded = padded_units(walk.units);
  for (std::int64_t r = 0; r < walk.rows; ++r)
    for (std::int64_t j = 0; j < walk.units; ++j) to[r * walk.units + j] = from[r * padded + j];
}

// The gradient of the first state: `carried` and what the first step's gates pass on.
template <class T>
void finish_grad(const Walk& walk, const T* dgates, std::int64_t ld, const Panels<T>& panels, T* carried, T* dh) {
  const std::int64_t padded = padded_units(walk.units);
  for_step(
      walk, dgates, ld, panels, [](std::int64_t, std::int64_t) {},
      [&](const StepResult<T>& t) {
        for (int r = 0; r < t.rows; ++r) add_part(carried + (t.row + r) * padded + t.unit, t.z(r), kLanes<T>);
      });
  store_state(walk, carried, dh);
}

inline bool masked(const Walk& walk, std::int64_t row, std::int64_t step) {
  return walk.mask.data && !*walk.mask.at(row, step);
}

// Asks for `gates` vectors `apart` elements from each other, which a tile needs after its product.
template <class T>
KCORE_INLINE void prefetch(const T* p, int gates, std::int64_t apart) {
  for (int g = 0; g < gates; ++g) __builtin_prefetch(p + g * apart);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
