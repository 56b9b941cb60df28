// The checks and matrix products of the recurrent ops, and SimpleRNN.
#include "ops/rnn.h"

namespace kcore::ops {

void infer_rnn(Infer& c, const RnnInputs& in) {
  c.require_floating(0);
  c.require_rank(0, 3);
  const int recurrent = in.kernel + 1;
  for (int i = 1; i < c.size(); ++i)
    if (c.has(i) && i != in.mask) c.require_dtype(i, c.dtype(0));
  c.require_rank(recurrent, 2);
  const std::int64_t batch = c.shape(0)[0], steps = c.shape(0)[1], features = c.shape(0)[2];
  const std::int64_t units = c.shape(recurrent)[0];
  c.require(steps >= 1, "expected x (batch, steps, features) of one step or more, received shape ", c.shape(0));
  c.require_shape(recurrent, {units, in.gates * units});
  c.require_shape(in.kernel, {features, in.gates * units});
  c.require_shape(1, {batch, units});
  if (in.c0 >= 0) c.require_shape(in.c0, {batch, units});
  if (in.bias >= 0 && c.has(in.bias))
    c.require_shape(in.bias, in.bias_rows == 1 ? Shape{in.gates * units} : Shape{in.bias_rows, in.gates * units});
  if (c.has(in.mask)) {
    c.require_dtype(in.mask, DType::boolean);
    c.require_shape(in.mask, {batch, steps});
  }
}

namespace {

RnnActivation parse_activation(const std::string& name) {
  if (name == "tanh") return RnnActivation::tanh;
  if (name == "relu") return RnnActivation::relu;
  if (name == "sigmoid") return RnnActivation::sigmoid;
  return RnnActivation::linear;
}

void require_activation(const Infer& c, const std::string& name) {
  c.require(name == "linear" || parse_activation(name) != RnnActivation::linear,
            "expected activation tanh, relu, sigmoid or linear, received \"", name, "\"");
}

}  // namespace

void infer(const simple_rnn& op, Infer& c) {
  infer_rnn(c, {.c0 = -1, .kernel = 2, .bias = 4, .mask = 5, .gates = 1, .bias_rows = 1});
  require_activation(c, op.activation);
  c.out(c.dtype(0), {c.shape(0)[0], c.shape(0)[1], c.shape(3)[0]});
  c.out(c.dtype(0), c.shape(1));
}

void run(const simple_rnn& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 2, 5, op.go_backwards);
    const std::int64_t units = seq.units;
    const T *h0 = c.input<T>(1), *kernel = c.input<T>(2), *recurrent_kernel = c.input<T>(3), *bias = c.input<T>(4);
    T* y = c.output<T>(0);
    T* projected = c.scratch<T>(seq.batch * seq.steps * units);
    T* recurrent = c.scratch<T>(seq.batch * units);
    matrix_product<T>(c, seq.batch * seq.steps, units, seq.features, {c.input<T>(0), seq.features}, {kernel, units},
                      projected, units);
    seq.for_blocks([&](const Sequence::Block& block) {
      for (std::int64_t step = 0; step < seq.steps; ++step) {
        const auto h_prev = block.before(y, h0, step);
        const auto rec = block.of(recurrent, units), h = block.at(y, step, units);
        const auto x = block.at(projected, seq.time(step), units);
        for (std::int64_t row = 0; row < block.rows; ++row) std::copy_n(x[row], units, h[row]);
        step_product<T>(c, block.rows, units, units, {h_prev.data, h_prev.ld}, {recurrent_kernel, units}, rec.data,
                        rec.ld);
        rnn_steps<T>().simple(
            {block.shape(step), parse_activation(op.activation), {rec.data, rec.ld}, bias, h_prev, h});
      }
    });
    copy_step(seq, y, seq.steps - 1, c.output<T>(1));
  });
}

void infer(const simple_rnn_grad& op, Infer& c) {
  infer_rnn(c, {.c0 = -1, .kernel = 2, .bias = 4, .mask = 5, .gates = 1, .bias_rows = 1});
  require_activation(c, op.activation);
  const Shape y = {c.shape(0)[0], c.shape(0)[1], c.shape(3)[0]};
  c.require_shape(6, y);
  if (c.has(7)) c.require_shape(7, y);
  if (c.has(8)) c.require_shape(8, c.shape(1));
  for (int i = 0; i < 4; ++i) c.out(c.in(i));
  c.out(c.dtype(0), {y[2]});
}

void run(const simple_rnn_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Sequence seq(c, 2, 5, op.go_backwards);
    const std::int64_t units = seq.units, rows = seq.batch * seq.steps, state = seq.batch * units;
    const T *x = c.input<T>(0), *h0 = c.input<T>(1), *kernel = c.input<T>(2), *recurrent_kernel = c.input<T>(3);
    const T *y = c.input<T>(6), *dy = c.input<T>(7);
    T* dh = copy_or_zeros<T>(c, 8, state);
    T* dh_recurrent = zero_scratch<T>(c, state);
    T* dz = c.scratch<T>(rows * units);
    seq.for_blocks([&](const Sequence::Block& block) {
      for (std::int64_t step = seq.steps - 1; step >= 0; --step) {
        const auto rec = block.of(dh_recurrent, units), d = block.at(dz, seq.time(step), units);
        rnn_steps<T>().simple_grad({block.shape(step),
                                    parse_activation(op.activation),
                                    block.at(y, step, units),
                                    block.at(dy, step, units),
                                    {rec.data, rec.ld},
                                    block.of(dh, units),
                                    d});
        step_product<T>(c, block.rows, units, units, {d.data, d.ld}, {recurrent_kernel, units, true}, rec.data, rec.ld);
      }
    });
    add_to(dh_recurrent, dh, state);
    std::copy_n(dh, state, c.output<T>(1));
    const T* h_prev = states_before(c, seq, y, h0);
    matrix_product<T>(c, rows, seq.features, units, {dz, units}, {kernel, units, true}, c.output<T>(0), seq.features);
    matrix_product<T>(c, seq.features, units, rows, {x, seq.features, true}, {dz, units}, c.output<T>(2), units);
    matrix_product<T>(c, units, units, rows, {h_prev, units, true}, {dz, units}, c.output<T>(3), units);
    column_sums(rows, units, dz, c.output<T>(4));
  });
}

}  // namespace kcore::ops
