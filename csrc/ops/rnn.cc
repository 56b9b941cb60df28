// The checks of the recurrent ops, and SimpleRNN.
#include "ops/rnn.h"

namespace kcore::ops {

using kernels::Activation;

RnnShape infer_rnn(Infer& c, const RnnInputs& in) {
  c.require_floating(0);
  c.require_rank(0, 3);
  const int recurrent = in.kernel + 1;
  for (int i = 1; i < c.size(); ++i)
    if (c.has(i) && i != in.mask) c.require_dtype(i, c.dtype(0));
  const int directions = c.shape(in.kernel).rank() == 3 && c.shape(in.kernel)[0] == 2 ? 2 : 1;
  c.require_rank(recurrent, directions + 1);
  const RnnShape s{directions, c.shape(0)[0], c.shape(0)[1], c.shape(0)[2], c.shape(recurrent).last(1)};
  c.require(s.steps >= 1, "expected x (batch, steps, features) of one step or more, received shape ", c.shape(0));
  const std::int64_t width = in.gates * s.units;
  c.require_shape(recurrent, s.each({s.units, width}));
  c.require_shape(in.kernel, s.each({s.features, width}));
  c.require_shape(1, s.state());
  if (in.c0 >= 0) c.require_shape(in.c0, s.state());
  if (c.has(in.bias)) c.require_shape(in.bias, s.each(in.bias_rows == 1 ? Shape{width} : Shape{in.bias_rows, width}));
  if (c.has(in.mask)) {
    c.require_dtype(in.mask, DType::boolean);
    c.require_shape(in.mask, {s.batch, s.steps});
  }
  return s;
}

namespace {

const RnnInputs kInputs{.c0 = -1, .kernel = 2, .bias = 4, .mask = 5, .gates = 1, .bias_rows = 1};

Activation parse_activation(const std::string& name) {
  if (name == "tanh") return Activation::tanh;
  if (name == "relu") return Activation::relu;
  if (name == "sigmoid") return Activation::sigmoid;
  return Activation::linear;
}

void require_activation(const Infer& c, const std::string& name) {
  c.require(name == "linear" || parse_activation(name) != Activation::linear,
            "expected activation tanh, relu, sigmoid or linear, received \"", name, "\"");
}

}  // namespace

void infer(const simple_rnn& op, Infer& c) {
  const RnnShape s = infer_rnn(c, kInputs);
  require_activation(c, op.activation);
  c.out(c.dtype(0), s.y());
  c.out(c.dtype(0), s.state());
}

void run(const simple_rnn& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 2, 5, op.go_backwards);
    const std::int64_t units = seq.units, inputs = seq.inputs_of_steps();
    const T *x = c.input<T>(0), *h0 = c.input<T>(1), *kernel = c.input<T>(2), *bias = c.input<T>(4);
    T* const projected = inputs == 0 ? c.scratch<T>(seq.directions * seq.rows() * units) : nullptr;
    if (projected) project(c, seq, units, x, kernel, projected);
    const auto recurrent = pack_recurrent<T>(
        c, seq, {c.input<T>(3), units, false, inputs + units, units, 1, kernel, inputs}, units * units, inputs * units);
    T *const y = c.output<T>(0), *const h = c.output<T>(1), *const scratch = seq.scratch<T>(c, inputs);
    seq.for_blocks<T>(c, units, [&](const Sequence::Block& block) {
      rnn_functions<T>(seq.multiplier)
          .simple({.walk = block.walk(),
                   .activation = parse_activation(op.activation),
                   .inputs = inputs,
                   .recurrent = recurrent.of(block),
                   .bias = block.weight(bias, units),
                   .h0 = block.of(h0, units),
                   .x = block.timed(x, seq.features),
                   .projected = block.by_time<const T>(projected, units),
                   .y = block.outputs(y),
                   .h = block.of(h, units),
                   .scratch = block.scratch(scratch, inputs)});
    });
  });
}

void infer(const simple_rnn_grad& op, Infer& c) {
  const RnnShape s = infer_rnn(c, kInputs);
  require_activation(c, op.activation);
  c.require_shape(6, s.y());
  if (c.has(7)) c.require_shape(7, s.y());
  if (c.has(8)) c.require_shape(8, s.state());
  for (int i = 0; i < 4; ++i) c.out(c.in(i));
  c.out(c.dtype(0), s.each({s.units}));
}

void run(const simple_rnn_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 2, 5, op.go_backwards);
    const std::int64_t units = seq.units;
    const T *x = c.input<T>(0), *h0 = c.input<T>(1), *y = c.input<T>(6), *dy = c.input<T>(7);
    T* const dh = copied_output<T>(c, 1, 8, seq.directions * seq.state());
    T* const dz = c.scratch<T>(seq.directions * seq.rows() * units);
    const auto recurrent = pack_recurrent<T>(c, seq, {c.input<T>(3), units, true, units, units, 1}, units * units);
    const InputGradient<T> input(c, seq, units, c.input<T>(2), c.output<T>(0));
    T* const scratch = seq.scratch<T>(c);
    seq.for_blocks<T>(c, units, [&](const Sequence::Block& block) {
      rnn_functions<T>(seq.multiplier)
          .simple_grad({.walk = block.walk(),
                        .input = input.of(block),
                        .activation = parse_activation(op.activation),
                        .recurrent = recurrent.of(block),
                        .y = block.outputs(y),
                        .dy = block.outputs(dy),
                        .dz = block.by_time(dz, units),
                        .dh = block.of(dh, units),
                        .scratch = block.scratch(scratch)});
    });
    input.finish(c, dz);
    kernel_gradients(c, seq, units, x, dz, c.output<T>(2));
    recurrent_gradients(c, seq, {units, 0, units}, states_before(c, seq, y, h0), dz, c.output<T>(3));
    bias_gradients(c, seq, units, dz, c.output<T>(4), units);
  });
}

}  // namespace kcore::ops
