// What the recurrent ops share: the layout of a sequence, the split of the batch, and matrix products.
// The recurrence of one sample never meets another's, nor one direction the other, so blocks of the batch run through
// time in parallel; the products over all steps (weight gradients, and those with x where blocks have few rows) are
// single large ones.
#pragma once

#include <algorithm>

#include "base/parallel.h"
#include "kernels/reduce/reduce.h"
#include "kernels/rnn/rnn.h"
#include "ops/gemm.h"

namespace kcore::ops {

// C (m, n) = op(A) (m, k) op(B) (k, n) + residual, which has the layout of C and other memory.
template <class T>
void matrix_product(Run& c, std::int64_t m, std::int64_t n, std::int64_t k, kernels::Matrix<T> a, kernels::Matrix<T> b,
                    T* y, std::int64_t ldy, const T* residual = nullptr) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) y[i * ldy + j] = residual ? residual[i * ldy + j] : T(0);
    return;
  }
  const auto& kernels = gemm_kernels<T>(choose_gemm<T>(c, m, n, k));
  const kernels::Epilogue<T> sum{.residual = residual, .ld_residual = ldy};
  run_gemm(
      c, GemmPlan(m, n, k), y, 0, ldy, [&](std::int64_t) { return sum; },
      [&](std::int64_t, const kernels::GemmRange& range, T* out, std::int64_t ldout,
          const kernels::Epilogue<T>& epilogue,
          void* scratch) { kernels.block(a, b, out, ldout, range, epilogue, scratch); });
}

// Checks x (batch, steps, features), h0, kernel, recurrent_kernel for `gates` gates, starting at input 0, and a bias of
// `bias_rows` rows (1: a vector). -1 for an input that the op does not have. All but x and mask may have a leading axis
// of two directions.
struct RnnInputs {
  int c0, kernel, bias, mask;
  std::int64_t gates, bias_rows;
};

// The sizes of an op whose inputs were checked, and shapes with an axis of directions in front where there are two.
struct RnnShape {
  std::int64_t directions, batch, steps, features, units;

  Shape each(const Shape& shape) const {
    if (directions == 1) return shape;
    Shape both{2};
    for (std::int64_t dim : shape) both.push_back(dim);
    return both;
  }
  Shape y() const { return {batch, steps, directions * units}; }
  Shape series(std::int64_t width) const { return each({batch, steps, width}); }
  Shape state() const { return each({batch, units}); }
};
RnnShape infer_rnn(Infer& c, const RnnInputs& inputs);

template <class T>
const RnnFunctions<T>& rnn_functions(const kernels::GemmKernel& multiplier) {
  const RnnKernels& table = kernels::rnn(multiplier.isa);
  if constexpr (std::is_same_v<T, double>)
    return table.f64;
  else
    return table.f32[static_cast<int>(multiplier.arithmetic)];
}

// Sizes and the order of time. Step s of the processing reads time(s) of x.
//
// The second of two directions runs against the first. With one direction y is in the order of processing; with two,
// both halves of its last axis are in the order of time.
struct Sequence {
  std::int64_t directions, batch, steps, features, units;
  bool go_backwards;
  const bool* mask;
  const kernels::GemmKernel& multiplier;  // of the steps

  Sequence(const Run& c, int kernel, int mask_input, bool go_backwards)
      : directions(c.shape(kernel).rank() == 3 ? 2 : 1),
        batch(c.shape(0)[0]),
        steps(c.shape(0)[1]),
        features(c.shape(0)[2]),
        units(c.shape(kernel + 1).last(1)),
        go_backwards(go_backwards),
        mask(c.has(mask_input) ? c.input<bool>(mask_input) : nullptr),
        multiplier(choose_gemm({selected_isa(), c.precision(), c.dtype(0) == DType::float32,
                                (batch + tiled_blocks() - 1) / tiled_blocks(), units, units})) {}

  std::int64_t rows() const { return batch * steps; }
  std::int64_t state() const { return batch * units; }
  bool backwards(std::int64_t direction) const { return go_backwards != (direction == 1); }

  // Rows [first, first + rows) of the batch in one direction.
  struct Block {
    const Sequence& s;
    std::int64_t direction, first, rows;
    Team team;
    void* operand;

    Walk walk() const { return {rows, s.units, s.steps, timed(s.mask, 1), team, operand}; }
    // An array (directions, batch, width).
    template <class T>
    T* of(T* data, std::int64_t width) const {
      return data ? data + (direction * s.batch + first) * width : nullptr;
    }
    // An array (directions, n), the same for all rows.
    template <class T>
    const T* weight(const T* data, std::int64_t n) const {
      return data ? data + direction * n : nullptr;
    }
    // An array (batch, steps, width) in the order of time.
    template <class T>
    Series<T> timed(T* data, std::int64_t width) const {
      const bool back = s.backwards(direction);
      return {data ? data + (first * s.steps + (back ? s.steps - 1 : 0)) * width : nullptr, s.steps * width,
              back ? -width : width};
    }
    // An array (directions, batch, steps, width) in the order of time; of processing.
    template <class T>
    Series<T> by_time(T* data, std::int64_t width) const {
      return timed(data ? data + direction * s.rows() * width : nullptr, width);
    }
    template <class T>
    Series<T> by_step(T* data, std::int64_t width) const {
      return {of(data, s.steps * width), s.steps * width, width};
    }
    // y and its gradient.
    template <class T>
    Series<T> outputs(T* data) const {
      if (s.directions == 1) return by_step(data, s.units);
      return timed(data ? data + direction * s.units : nullptr, 2 * s.units);
    }
    template <class T>
    T* scratch(T* data, std::int64_t inputs = 0) const {
      return of(data, rnn_scratch(1, s.units, inputs));
    }
  };

