// SimpleRNN: h = activation(x W + h R + bias).
#pragma once

#include "kernels/rnn/steps.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
KCORE_INLINE void simple_cell(Activation activation, T* h) {
  constexpr int L = kLanes<T>;
  switch (activation) {
    case Activation::linear: return;
    case Activation::relu:
      for (int l = 0; l < L; ++l) h[l] = h[l] < T(0) ? T(0) : h[l];  // NaN stays
      return;
    case Activation::sigmoid:
#pragma omp simd
      for (int l = 0; l < L; ++l) h[l] = sigmoid_of(h[l]);
      return;
    case Activation::tanh:
#pragma omp simd
      for (int l = 0; l < L; ++l) h[l] = tanh_of(h[l]);
      return;
  }
}

template <class Step, class T = typename Step::Value>
void simple(const SimpleRnnBlock<T>& b) {
  const Walk& walk = b.walk;
  const std::int64_t units = walk.units, inputs = b.inputs;
  // A row of a step's left side is x and h without a gap, h on a whole vector.
  const std::int64_t before = padded_units(inputs), ld = before + padded_units(units);
  T *h_prev = b.scratch + before, *h = h_prev + walk.rows * ld;
  load_state(walk, b.h0, h_prev, ld);
  load_inputs(walk, inputs, b.x, 0, h_prev - inputs, ld);
  walk.team.wait();
  for (std::int64_t step = 0; step < walk.steps; ++step) {
    if (step + 1 < walk.steps) load_inputs(walk, inputs, b.x, step + 1, h - inputs, ld);
    for_step(
        walk, h_prev - inputs, ld, Panels<Step>{b.recurrent, inputs + units, units, 1},
        [&](std::int64_t row, std::int64_t unit) {
          if (inputs == 0) prefetch(b.projected.at(row, step) + unit, 1, 0);
        },
        [&](const StepResult<T>& t) {
          for (int r = 0; r < t.rows; ++r) {
            const std::int64_t row = t.row + r, at = row * ld + t.unit;
            T* const z = t.z(r);
            if (masked(walk, row, step)) {
              copy_part(h + at, h_prev + at, kLanes<T>);
            } else {
              if (inputs == 0) add_part(z, b.projected.at(row, step) + t.unit, t.count);
              if (b.bias) add_part(z, b.bias + t.unit, t.count);
              simple_cell(b.activation, z);
              copy_part(h + at, z, kLanes<T>);
            }
            copy_part(b.y.at(row, step) + t.unit, h + at, t.count);
          }
        });
    T* const swap = h_prev;
    h_prev = h;
    h = swap;
  }
  store_state(walk, h_prev, ld, b.h);
}

// The slope of the activation where its value is h.
template <class T>
KCORE_INLINE T slope_at(Activation activation, T h) {
  switch (activation) {
    case Activation::linear: break;
    case Activation::relu: return h > T(0) ? T(1) : T(0);
    case Activation::sigmoid: return h * (T(1) - h);
    case Activation::tanh: return T(1) - h * h;
  }
  return T(1);
}

template <class Step, class T = typename Step::Value>
void simple_grad(const SimpleRnnGradBlock<T>& b) {
  const Walk& walk = b.walk;
  const std::int64_t units = walk.units, padded = padded_units(units);
  const Panels<Step> recurrent{b.recurrent, units, units, 1};
  T* const carried = b.scratch;  // of the last h and through masked steps
  load_state(walk, b.dh, carried, padded);
  walk.team.wait();
  for (std::int64_t step = walk.steps - 1; step >= 0; --step) {
    const T* const later = step + 1 < walk.steps ? b.dz.at(0, step + 1) : nullptr;
    for_step(
        walk, later, b.dz.row, recurrent,
        [&](std::int64_t row, std::int64_t unit) {
          prefetch(b.y.at(row, step) + unit, 1, 0);
          if (b.dy.data) prefetch(b.dy.at(row, step) + unit, 1, 0);
        },
        [&](const StepResult<T>& t) {
          for (int r = 0; r < t.rows; ++r) {
            const std::int64_t row = t.row + r;
            T *const carry = carried + row * padded + t.unit, *const dz = b.dz.at(row, step) + t.unit;
            T* const dh = t.z(r);
            add_part(dh, carry, kLanes<T>);
            if (b.dy.data) add_part(dh, b.dy.at(row, step) + t.unit, t.count);
            if (masked(walk, row, step)) {
              copy_part(carry, dh, kLanes<T>);
              zero_part(dz, t.count);
              continue;
            }
            const T* const h = b.y.at(row, step) + t.unit;
            for (int l = 0; l < t.count; ++l) dz[l] = dh[l] * slope_at(b.activation, h[l]);
            zero_part(carry, kLanes<T>);
          }
        });
    input_grad<Step>(walk, b.input, b.dz, units, step);
  }
  finish_grad<Step, T>(walk, b.dz.at(0, 0), b.dz.row, recurrent, carried, b.dh);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
