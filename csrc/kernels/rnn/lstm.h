// LSTM: the four gates of a vector of units leave the step's product together.
#pragma once

#include "kernels/rnn/steps.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// z: the activated gates i, f, g, o.
template <class T>
KCORE_INLINE void lstm_cell(const T* z, T* c, T* h) {
  constexpr int L = kLanes<T>;
#pragma omp simd
  for (int l = 0; l < L; ++l) {
    c[l] = z[L + l] * c[l] + z[l] * z[2 * L + l];
    h[l] = z[3 * L + l] * tanh_of(c[l]);
  }
}

template <class Step, class T = typename Step::Value>
void lstm(const LstmBlock<T>& b) {
  constexpr int L = kLanes<T>;
  const Walk& walk = b.walk;
  const std::int64_t units = walk.units, padded = padded_units(units);
  // A row of a step's left side is x and h without a gap, h on a whole vector.
  const std::int64_t inputs = b.inputs, before = padded_units(inputs), ld = before + padded;
  const Panels<Step> panels{b.recurrent, inputs + units, units, 4};
  T *h_prev = b.scratch + before, *h = h_prev + walk.rows * ld, *const c = b.scratch + 2 * walk.rows * ld;
  load_state(walk, b.h0, h_prev, ld);
  load_state(walk, b.c0, c, padded);
  load_inputs(walk, inputs, b.x, 0, h_prev - inputs, ld);
  walk.team.wait();
  for (std::int64_t step = 0; step < walk.steps; ++step) {
    if (step + 1 < walk.steps) load_inputs(walk, inputs, b.x, step + 1, h - inputs, ld);
    for_step(
        walk, h_prev - inputs, ld, panels,
        [&](std::int64_t row, std::int64_t unit) {
          if (inputs == 0) prefetch(b.gates.at(row, step) + unit, 4, units);
        },
        [&](const StepResult<T>& t) {
          for (int r = 0; r < t.rows; ++r) {
            T* const z = t.z(r);
            if (inputs == 0) {
              const T* const gates = b.gates.at(t.row + r, step) + t.unit;
              for (int g = 0; g < 4; ++g) add_part(z + g * L, gates + g * units, t.count);
            }
            if (b.bias) {
              for (int g = 0; g < 4; ++g) add_part(z + g * L, b.bias + g * units + t.unit, t.count);
            }
            sigmoid_vector(z);
            sigmoid_vector(z + L);
            tanh_vector(z + 2 * L);
            sigmoid_vector(z + 3 * L);
          }
          for (int r = 0; r < t.rows; ++r) {
            const std::int64_t row = t.row + r, at = row * ld + t.unit;
            if (masked(walk, row, step))
              copy_part(h + at, h_prev + at, L);
            else
              lstm_cell(t.z(r), c + row * padded + t.unit, h + at);
          }
          for (int r = 0; r < t.rows; ++r) {
            const std::int64_t row = t.row + r;
            copy_part(b.y.at(row, step) + t.unit, h + row * ld + t.unit, t.count);
            if (!b.cells.data) continue;
            T* const gates = b.gates.at(row, step) + t.unit;
            for (int g = 0; g < 4; ++g) copy_part(gates + g * units, t.z(r) + g * L, t.count);
            copy_part(b.cells.at(row, step) + t.unit, c + row * padded + t.unit, t.count);
          }
        });
    T* const swap = h_prev;
    h_prev = h;
    h = swap;
  }
  store_state(walk, h_prev, ld, b.h);
  store_state(walk, c, padded, b.c);
}

// dh: the gradient of h, all that reaches it. dc in: of c from later steps; out: for the step before.
template <class T>
KCORE_INLINE void lstm_cell_grad(const T* i_, const T* f_, const T* g_, const T* o_, const T* c_prev, const T* c,
                                 const T* dh, T* dc, T* d) {
  constexpr int L = kLanes<T>;
#pragma omp simd
  for (int l = 0; l < L; ++l) {
    const T i = i_[l], f = f_[l], g = g_[l], o = o_[l];
    const T tanh_c = tanh_of(c[l]);
    const T dcell = dc[l] + dh[l] * o * (T(1) - tanh_c * tanh_c);
    d[l] = dcell * g * i * (T(1) - i);
    d[L + l] = dcell * c_prev[l] * f * (T(1) - f);
    d[2 * L + l] = dcell * i * (T(1) - g * g);
    d[3 * L + l] = dh[l] * tanh_c * o * (T(1) - o);
    dc[l] = dcell * f;
  }
}

template <class Step, class T = typename Step::Value>
void lstm_grad(const LstmGradBlock<T>& b) {
  constexpr int L = kLanes<T>;
  const Walk& walk = b.walk;
  const std::int64_t units = walk.units, padded = padded_units(units), state = walk.rows * padded;
  const Panels<Step> recurrent{b.recurrent, 4 * units, units, 1};
  T *const carried = b.scratch, *const dc = b.scratch + state;  // of the last h and through masked steps; of c
  load_state(walk, b.dh, carried, padded);
  load_state(walk, b.dc, dc, padded);
  walk.team.wait();
  for (std::int64_t step = walk.steps - 1; step >= 0; --step) {
    const T* const later = step + 1 < walk.steps ? b.dgates.at(0, step + 1) : nullptr;
    const Series<const T> c_prev = step == 0 ? Series<const T>{b.c0, units, 0} : b.cells;
    for_step(
        walk, later, b.dgates.row, recurrent,
        [&](std::int64_t row, std::int64_t unit) {
          prefetch(b.gates.at(row, step) + unit, 4, units);
          prefetch(b.cells.at(row, step) + unit, 1, 0);
          if (b.dy.data) prefetch(b.dy.at(row, step) + unit, 1, 0);
        },
        [&](const StepResult<T>& t) {
          for (int r = 0; r < t.rows; ++r) {
            const std::int64_t row = t.row + r, at = row * padded + t.unit;
            T *const dh = t.z(r), *const dgates = b.dgates.at(row, step) + t.unit;
            add_part(dh, carried + at, L);
            if (b.dy.data) add_part(dh, b.dy.at(row, step) + t.unit, t.count);
            if (masked(walk, row, step)) {
              copy_part(carried + at, dh, L);
              for (int g = 0; g < 4; ++g) zero_part(dgates + g * units, t.count);
              continue;
            }
            T d[4 * L], buffer[6 * L];
            const T* const gates = b.gates.at(row, step) + t.unit;
            const T *const i = whole(gates, t.count, buffer), *const f = whole(gates + units, t.count, buffer + L);
            const T* const g = whole(gates + 2 * units, t.count, buffer + 2 * L);
            const T* const o = whole(gates + 3 * units, t.count, buffer + 3 * L);
            lstm_cell_grad(i, f, g, o, whole(c_prev.at(row, step - 1) + t.unit, t.count, buffer + 4 * L),
                           whole(b.cells.at(row, step) + t.unit, t.count, buffer + 5 * L), dh, dc + at, d);
            for (int gate = 0; gate < 4; ++gate) copy_part(dgates + gate * units, d + gate * L, t.count);
            zero_part(carried + at, L);
          }
        });
    input_grad<Step>(walk, b.input, b.dgates, 4 * units, step);
  }
  finish_grad<Step, T>(walk, b.dgates.at(0, 0), b.dgates.row, recurrent, carried, b.dh);
  store_state(walk, dc, padded, b.dc);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
