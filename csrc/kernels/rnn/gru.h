// GRU in both forms of the cell: with the reset gate after the recurrent product (one product a step) or before (two).
#pragma once

#include "kernels/rnn/steps.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// h = z h_prev + (1 - z) g
template <class T>
KCORE_INLINE void gru_mix(const T* z, const T* g, const T* h_prev, T* h) {
#pragma omp simd
  for (int l = 0; l < kLanes<T>; ++l) h[l] = z[l] * h_prev[l] + (T(1) - z[l]) * g[l];
}

template <class Step, class T = typename Step::Value>
void gru_after_step(const GruBlock<T>& b, std::int64_t step, const T* h_prev, T* h) {
  constexpr int L = kLanes<T>;
  const Walk& walk = b.walk;
  const std::int64_t units = walk.units, padded = padded_units(units);
  for_step(
      walk, h_prev, padded, Panels<Step>{b.recurrent, units, units, 3},
      [&](std::int64_t row, std::int64_t unit) { prefetch(b.gates.at(row, step) + unit, 3, units); },
      [&](const StepResult<T>& t) {
        for (int r = 0; r < t.rows; ++r) {
          const T* const gates = b.gates.at(t.row + r, step) + t.unit;
          T* const z = t.z(r);
          for (int g = 0; g < 2; ++g) {
            add_part(z + g * L, gates + g * units, t.count);
            if (b.bias) add_part(z + g * L, b.bias + g * units + t.unit, t.count);
          }
          if (b.bias)
            for (int g = 0; g < 3; ++g) add_part(z + g * L, b.bias + (3 + g) * units + t.unit, t.count);
          sigmoid_vector(z);
          sigmoid_vector(z + L);
        }
        for (int r = 0; r < t.rows; ++r) {
          const std::int64_t row = t.row + r, at = row * padded + t.unit;
          const bool skipped = masked(walk, row, step);
          const T* const z = t.z(r);
          T* const gates = b.gates.at(row, step) + t.unit;
          T g[L];
#pragma omp simd
          for (int l = 0; l < L; ++l) g[l] = z[L + l] * z[2 * L + l];
          add_part(g, gates + 2 * units, t.count);
          if (b.bias) add_part(g, b.bias + 2 * units + t.unit, t.count);
          tanh_vector(g);
          if (skipped)
            copy_part(h + at, h_prev + at, L);
          else
            gru_mix(z, g, h_prev + at, h + at);
          copy_part(b.y.at(row, step) + t.unit, h + at, t.count);
          if (!b.inner.data) continue;
          T* const inner = b.inner.at(row, step) + t.unit;
          if (skipped)
            zero_part(inner, t.count);
          else
            copy_part(inner, z + 2 * L, t.count);
          copy_part(gates, z, t.count);
          copy_part(gates + units, z + L, t.count);
          copy_part(gates + 2 * units, g, t.count);
        }
      });
}

// inner (rows, padded units): room for r h.
template <class Step, class T = typename Step::Value>
void gru_before_step(const GruBlock<T>& b, std::int64_t step, const T* h_prev, T* h, T* inner) {
  constexpr int L = kLanes<T>;
  const Walk& walk = b.walk;
  const std::int64_t units = walk.units, padded = padded_units(units);
  for_step(
      walk, h_prev, padded, Panels<Step>{b.recurrent, units, units, 2},
      [&](std::int64_t row, std::int64_t unit) { prefetch(b.gates.at(row, step) + unit, 3, units); },
      [&](const StepResult<T>& t) {
        for (int r = 0; r < t.rows; ++r) {
          const std::int64_t row = t.row + r, at = row * padded + t.unit;
          T *const z = t.z(r), *const gates = b.gates.at(row, step) + t.unit, *const product = inner + at;
          for (int g = 0; g < 2; ++g) {
            add_part(z + g * L, gates + g * units, t.count);
            if (b.bias) add_part(z + g * L, b.bias + g * units + t.unit, t.count);
            sigmoid_vector(z + g * L);
            copy_part(gates + g * units, z + g * L, t.count);
          }
          const T* const before = h_prev + at;
#pragma omp simd
          for (int l = 0; l < L; ++l) product[l] = z[L + l] * before[l];
          if (masked(walk, row, step)) zero_part(product, L);
          if (b.inner.data) copy_part(b.inner.at(row, step) + t.unit, product, t.count);
        }
      });
  for_step(
      walk, inner, padded, Panels<Step>{b.candidate, units, units, 1}, [](std::int64_t, std::int64_t) {},
      [&](const StepResult<T>& t) {
        for (int r = 0; r < t.rows; ++r) {
          const std::int64_t row = t.row + r, at = row * padded + t.unit;
          T *const g = t.z(r), *const gates = b.gates.at(row, step) + t.unit;
          add_part(g, gates + 2 * units, t.count);
          if (b.bias) add_part(g, b.bias + 2 * units + t.unit, t.count);
          tanh_vector(g);
          T buffer[L];
          if (masked(walk, row, step))
            copy_part(h + at, h_prev + at, L);
          else
            gru_mix(whole(static_cast<const T*>(gates), t.count, buffer), g, h_prev + at, h + at);
          copy_part(gates + 2 * units, g, t.count);
          copy_part(b.y.at(row, step) + t.unit, h + at, t.count);
        }
      });
}

template <class Step, class T = typename Step::Value>
void gru(const GruBlock<T>& b) {
  const Walk& walk = b.walk;
  const std::int64_t state = walk.rows * padded_units(walk.units);
  T *h_prev = b.scratch, *h = b.scratch + state;
  load_state(walk, b.h0, h_prev, padded_units(walk.units));
  walk.team.wait();
  for (std::int64_t step = 0; step < walk.steps; ++step) {
    if (b.reset_after)
      gru_after_step<Step>(b, step, h_prev, h);
    else
      gru_before_step<Step>(b, step, h_prev, h, b.scratch + 2 * state);
    T* const swap = h_prev;
    h_prev = h;
    h = swap;
  }
  store_state(walk, h_prev, padded_units(walk.units), b.h);
}

