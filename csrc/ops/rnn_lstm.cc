// LSTM over time, forward and backward. Gates in Keras's order i, f, g (the candidate), o.
#include "ops/rnn.h"

namespace kcore::ops {

void infer(const lstm&, Infer& c) {
  infer_rnn(c, {.c0 = 2, .kernel = 3, .bias = 5, .mask = 6, .gates = 4, .bias_rows = 1});
  const std::int64_t batch = c.shape(0)[0], steps = c.shape(0)[1], units = c.shape(4)[0];
  c.out(c.dtype(0), {batch, steps, units});
  c.out(c.dtype(0), {batch, units});
  c.out(c.dtype(0), {batch, units});
  c.out(c.dtype(0), {batch, steps, 4 * units});  // gates, in the order of time
  c.out(c.dtype(0), {batch, steps, units});      // cell states, in processing order
}

void run(const lstm& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 3, 6, op.go_backwards);
    const std::int64_t units = seq.units, width = 4 * units;
    const T *h0 = c.input<T>(1), *c0 = c.input<T>(2), *kernel = c.input<T>(3), *recurrent_kernel = c.input<T>(4);
    T *y = c.output<T>(0), *gates = c.output<T>(3), *cells = c.output<T>(4);
    T* recurrent = c.scratch<T>(seq.batch * width);
    matrix_product<T>(c, seq.batch * seq.steps, width, seq.features, {c.input<T>(0), seq.features}, {kernel, width},
                      gates, width);
    seq.for_blocks([&](const Sequence::Block& block) {
      for (std::int64_t step = 0; step < seq.steps; ++step) {
        const auto h_prev = block.before<T>(y, h0, step);
        const auto rec = block.of(recurrent, width);
        step_product<T>(c, block.rows, width, units, {h_prev.data, h_prev.ld}, {recurrent_kernel, width}, rec.data,
                        rec.ld);
        rnn_steps<T>().lstm({block.shape(step),
                             block.at(gates, seq.time(step), width),
                             {rec.data, rec.ld},
                             c.input<T>(5),
                             h_prev,
                             block.before<T>(cells, c0, step),
                             block.at(y, step, units),
                             block.at(cells, step, units)});
      }
    });
    copy_step(seq, y, seq.steps - 1, c.output<T>(1));
    copy_step(seq, cells, seq.steps - 1, c.output<T>(2));
  });
}

void infer(const lstm_grad&, Infer& c) {
  infer_rnn(c, {.c0 = 2, .kernel = 3, .bias = 5, .mask = 6, .gates = 4, .bias_rows = 1});
  const std::int64_t batch = c.shape(0)[0], steps = c.shape(0)[1], units = c.shape(4)[0];
  c.require_shape(7, {batch, steps, units});
  c.require_shape(8, {batch, steps, 4 * units});
  c.require_shape(9, {batch, steps, units});
  if (c.has(10)) c.require_shape(10, {batch, steps, units});
  for (int i = 11; i <= 12; ++i)
    if (c.has(i)) c.require_shape(i, {batch, units});
  for (int i = 0; i < 5; ++i) c.out(c.in(i));
  c.out(c.dtype(0), {4 * units});
}

void run(const lstm_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 3, 6, op.go_backwards);
    const std::int64_t units = seq.units, width = 4 * units, rows = seq.batch * seq.steps, state = seq.batch * units;
    const T *x = c.input<T>(0), *h0 = c.input<T>(1), *c0 = c.input<T>(2), *kernel = c.input<T>(3);
    const T *recurrent_kernel = c.input<T>(4), *y = c.input<T>(7), *gates = c.input<T>(8), *cells = c.input<T>(9);
    const T* dy = c.input<T>(10);
    T *dh = copy_or_zeros<T>(c, 11, state), *dc = copy_or_zeros<T>(c, 12, state);
    T* dh_recurrent = zero_scratch<T>(c, state);
    T* dgates = c.scratch<T>(rows * width);
    seq.for_blocks([&](const Sequence::Block& block) {
      for (std::int64_t step = seq.steps - 1; step >= 0; --step) {
        const auto rec = block.of(dh_recurrent, units), d = block.at(dgates, seq.time(step), width);
        rnn_steps<T>().lstm_grad({block.shape(step),
                                  block.at(gates, seq.time(step), width),
                                  block.before(cells, c0, step),
                                  block.at(cells, step, units),
                                  block.at(dy, step, units),
                                  {rec.data, rec.ld},
                                  block.of(dh, units),
                                  block.of(dc, units),
                                  d});
        step_product<T>(c, block.rows, units, width, {d.data, d.ld}, {recurrent_kernel, width, true}, rec.data, rec.ld);
      }
    });
    add_to(dh_recurrent, dh, state);
    std::copy_n(dh, state, c.output<T>(1));
    std::copy_n(dc, state, c.output<T>(2));
    const T* h_prev = states_before(c, seq, y, h0);
    matrix_product<T>(c, rows, seq.features, width, {dgates, width}, {kernel, width, true}, c.output<T>(0),
                      seq.features);
    matrix_product<T>(c, seq.features, width, rows, {x, seq.features, true}, {dgates, width}, c.output<T>(3), width);
    matrix_product<T>(c, units, width, rows, {h_prev, units, true}, {dgates, width}, c.output<T>(4), width);
    column_sums(rows, width, dgates, c.output<T>(5));
  });
}

}  // namespace kcore::ops
