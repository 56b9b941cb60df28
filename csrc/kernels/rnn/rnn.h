// The pointwise part of one time step of LSTM, GRU and SimpleRNN, forward and backward, over some rows of a batch.
// The matrix products are made before and after by the caller. A masked row repeats its state and gets no gradient.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore {

// Rows of equal length, `ld` elements apart.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t ld = 0;
  T* operator[](std::int64_t row) const { return data + row * ld; }
};

struct StepShape {
  std::int64_t rows, units;
  Rows<const bool> mask;  // one element a row; data == nullptr: nothing is masked
};

// gates in: x W; out: the activated gates i, f, g, o. recurrent: h_prev R. Both (rows, 4 units).
//   c = f c_prev + i g,  h = o tanh(c)
template <class T>
struct LstmStep {
  StepShape shape;
  Rows<T> gates;
  Rows<const T> recurrent;
  const T* bias;  // (4 units,) or nullptr
  Rows<const T> h_prev, c_prev;
  Rows<T> h, c;
};

// dh, dc in: the gradients that later steps pass on; dh gains dy + dh_recurrent. Out: what reaches the step before
// without passing the recurrent kernel. dgates (rows, 4 units): the gradient before the activations.
template <class T>
struct LstmGradStep {
  StepShape shape;
  Rows<const T> gates, c_prev, c, dy, dh_recurrent;  // dy.data may be nullptr
  Rows<T> dh, dc, dgates;
};

// Two parts, for in one form of the cell a matrix product lies between them.
//   gates: z, r = sigmoid(x W + h_prev R); inner = h_prev R_h + bias (reset_after) or r h_prev
//   output: g = tanh(x W_h + r inner) or tanh(x W_h + inner R_h);  h = z h_prev + (1 - z) g
// gates and recurrent are (rows, 3 units), in the order z, r, g. bias: (2, 3 units) if reset_after, else (3 units,).
template <class T>
struct GruStep {
  StepShape shape;
  bool reset_after;
  Rows<T> gates;
  Rows<const T> recurrent;
  const T* bias;
  Rows<const T> h_prev;
  Rows<T> inner, h;
};

// output: from dh to dgates of z and g, for reset_after also r and drecurrent (rows, 3 units), the gradient of h_prev
// R. reset, not reset_after only: from dinner = dg R_h^T to dgates of r.
template <class T>
struct GruGradStep {
  StepShape shape;
  bool reset_after;
  Rows<const T> gates, inner, h_prev, dy, dh_recurrent;
  Rows<T> dh, dgates, drecurrent;
  Rows<const T> dinner;
};

enum class RnnActivation { linear, tanh, relu, sigmoid };

// h = activation(x W + h_prev R + bias); h holds x W on the way in.
template <class T>
struct SimpleRnnStep {
  StepShape shape;
  RnnActivation activation;
  Rows<const T> recurrent;
  const T* bias;
  Rows<const T> h_prev;
  Rows<T> h;
};

template <class T>
struct SimpleRnnGradStep {
  StepShape shape;
  RnnActivation activation;
  Rows<const T> h, dy, dh_recurrent;
  Rows<T> dh, dz;
};

template <class T>
struct RnnSteps {
  void (*lstm)(const LstmStep<T>& step);
  void (*lstm_grad)(const LstmGradStep<T>& step);
  void (*gru_gates)(const GruStep<T>& step);
  void (*gru_output)(const GruStep<T>& step);
  void (*gru_output_grad)(const GruGradStep<T>& step);
  void (*gru_reset_grad)(const GruGradStep<T>& step);
  void (*simple)(const SimpleRnnStep<T>& step);
  void (*simple_grad)(const SimpleRnnGradStep<T>& step);
};

struct RnnKernels {
  RnnSteps<float> f32;
  RnnSteps<double> f64;
};

}  // namespace kcore

KCORE_KERNELS(RnnKernels, rnn)
