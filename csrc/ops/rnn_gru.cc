// GRU over time, forward and backward, in both forms of the cell. Gates in Keras's order z, r, g (the candidate).
#include "ops/rnn.h"

namespace kcore::ops {
namespace {

RnnInputs inputs_of(bool reset_after) {
  return {.c0 = -1, .kernel = 2, .bias = 4, .mask = 5, .gates = 3, .bias_rows = reset_after ? 2 : 1};
}

// The recurrent kernel in the form of the cell: what meets h itself, and what meets r h if not reset_after.
struct GruWeights {
  PackedRecurrent recurrent, candidate{};

  template <class T>
  GruWeights(Run& c, const Sequence& s, const T* r, bool reset_after, bool transposed) {
    const std::int64_t units = s.units, width = 3 * units, apart = units * width;
    const int gates = reset_after ? 3 : 2;
    recurrent = transposed ? pack_recurrent<T>(c, s, {r, width, true, gates * units, units, 1}, apart)
                           : pack_recurrent<T>(c, s, {r, width, false, units, units, gates}, apart);
    if (!reset_after) candidate = pack_recurrent<T>(c, s, {r + 2 * units, width, transposed, units, units, 1}, apart);
  }
};

}  // namespace

void infer(const gru& op, Infer& c) {
  const RnnShape s = infer_rnn(c, inputs_of(op.reset_after));
  c.out(c.dtype(0), s.y());
  c.out(c.dtype(0), s.state());
  c.out(c.dtype(0), op.caches ? s.series(3 * s.units) : Shape{0});  // gates, in the order of time
  c.out(c.dtype(0), op.caches ? s.series(s.units) : Shape{0});      // inner, in the order of time
}

void run(const gru& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 2, 5, op.go_backwards);
    const std::int64_t units = seq.units, width = 3 * units;
    const T *h0 = c.input<T>(1), *bias = c.input<T>(4);
    T* const gates = op.caches ? c.output<T>(2) : c.scratch<T>(seq.directions * seq.rows() * width);
    project(c, seq, width, c.input<T>(0), c.input<T>(2), gates);
    const GruWeights weights(c, seq, c.input<T>(3), op.reset_after, false);
    T *const y = c.output<T>(0), *const h = c.output<T>(1), *const inner = op.caches ? c.output<T>(3) : nullptr;
    T* const scratch = seq.scratch<T>(c);
    seq.for_blocks<T>(c, units, [&](const Sequence::Block& block) {
      rnn_functions<T>(seq.multiplier)
          .gru({.walk = block.walk(),
                .reset_after = op.reset_after,
                .recurrent = weights.recurrent.of(block),
                .candidate = weights.candidate.of(block),
                .bias = block.weight(bias, op.reset_after ? 2 * width : width),
                .h0 = block.of(h0, units),
                .gates = block.by_time(gates, width),
                .y = block.outputs(y),
                .inner = block.by_time(inner, units),
                .h = block.of(h, units),
                .scratch = block.scratch(scratch)});
    });
  });
}

void infer(const gru_grad& op, Infer& c) {
  const RnnShape s = infer_rnn(c, inputs_of(op.reset_after));
  c.require_shape(6, s.y());
  c.require_shape(7, s.series(3 * s.units));
  c.require_shape(8, s.series(s.units));
  if (c.has(9)) c.require_shape(9, s.y());
  if (c.has(10)) c.require_shape(10, s.state());
  for (int i = 0; i < 4; ++i) c.out(c.in(i));
  c.out(c.dtype(0), s.each(op.reset_after ? Shape{2, 3 * s.units} : Shape{3 * s.units}));
}

void run(const gru_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 2, 5, op.go_backwards);
    const std::int64_t units = seq.units, width = 3 * units;
    const T *x = c.input<T>(0), *h0 = c.input<T>(1), *y = c.input<T>(6);
    const T *gates = c.input<T>(7), *inner = c.input<T>(8), *dy = c.input<T>(9);
    T* const dh = copied_output<T>(c, 1, 10, seq.directions * seq.state());
    T* const dgates = c.scratch<T>(seq.directions * seq.rows() * width);
    T* const drecurrent = op.reset_after ? c.scratch<T>(seq.directions * seq.rows() * width) : dgates;
    const GruWeights weights(c, seq, c.input<T>(3), op.reset_after, true);
    const InputGradient<T> input(c, seq, width, c.input<T>(2), c.output<T>(0));
    T* const scratch = seq.scratch<T>(c);
    seq.for_blocks<T>(c, width, [&](const Sequence::Block& block) {
      rnn_functions<T>(seq.multiplier)
          .gru_grad({.walk = block.walk(),
                     .input = input.of(block),
                     .reset_after = op.reset_after,
                     .recurrent = weights.recurrent.of(block),
                     .candidate = weights.candidate.of(block),
                     .h0 = block.of(h0, units),
                     .gates = block.by_time(gates, width),
                     .inner = block.by_time(inner, units),
                     .y = block.outputs(y),
                     .dy = block.outputs(dy),
                     .dgates = block.by_time(dgates, width),
                     .drecurrent = block.by_time(drecurrent, width),
                     .dh = block.of(dh, units),
                     .scratch = block.scratch(scratch)});
    });
    T *const drecurrent_kernel = c.output<T>(3), *const dbias = c.output<T>(4);
    input.finish(c, dgates);
    kernel_gradients(c, seq, width, x, dgates, c.output<T>(2));
    const std::int64_t of_h = op.reset_after ? width : 2 * units;
    recurrent_gradients(c, seq, {width, 0, of_h}, states_before(c, seq, y, h0), drecurrent, drecurrent_kernel);
    if (!op.reset_after) recurrent_gradients(c, seq, {width, of_h, width}, inner, dgates, drecurrent_kernel);
    bias_gradients(c, seq, width, dgates, dbias, op.reset_after ? 2 * width : width);
    if (op.reset_after) bias_gradients(c, seq, width, drecurrent, dbias + width, 2 * width);
  });
}

}  // namespace kcore::ops