  // Calls body(block), in parallel; k is the longest of a step's products. A single block is walked by a team where a
  // step is long enough to meet after it.
  template <class T, class Body>
  void for_blocks(Run& c, std::int64_t k, Body&& body) const {
    const std::int64_t count = blocks(), all = directions * count;
    const auto most = static_cast<int>(std::min<std::int64_t>(8, batch * units * units / kTeamStep));
    const std::size_t bytes = rnn_functions<T>(multiplier).operand_bytes((batch + count - 1) / count, k);
    char* const operands = bytes ? c.scratch<char>((all == 1 ? std::max(1, most) : all) * bytes) : nullptr;
    const auto operand = [&](std::int64_t i) {
      return operands ? operands + static_cast<std::size_t>(i) * bytes : nullptr;
    };
    if (all == 1) {
      parallel_team(most, [&](const Team& team) { body(Block{*this, 0, 0, batch, team, operand(team.member)}); });
      return;
    }
    parallel_for(all, [&](std::int64_t i) {
      const std::int64_t direction = i / count, first = i % count * batch / count;
      body(Block{*this, direction, first, (i % count + 1) * batch / count - first, {}, operand(i)});
    });
  }

  // Into how many blocks the batch is cut: a power of two, so that as many threads get equal shares. Every block reads
  // the recurrent kernel in every step.
  std::int64_t blocks() const {
    if (multiplier.arithmetic != kernels::Arithmetic::fma) return tiled_blocks();
    // 16 rows are three tiles that read a panel from L2 after the first.
    return blocks_of(32);
  }
  // How many features the steps multiply, together with the state: all, where a block has rows enough to bound that by
  // arithmetic. What x W would take to memory and back then stays in registers. Else none: x W is one product before.
  std::int64_t inputs_of_steps() const {
    return multiplier.arithmetic == kernels::Arithmetic::fma && batch >= 8 * blocks() ? features : 0;
  }
  // Four blocks of a whole tile's rows, then more of two tiles' rows, which load less for each product.
  std::int64_t tiled_blocks() const { return std::max(std::min<std::int64_t>(4, blocks_of(32)), blocks_of(64)); }
  // Halved while there are `rows` or more.
  std::int64_t blocks_of(std::int64_t rows) const {
    std::int64_t count = batch < 8 ? 1 : 2;
    while (count > 1 && batch >= rows * count) count *= 2;
    return count;
  }
  // Rows times units squared of a member's share of a step: more than a microsecond.
  static constexpr std::int64_t kTeamStep = 8192;

  template <class T>
  T* scratch(Run& c, std::int64_t inputs = 0) const {
    return c.scratch<T>(directions * rnn_scratch(batch, units, inputs));
  }
};

// Packed recurrent matrices, one a direction; `matrix` is that of the first, the second's data is `apart` behind it,
// and its input kernel `inputs_apart`.
struct PackedRecurrent {
  const char* data;
  std::size_t size;
  const void* of(const Sequence::Block& block) const { return data + static_cast<std::size_t>(block.direction) * size; }
};
template <class T>
PackedRecurrent pack_recurrent(Run& c, const Sequence& s, RecurrentMatrix<T> matrix, std::int64_t apart,
                               std::int64_t inputs_apart = 0) {
  const auto& kernels = rnn_functions<T>(s.multiplier);
  const std::size_t size = kernels.packed_bytes(matrix.k, matrix.units, matrix.gates);
  char* const packed = c.scratch<char>(s.directions * static_cast<std::int64_t>(size));
  const std::int64_t row = matrix.gates * padded_units(matrix.units);
  const std::int64_t grain =
      std::max(kRnnPackRows, grain_for(0.15 * static_cast<double>(row)) / kRnnPackRows * kRnnPackRows);
  for (std::int64_t d = 0; d < s.directions; ++d, matrix.data += apart, matrix.input += inputs_apart)
    parallel_ranges(matrix.k, grain, [&](std::int64_t k0, std::int64_t k1) {
      kernels.pack(matrix, packed + static_cast<std::size_t>(d) * size, k0, k1);
    });
  return {packed, size};
}

