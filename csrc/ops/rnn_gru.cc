// GRU over time, forward and backward, in both forms of the cell. Gates in Keras's order z, r, g (the candidate).
#include "ops/rnn.h"

namespace kcore::ops {

void infer(const gru& op, Infer& c) {
  infer_rnn(c, {.c0 = -1, .kernel = 2, .bias = 4, .mask = 5, .gates = 3, .bias_rows = op.reset_after ? 2 : 1});
  const std::int64_t batch = c.shape(0)[0], steps = c.shape(0)[1], units = c.shape(3)[0];
  c.out(c.dtype(0), {batch, steps, units});
  c.out(c.dtype(0), {batch, units});
  c.out(c.dtype(0), {batch, steps, 3 * units});  // gates, in the order of time
  c.out(c.dtype(0), {batch, steps, units});      // inner, in the order of time
}

void run(const gru& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 2, 5, op.go_backwards);
    const std::int64_t units = seq.units, width = 3 * units;
    const T *h0 = c.input<T>(1), *kernel = c.input<T>(2), *recurrent_kernel = c.input<T>(3);
    T *y = c.output<T>(0), *gates = c.output<T>(2), *inner = c.output<T>(3);
    T* recurrent = c.scratch<T>(seq.batch * width);
    matrix_product<T>(c, seq.batch * seq.steps, width, seq.features, {c.input<T>(0), seq.features}, {kernel, width},
                      gates, width);
    const std::int64_t first = op.reset_after ? width : 2 * units;  // columns of R that meet h_prev itself
    seq.for_blocks([&](const Sequence::Block& block) {
      for (std::int64_t step = 0; step < seq.steps; ++step) {
        const auto h_prev = block.before<T>(y, h0, step);
        const auto rec = block.of(recurrent, width);
        const GruStep<T> s{
            block.shape(step), op.reset_after, block.at(gates, seq.time(step), width), {rec.data, rec.ld},
            c.input<T>(4),     h_prev,         block.at(inner, seq.time(step), units), block.at(y, step, units)};
        step_product<T>(c, block.rows, first, units, {h_prev.data, h_prev.ld}, {recurrent_kernel, width}, rec.data,
                        rec.ld);
        rnn_steps<T>().gru_gates(s);
        if (!op.reset_after)
          step_product<T>(c, block.rows, units, units, {s.inner.data, s.inner.ld},
                          {recurrent_kernel + 2 * units, width}, rec.data + 2 * units, rec.ld);
        rnn_steps<T>().gru_output(s);
      }
    });
    copy_step(seq, y, seq.steps - 1, c.output<T>(1));
  });
}

void infer(const gru_grad& op, Infer& c) {
  infer_rnn(c, {.c0 = -1, .kernel = 2, .bias = 4, .mask = 5, .gates = 3, .bias_rows = op.reset_after ? 2 : 1});
  const std::int64_t batch = c.shape(0)[0], steps = c.shape(0)[1], units = c.shape(3)[0];
  c.require_shape(6, {batch, steps, units});
  c.require_shape(7, {batch, steps, 3 * units});
  c.require_shape(8, {batch, steps, units});
  if (c.has(9)) c.require_shape(9, {batch, steps, units});
  if (c.has(10)) c.require_shape(10, {batch, units});
  for (int i = 0; i < 4; ++i) c.out(c.in(i));
  c.out(c.dtype(0), op.reset_after ? Shape{2, 3 * units} : Shape{3 * units});
}

void run(const gru_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 2, 5, op.go_backwards);
    const std::int64_t units = seq.units, width = 3 * units, rows = seq.batch * seq.steps, state = seq.batch * units;
    const T *x = c.input<T>(0), *h0 = c.input<T>(1), *kernel = c.input<T>(2), *recurrent_kernel = c.input<T>(3);
    const T *y = c.input<T>(6), *gates = c.input<T>(7), *inner = c.input<T>(8), *dy = c.input<T>(9);
    T* dh = copy_or_zeros<T>(c, 10, state);
    T *dh_recurrent = zero_scratch<T>(c, state), *dinner = c.scratch<T>(state);
    T* dgates = c.scratch<T>(rows * width);
    T* drecurrent = op.reset_after ? c.scratch<T>(rows * width) : dgates;
    const std::int64_t first = op.reset_after ? width : 2 * units;
    seq.for_blocks([&](const Sequence::Block& block) {
      for (std::int64_t step = seq.steps - 1; step >= 0; --step) {
        const std::int64_t t = seq.time(step);
        const auto rec = block.of(dh_recurrent, units), din = block.of(dinner, units);
        const auto d = block.at(dgates, t, width), drec = block.at(drecurrent, t, width);
        const GruGradStep<T> s{block.shape(step),
                               op.reset_after,
                               block.at(gates, t, width),
                               block.at(inner, t, units),
                               block.before(y, h0, step),
                               block.at(dy, step, units),
                               {rec.data, rec.ld},
                               block.of(dh, units),
                               d,
                               drec,
                               {din.data, din.ld}};
        rnn_steps<T>().gru_output_grad(s);
        if (!op.reset_after) {
          step_product<T>(c, block.rows, units, units, {d.data + 2 * units, d.ld},
                          {recurrent_kernel + 2 * units, width, true}, din.data, din.ld);
          rnn_steps<T>().gru_reset_grad(s);
        }
        step_product<T>(c, block.rows, units, first, {drec.data, drec.ld}, {recurrent_kernel, width, true}, rec.data,
                        rec.ld);
      }
    });
    add_to(dh_recurrent, dh, state);
    std::copy_n(dh, state, c.output<T>(1));
    const T* h_prev = states_before(c, seq, y, h0);
    T *dkernel = c.output<T>(2), *drecurrent_kernel = c.output<T>(3);
    matrix_product<T>(c, rows, seq.features, width, {dgates, width}, {kernel, width, true}, c.output<T>(0),
                      seq.features);
    matrix_product<T>(c, seq.features, width, rows, {x, seq.features, true}, {dgates, width}, dkernel, width);
    matrix_product<T>(c, units, first, rows, {h_prev, units, true}, {drecurrent, width}, drecurrent_kernel, width);
    if (!op.reset_after)
      matrix_product<T>(c, units, units, rows, {inner, units, true}, {dgates + 2 * units, width},
                        drecurrent_kernel + 2 * units, width);
    column_sums(rows, width, dgates, c.output<T>(4));
    if (op.reset_after) column_sums(rows, width, drecurrent, c.output<T>(4) + width);
  });
}

}  // namespace kcore::ops
