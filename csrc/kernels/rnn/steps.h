// A step's product: rows of the state times packed panels, tile by tile, each handed on while it is in L1. And what the
// cells do around it: vectors of units, states.
#pragma once

#include "kernels/rnn/panels.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

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
template <class Step, class Ahead, class Body>
void for_step(const Walk& walk, const typename Step::Value* a, std::int64_t lda, const Panels<Step>& panels,
              const Ahead& ahead, const Body& body) {
  using T = typename Step::Value;
  constexpr int L = kLanes<T>;
  alignas(64) T z[Step::kMostRows * kPanelVectors * L];
  const int panel_total = panel_count<T>(panels.units, panels.gates), team = walk.team.size;
  const std::int64_t rows = walk.rows;
  if (a) Step::prepare(walk.operand, a, lda, rows, panels.k);
  const auto one_panel = [&](int first, int wide, std::size_t offset) {
    const int groups = wide / panels.gates, most = Step::rows_of(wide);
    const std::int64_t tiles = (rows + most - 1) / most;
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int64_t row = tile * rows / tiles, end = (tile + 1) * rows / tiles;
      const int count = static_cast<int>(end - row);
      for (std::int64_t r = row; r < end; ++r)
        for (int g = 0; g < groups; ++g) ahead(r, static_cast<std::int64_t>(first + g) * L);
      if (a) {
        Step::multiply(panels.k, walk.operand, tile, a + row * lda, lda, count,
                       static_cast<const char*>(panels.data) + offset, wide, z);
      } else {
        __builtin_memset(z, 0, static_cast<std::size_t>(count * wide * L) * sizeof(T));
      }
      for (int g = 0; g < groups; ++g) {
        const std::int64_t unit = static_cast<std::int64_t>(first + g) * L, left = panels.units - unit;
        body(StepResult<T>{row, unit, count, static_cast<int>(left < L ? left : L), z + g * panels.gates * L,
                           static_cast<std::int64_t>(wide) * L});
      }
    }
  };
  for_panels<Step>(panels.k, panels.units, panels.gates, panel_total * walk.team.member / team,
                   panel_total * (walk.team.member + 1) / team, one_panel);
  walk.team.wait();
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

// to (rows, padded), rows ld apart, from an array (rows, units). One member of a team does it; the others wait before
// they read.
template <class T>
void load_state(const Walk& walk, const T* from, T* to, std::int64_t ld) {
  if (walk.team.member > 0) return;
  const std::int64_t padded = padded_units(walk.units);
  for (std::int64_t r = 0; r < walk.rows; ++r)
    for (std::int64_t j = 0; j < padded; ++j) to[r * ld + j] = from && j < walk.units ? from[r * walk.units + j] : T(0);
}

template <class T>
void store_state(const Walk& walk, const T* from, std::int64_t ld, T* to) {
  if (walk.team.member > 0) return;
  for (std::int64_t r = 0; r < walk.rows; ++r)
    for (std::int64_t j = 0; j < walk.units; ++j) to[r * walk.units + j] = from[r * ld + j];
}

// A step's rows of x to rows ld apart; by one member, as above.
template <class T>
void load_inputs(const Walk& walk, std::int64_t inputs, const Series<const T>& x, std::int64_t step, T* to,
                 std::int64_t ld) {
  if (walk.team.member > 0 || inputs == 0) return;
  for (std::int64_t r = 0; r < walk.rows; ++r)
    __builtin_memcpy(to + r * ld, x.at(r, step), static_cast<std::size_t>(inputs) * sizeof(T));
}

// The gradient of the first state: `carried` and what the first step's gates pass on.
template <class Step, class T>
void finish_grad(const Walk& walk, const T* dgates, std::int64_t ld, const Panels<Step>& panels, T* carried, T* dh) {
  const std::int64_t padded = padded_units(walk.units);
  for_step(
      walk, dgates, ld, panels, [](std::int64_t, std::int64_t) {},
      [&](const StepResult<T>& t) {
        for (int r = 0; r < t.rows; ++r) add_part(carried + (t.row + r) * padded + t.unit, t.z(r), kLanes<T>);
      });
  store_state(walk, carried, padded, dh);
}

// dx of a step, while the gradients of its `width` gates are in the cache.
template <class Step, class T>
void input_grad(const Walk& walk, const InputGrad<T>& input, const Series<T>& dgates, std::int64_t width,
                std::int64_t step) {
  if (input.inputs == 0) return;
  for_step(
      walk, dgates.at(0, step), dgates.row, Panels<Step>{input.kernel, width, input.inputs, 1},
      [](std::int64_t, std::int64_t) {},
      [&](const StepResult<T>& t) {
        for (int r = 0; r < t.rows; ++r) copy_part(input.dx.at(t.row + r, step) + t.unit, t.z(r), t.count);
      });
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
