// What the recurrent ops share: the layout of a sequence, the split of the batch, and matrix products.
// The recurrence of one sample never meets another's, so blocks of the batch run through time in parallel; the products
// over all steps (input projection, weight gradients) are single large ones.
#pragma once

#include <algorithm>

#include "base/parallel.h"
#include "kernels/rnn/rnn.h"
#include "ops/gemm.h"

namespace kcore::ops {

inline constexpr std::int64_t kBatchBlock = 16;

// C (m, n) = op(A) (m, k) op(B) (k, n). K is cut among threads only where the Run may be asked for memory: outside of
// blocks.
template <class T>
void matrix_product(Run& c, std::int64_t m, std::int64_t n, std::int64_t k, kernels::Matrix<T> a, kernels::Matrix<T> b,
                    T* y, std::int64_t ldy, bool cut_k = true) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (std::int64_t i = 0; i < m; ++i) std::fill_n(y + i * ldy, n, T(0));
    return;
  }
  const auto& kernels = gemm_kernels<T>();
  run_gemm(c, GemmPlan(m, n, k, 1, cut_k), y, 0, ldy,
           [&](std::int64_t, const kernels::GemmRange& range, T* out, std::int64_t ldout,
               const kernels::Epilogue<T>& epilogue,
               void* scratch) { kernels.block(a, b, out, ldout, range, epilogue, scratch); });
}

// The same for one step of a block of the batch.
template <class T>
void step_product(Run& c, std::int64_t m, std::int64_t n, std::int64_t k, kernels::Matrix<T> a, kernels::Matrix<T> b,
                  T* y, std::int64_t ldy) {
  matrix_product(c, m, n, k, a, b, y, ldy, false);
}

// Checks x (batch, steps, features), h0, kernel, recurrent_kernel for `gates` gates, starting at input 0, and a bias of
// `bias_rows` rows. -1 for an input that the op does not have.
struct RnnInputs {
  int c0, kernel, bias, mask;
  std::int64_t gates, bias_rows;
};
void infer_rnn(Infer& c, const RnnInputs& inputs);

// Sizes and the order of time. Step s of the processing reads time(s) of x; the rows of y are in processing order.
struct Sequence {
  std::int64_t batch, steps, features, units;
  bool backwards;
  const bool* mask;

  Sequence(const Run& c, int kernel, int mask_input, bool go_backwards)
      : batch(c.shape(0)[0]),
        steps(c.shape(0)[1]),
        features(c.shape(0)[2]),
        units(c.shape(kernel + 1)[0]),
        backwards(go_backwards),
        mask(c.has(mask_input) ? c.input<bool>(mask_input) : nullptr) {}

  std::int64_t time(std::int64_t step) const { return backwards ? steps - 1 - step : step; }
  std::int64_t blocks() const { return (batch + kBatchBlock - 1) / kBatchBlock; }

  // A block of the batch.
  struct Block {
    const Sequence& sequence;
    std::int64_t first, rows;

    StepShape shape(std::int64_t step) const {
      const auto& s = sequence;
      return {rows, s.units, {s.mask ? s.mask + first * s.steps + s.time(step) : nullptr, s.steps}};
    }
    // Rows of an array (batch, steps, width) at index t of its second axis.
    template <class T>
    Rows<T> at(T* data, std::int64_t t, std::int64_t width) const {
      return {data ? data + (first * sequence.steps + t) * width : nullptr, sequence.steps * width};
    }
    // Rows of an array (batch, width).
    template <class T>
    Rows<T> of(T* data, std::int64_t width) const {
      return {data + first * width, width};
    }
    // The state before a step: `states` (batch, steps, units) in processing order, `initial` (batch, units).
    template <class T>
    Rows<const T> before(const T* states, const T* initial, std::int64_t step) const {
      return step == 0 ? of(initial, sequence.units) : at(states, step - 1, sequence.units);
    }
  };

  // Calls body(block), in parallel.
  template <class Body>
  void for_blocks(Body&& body) const {
    parallel_for(blocks(), [&](std::int64_t i) {
      body(Block{*this, i * kBatchBlock, std::min(kBatchBlock, batch - i * kBatchBlock)});
    });
  }
};

// The state before each step, (batch, steps, units) in the order of time: the left side of the recurrent kernel's
// gradient.
template <class T>
const T* states_before(Run& c, const Sequence& sequence, const T* y, const T* initial) {
  T* out = c.scratch<T>(sequence.batch * sequence.steps * sequence.units);
  sequence.for_blocks([&](const Sequence::Block& block) {
    for (std::int64_t step = 0; step < sequence.steps; ++step) {
      const auto from = block.before(y, initial, step);
      const auto to = block.at(out, sequence.time(step), sequence.units);
      for (std::int64_t row = 0; row < block.rows; ++row) std::copy_n(from[row], sequence.units, to[row]);
    }
  });
  return out;
}

// y (batch, steps, units), step -> out (batch, units).
template <class T>
void copy_step(const Sequence& sequence, const T* y, std::int64_t step, T* out) {
  for (std::int64_t b = 0; b < sequence.batch; ++b)
    std::copy_n(y + (b * sequence.steps + step) * sequence.units, sequence.units, out + b * sequence.units);
}

template <class T>
void add_to(const T* x, T* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += x[i];
}

// A working copy of an input, zeros if it is absent.
template <class T>
T* copy_or_zeros(Run& c, int input, std::int64_t n) {
  T* out = c.scratch<T>(n);
  if (c.has(input))
    std::copy_n(c.input<T>(input), n, out);
  else
    std::fill_n(out, n, T(0));
  return out;
}

template <class T>
T* zero_scratch(Run& c, std::int64_t n) {
  T* out = c.scratch<T>(n);
  std::fill_n(out, n, T(0));
  return out;
}

// out[j] = sum over rows of x[row, j], in double.
template <class T>
void column_sums(std::int64_t rows, std::int64_t columns, const T* x, T* out) {
  constexpr std::int64_t kWidth = 32;
  parallel_ranges(columns, kWidth, [&](std::int64_t begin, std::int64_t end) {
    double sums[kWidth] = {};
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t j = begin; j < end; ++j) sums[j - begin] += static_cast<double>(x[row * columns + j]);
    for (std::int64_t j = begin; j < end; ++j) out[j] = static_cast<T>(sums[j - begin]);
  });
}

template <class T>
const RnnSteps<T>& rnn_steps() {
  if constexpr (std::is_same_v<T, double>)
    return kernels::rnn().f64;
  else
    return kernels::rnn().f32;
}

}  // namespace kcore::ops