// dh in: the gradient of h; out: what reaches h_prev through the gate z. d: of z and g before their activations.
template <class T>
KCORE_INLINE void gru_cell_grad(const T* z_, const T* g_, const T* h_prev, T* dh, T* dz, T* dg) {
  constexpr int L = kLanes<T>;
#pragma omp simd
  for (int l = 0; l < L; ++l) {
    const T z = z_[l], g = g_[l];
    dz[l] = dh[l] * (h_prev[l] - g) * z * (T(1) - z);
    dg[l] = dh[l] * (T(1) - z) * (T(1) - g * g);
    dh[l] *= z;
  }
}

template <class Step, class T = typename Step::Value>
void gru_grad(const GruGradBlock<T>& b) {
  constexpr int L = kLanes<T>;
  const Walk& walk = b.walk;
  const std::int64_t units = walk.units, padded = padded_units(units);
  T* const carried = b.scratch;  // what reaches h past the recurrent kernel
  load_state(walk, b.dh, carried, padded);
  walk.team.wait();
  // The gradient of h R: of the gates themselves where the reset gate comes first.
  const Series<T>& drecurrent = b.reset_after ? b.drecurrent : b.dgates;
  const Panels<Step> recurrent{b.recurrent, (b.reset_after ? 3 : 2) * units, units, 1};
  for (std::int64_t step = walk.steps - 1; step >= 0; --step) {
    const T* const later = step + 1 < walk.steps ? drecurrent.at(0, step + 1) : nullptr;
    const Series<const T> h_prev = step == 0 ? Series<const T>{b.h0, units, 0} : b.y;
    for_step(
        walk, later, drecurrent.row, recurrent,
        [&](std::int64_t row, std::int64_t unit) {
          prefetch(b.gates.at(row, step) + unit, 3, units);
          prefetch(b.inner.at(row, step) + unit, 1, 0);
          prefetch(h_prev.at(row, step - 1) + unit, 1, 0);
          if (b.dy.data) prefetch(b.dy.at(row, step) + unit, 1, 0);
        },
        [&](const StepResult<T>& t) {
          for (int row_of_tile = 0; row_of_tile < t.rows; ++row_of_tile) {
            const std::int64_t row = t.row + row_of_tile;
            T *const dh = t.z(row_of_tile), *const carry = carried + row * padded + t.unit;
            T* const dgates = b.dgates.at(row, step) + t.unit;
            add_part(dh, carry, L);
            if (b.dy.data) add_part(dh, b.dy.at(row, step) + t.unit, t.count);
            if (masked(walk, row, step)) {
              for (int g = 0; g < 3; ++g) zero_part(dgates + g * units, t.count);
              if (b.reset_after)
                for (int g = 0; g < 3; ++g) zero_part(b.drecurrent.at(row, step) + t.unit + g * units, t.count);
            } else {
              T d[3 * L], buffer[5 * L];
              const T* const gates = b.gates.at(row, step) + t.unit;
              gru_cell_grad(whole(gates, t.count, buffer), whole(gates + 2 * units, t.count, buffer + L),
                            whole(h_prev.at(row, step - 1) + t.unit, t.count, buffer + 2 * L), dh, d, d + 2 * L);
              copy_part(dgates, d, t.count);
              copy_part(dgates + 2 * units, d + 2 * L, t.count);
              if (b.reset_after) {
                const T* const r = whole(gates + units, t.count, buffer + 3 * L);
                const T* const inner = whole(b.inner.at(row, step) + t.unit, t.count, buffer + 4 * L);
#pragma omp simd
                for (int l = 0; l < L; ++l) {
                  d[L + l] = d[2 * L + l] * inner[l] * r[l] * (T(1) - r[l]);
                  d[2 * L + l] *= r[l];
                }
                copy_part(dgates + units, d + L, t.count);
                T* const to = b.drecurrent.at(row, step) + t.unit;
                for (int g = 0; g < 3; ++g) copy_part(to + g * units, d + g * L, t.count);
              }
            }
            copy_part(carry, dh, L);
          }
        });
    if (b.reset_after) {
      input_grad<Step>(walk, b.input, b.dgates, 3 * units, step);
      continue;
    }
    for_step(
        walk, b.dgates.at(0, step) + 2 * units, b.dgates.row, Panels<Step>{b.candidate, units, units, 1},
        [](std::int64_t, std::int64_t) {},
        [&](const StepResult<T>& t) {
          for (int row_of_tile = 0; row_of_tile < t.rows; ++row_of_tile) {
            const std::int64_t row = t.row + row_of_tile;
            if (masked(walk, row, step)) continue;
            T buffer[2 * L];
            const T* const r = whole(b.gates.at(row, step) + units + t.unit, t.count, buffer);
            const T* const before = whole(h_prev.at(row, step - 1) + t.unit, t.count, buffer + L);
            T *const dinner = t.z(row_of_tile), *const carry = carried + row * padded + t.unit;
#pragma omp simd
            for (int l = 0; l < L; ++l) {
              carry[l] += dinner[l] * r[l];
              dinner[l] *= before[l] * r[l] * (T(1) - r[l]);
            }
            copy_part(b.dgates.at(row, step) + units + t.unit, dinner, t.count);
          }
        });
    input_grad<Step>(walk, b.input, b.dgates, 3 * units, step);
  }
  finish_grad<Step, T>(walk, drecurrent.at(0, 0), drecurrent.row, recurrent, carried, b.dh);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
