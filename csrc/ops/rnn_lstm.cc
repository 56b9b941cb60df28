// LSTM over time, forward and backward. Gates in Keras's order i, f, g (the candidate), o.
#include "ops/rnn.h"

namespace kcore::ops {
namespace {

const RnnInputs kInputs{.c0 = 2, .kernel = 3, .bias = 5, .mask = 6, .gates = 4, .bias_rows = 1};

}  // namespace

void infer(const lstm& op, Infer& c) {
  const RnnShape s = infer_rnn(c, kInputs);
  c.out(c.dtype(0), s.y());
  c.out(c.dtype(0), s.state());
  c.out(c.dtype(0), s.state());
  c.out(c.dtype(0), op.caches ? s.series(4 * s.units) : Shape{0});  // gates, in the order of time
  c.out(c.dtype(0), op.caches ? s.series(s.units) : Shape{0});      // cells, in the order of processing
}

void run(const lstm& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 3, 6, op.go_backwards);
    const std::int64_t units = seq.units, width = 4 * units, inputs = seq.inputs_of_steps();
    const T *x = c.input<T>(0), *h0 = c.input<T>(1), *c0 = c.input<T>(2), *kernel = c.input<T>(3);
    const T* const bias = c.input<T>(5);
    T* gates = op.caches ? c.output<T>(3) : nullptr;
    if (inputs == 0) {
      if (!gates) gates = c.scratch<T>(seq.directions * seq.rows() * width);
      project(c, seq, width, x, kernel, gates);
    }
    const auto recurrent = pack_recurrent<T>(
        c, seq, {c.input<T>(4), width, false, inputs + units, units, 4, kernel, inputs}, units * width, inputs * width);
    T *const y = c.output<T>(0), *const h = c.output<T>(1), *const cell = c.output<T>(2);
    T *const cells = op.caches ? c.output<T>(4) : nullptr, *const scratch = seq.scratch<T>(c, inputs);
    seq.for_blocks<T>(c, units, [&](const Sequence::Block& block) {
      rnn_functions<T>(seq.multiplier)
          .lstm({.walk = block.walk(),
                 .inputs = inputs,
                 .recurrent = recurrent.of(block),
                 .bias = block.weight(bias, width),
                 .x = block.timed(x, seq.features),
                 .h0 = block.of(h0, units),
                 .c0 = block.of(c0, units),
                 .gates = block.by_time(gates, width),
                 .y = block.outputs(y),
                 .cells = block.by_step(cells, units),
                 .h = block.of(h, units),
                 .c = block.of(cell, units),
                 .scratch = block.scratch(scratch, inputs)});
    });
  });
}

void infer(const lstm_grad&, Infer& c) {
  const RnnShape s = infer_rnn(c, kInputs);
  c.require_shape(7, s.y());
  c.require_shape(8, s.series(4 * s.units));
  c.require_shape(9, s.series(s.units));
  if (c.has(10)) c.require_shape(10, s.y());
  for (int i = 11; i <= 12; ++i)
    if (c.has(i)) c.require_shape(i, s.state());
  for (int i = 0; i < 5; ++i) c.out(c.in(i));
  c.out(c.dtype(0), s.each({4 * s.units}));
}

void run(const lstm_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 3, 6, op.go_backwards);
    const std::int64_t units = seq.units, width = 4 * units, state = seq.directions * seq.state();
    const T *x = c.input<T>(0), *h0 = c.input<T>(1), *c0 = c.input<T>(2), *y = c.input<T>(7);
    const T *gates = c.input<T>(8), *cells = c.input<T>(9), *dy = c.input<T>(10);
    T *const dh = copied_output<T>(c, 1, 11, state), *const dc = copied_output<T>(c, 2, 12, state);
    T* const dgates = c.scratch<T>(seq.directions * seq.rows() * width);
    const auto recurrent = pack_recurrent<T>(c, seq, {c.input<T>(4), width, true, width, units, 1}, units * width);
    const InputGradient<T> input(c, seq, width, c.input<T>(3), c.output<T>(0));
    T* const scratch = seq.scratch<T>(c);
    seq.for_blocks<T>(c, width, [&](const Sequence::Block& block) {
      rnn_functions<T>(seq.multiplier)
          .lstm_grad({.walk = block.walk(),
                      .input = input.of(block),
                      .recurrent = recurrent.of(block),
                      .c0 = block.of(c0, units),
                      .gates = block.by_time(gates, width),
                      .cells = block.by_step(cells, units),
                      .dy = block.outputs(dy),
                      .dgates = block.by_time(dgates, width),
                      .dh = block.of(dh, units),
                      .dc = block.of(dc, units),
                      .scratch = block.scratch(scratch)});
    });
    input.finish(c, dgates);
    kernel_gradients(c, seq, width, x, dgates, c.output<T>(3));
    recurrent_gradients(c, seq, {width, 0, width}, states_before(c, seq, y, h0), dgates, c.output<T>(4));
    bias_gradients(c, seq, width, dgates, c.output<T>(5), width);
  });
}

}  // namespace kcore::ops