// The state before each step, (directions, batch, steps, units) in the order of time: the left side of the recurrent
// kernel's gradient.
template <class T>
const T* states_before(Run& c, const Sequence& s, const T* y, const T* h0) {
  T* const out = c.scratch<T>(s.directions * s.rows() * s.units);
  const std::int64_t grain = grain_for(0.2 * static_cast<double>(s.steps * s.units));
  parallel_ranges(s.directions * s.batch, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Sequence::Block block{s, i / s.batch, i % s.batch, 1, {}, nullptr};
      const auto from = block.outputs(y);
      const auto to = block.by_time(out, s.units);
      std::copy_n(block.of(h0, s.units), s.units, to.at(0, 0));
      for (std::int64_t step = 1; step < s.steps; ++step) std::copy_n(from.at(0, step - 1), s.units, to.at(0, step));
    }
  });
  return out;
}

// An output that starts as a copy of an input, or as zeros if that is absent.
template <class T>
T* copied_output(Run& c, int output, int input, std::int64_t n) {
  T* const out = c.output<T>(output);
  if (c.has(input))
    std::copy_n(c.input<T>(input), n, out);
  else
    std::fill_n(out, n, T(0));
  return out;
}

// x W for every direction: (directions, batch, steps, width).
template <class T>
void project(Run& c, const Sequence& s, std::int64_t width, const T* x, const T* kernel, T* out) {
  for (std::int64_t d = 0; d < s.directions; ++d)
    matrix_product<T>(c, s.rows(), width, s.features, {x, s.features}, {kernel + d * s.features * width, width},
                      out + d * s.rows() * width, width);
}

// Where the gradient of x comes from: the steps, or one product after them.
template <class T>
class InputGradient {
 public:
  InputGradient(Run& c, const Sequence& s, std::int64_t width, const T* kernel, T* dx)
      : s_(s), width_(width), inputs_(s.inputs_of_steps()), kernel_(kernel), dx_(dx) {
    if (s.directions == 2) first_ = c.scratch<T>(s.rows() * s.features);
    if (inputs_ > 0) packed_ = pack_recurrent<T>(c, s, {kernel, width, true, width, s.features, 1}, s.features * width);
  }

  InputGrad<T> of(const Sequence::Block& block) const {
    if (inputs_ == 0) return {};
    return {inputs_, packed_.of(block), block.timed(first_ && block.direction == 0 ? first_ : dx_, inputs_)};
  }

  // dgates (directions, batch, steps, width), of all steps.
  void finish(Run& c, const T* dgates) const {
    if (inputs_ > 0) {
      const std::int64_t n = s_.rows() * inputs_;
      for (std::int64_t d = 1; d < s_.directions; ++d)
        parallel_ranges(n, grain_for(0.3), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) dx_[i] += first_[i];
        });
      return;
    }
    for (std::int64_t d = 0; d < s_.directions; ++d)
      matrix_product<T>(c, s_.rows(), s_.features, width_, {dgates + d * s_.rows() * width_, width_},
                        {kernel_ + d * s_.features * width_, width_, true}, d + 1 < s_.directions ? first_ : dx_,
                        s_.features, d > 0 ? first_ : nullptr);
  }

 private:
  const Sequence& s_;
  std::int64_t width_, inputs_;
  const T* kernel_;
  T *dx_, *first_ = nullptr;  // first_: of the first of two directions
  PackedRecurrent packed_{};
};

// The gradient of the input kernel from those of the gates, (directions, batch, steps, width).
template <class T>
void kernel_gradients(Run& c, const Sequence& s, std::int64_t width, const T* x, const T* dgates, T* out) {
  for (std::int64_t d = 0; d < s.directions; ++d)
    matrix_product<T>(c, s.features, width, s.rows(), {x, s.features, true}, {dgates + d * s.rows() * width, width},
                      out + d * s.features * width, width);
}

// Columns [first, last) of the `width` of a recurrent kernel and of its gates.
struct GateColumns {
  std::int64_t width, first, last;
};
// The gradient of those columns; `states` (directions, batch, steps, units) is what met them.
template <class T>
void recurrent_gradients(Run& c, const Sequence& s, GateColumns columns, const T* states, const T* dgates, T* out) {
  const std::int64_t width = columns.width;
  for (std::int64_t d = 0; d < s.directions; ++d)
    matrix_product<T>(
        c, s.units, columns.last - columns.first, s.rows(), {states + d * s.rows() * s.units, s.units, true},
        {dgates + d * s.rows() * width + columns.first, width}, out + d * s.units * width + columns.first, width);
}

// Sums over all rows of the gates, blocks of them at a time; the results of the directions are `apart` from each other.
template <class T>
void bias_gradients(Run& c, const Sequence& s, std::int64_t width, const T* dgates, T* out, std::int64_t apart) {
  constexpr std::int64_t kRows = 256;
  const auto add_up =
      kernels::reduce().columns[static_cast<int>(kernels::Reduction::sum)][static_cast<int>(dtype_of<T>)];
  const std::int64_t blocks = (s.rows() + kRows - 1) / kRows;
  T* const sums = c.scratch<T>(blocks * width);
  for (std::int64_t d = 0; d < s.directions; ++d) {
    parallel_ranges(s.rows(), kRows, [&](std::int64_t begin, std::int64_t end) {
      add_up(dgates + (d * s.rows() + begin) * width, end - begin, width, width, sums + begin / kRows * width);
    });
    add_up(sums, blocks, width, width, out + d * apart);
  }
}

}  // namespace kcore::ops
