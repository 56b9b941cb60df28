// LSTM, GRU and SimpleRNN through all steps of time, forward and backward, for a block of the rows of a batch. csrc/ops
// makes the products that span all steps (the gradients of the weights after; x W before and dx after, where the steps
// do not multiply x themselves) and hands out blocks.
//
// The recurrent kernel is packed once per call into panels of vectors (panels.h). A step multiplies the state with a
// panel and finishes the units of that panel while they are in L1: gates, new state, output. States live in compact
// buffers whose rows are padded to whole vectors; the caller's arrays are met by copies of the units that exist. A
// masked row repeats its state and gets no gradient.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/parallel.h"
#include "kernels/activation.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/arithmetic.h"

namespace kcore {

// A value for each row and step: rows `row` apart, and `step` from one step of the processing to the next (negative if
// time runs backwards). data == nullptr: absent.
template <class T>
struct Series {
  T* data = nullptr;
  std::int64_t row = 0, step = 0;
  T* at(std::int64_t r, std::int64_t s) const { return data + r * row + s * step; }
};

// The right side of a step's product, (k, gates * units), read from a recurrent kernel or, transposed, its columns. If
// not transposed it may be the lower part of a matrix whose first `inputs` rows are those of the input kernel; k counts
// both.
template <class T>
struct RecurrentMatrix {
  const T* data;
  std::int64_t ld;
  bool transposed;
  std::int64_t k, units;
  int gates;
  const T* input = nullptr;
  std::int64_t inputs = 0;
};

// Several threads may walk one block together: each takes its share of the units, and they wait for each other after
// every step.
struct Walk {
  std::int64_t rows, units, steps;
  Series<const bool> mask;
  Team team;
  void* operand;  // operand_bytes(rows, the longest k of a product), a member's own
};

// The longest vector of any ISA, in floats.
inline constexpr std::int64_t kRnnMaxLanes = 16;
constexpr std::int64_t padded_units(std::int64_t units) {
  return (units + kRnnMaxLanes - 1) / kRnnMaxLanes * kRnnMaxLanes;
}
// Where the packing of panels may be cut: the steps of a tile of bfloat16.
inline constexpr std::int64_t kRnnPackRows = 32;
// Scratch of a block, in elements, for every kernel below. inputs: of the steps' products, besides the state.
constexpr std::int64_t rnn_scratch(std::int64_t rows, std::int64_t units, std::int64_t inputs) {
  return rows * (3 * padded_units(units) + 2 * padded_units(inputs));
}

//   i, f, o = sigmoid(gates + h R + bias), g = tanh(..);  c = f c + i g;  h = o tanh(c)
// gates (4 units) in: x W, if inputs is 0. Out, if `cells` is given: the activated gates.
template <class T>
struct LstmBlock {
  Walk walk;
  std::int64_t inputs;    // features of x, if the steps multiply them
  const void* recurrent;  // packed (inputs + units, 4 units)
  const T* bias;          // (4 units,) or nullptr
  Series<const T> x;
  const T *h0, *c0;  // (rows, units)
  Series<T> gates, y, cells;
  T *h, *c;  // (rows, units): the last states
  T* scratch;
};

// The gradient of x, if the steps compute it: their gates' gradients times the input kernel transposed.
template <class T>
struct InputGrad {
  std::int64_t inputs;  // features of x, or 0
  const void* kernel;   // packed (gates * units, inputs)
  Series<T> dx;
};

// dh and dc (rows, units) in: the gradients of the last states; out: of the first. dgates: before the activations.
template <class T>
struct LstmGradBlock {
  Walk walk;
  InputGrad<T> input;
  const void* recurrent;  // packed (4 units, units), the recurrent kernel transposed
  const T* c0;
  Series<const T> gates, cells, dy;
  Series<T> dgates;
  T *dh, *dc;
  T* scratch;
};

//   z, r = sigmoid(gates + h R + bias);  h = z h + (1 - z) g, where
//   reset_after: inner = h R_g + bias', g = tanh(gates_g + bias_g + r inner)
//   else:        inner = r h,           g = tanh(gates_g + bias_g + inner R_g)
// gates (3 units, order z, r, g) in: x W; out: the activated gates. inner: written if given.
template <class T>
struct GruBlock {
  Walk walk;
  bool reset_after;
  const void* recurrent;  // packed (units, 3 units), or the first 2 units of it if not reset_after
  const void* candidate;  // packed (units, units) of g if not reset_after
  const T* bias;          // (2, 3 units) if reset_after, else (3 units,); or nullptr
  const T* h0;
  Series<T> gates, y, inner;
  T* h;
  T* scratch;
};

// drecurrent, reset_after only: the gradient of h R.
template <class T>
struct GruGradBlock {
  Walk walk;
  InputGrad<T> input;
  bool reset_after;
  const void* recurrent;  // packed (3 units, units), or (2 units, units) if not reset_after
  const void* candidate;  // packed (units, units) if not reset_after
  const T* h0;
  Series<const T> gates, inner, y, dy;
  Series<T> dgates, drecurrent;
  T* dh;
  T* scratch;
};

// h = activation(projected + h R + bias); projected: x W, if inputs is 0
template <class T>
struct SimpleRnnBlock {
  Walk walk;
  kernels::Activation activation;
  std::int64_t inputs;    // as in LstmBlock
  const void* recurrent;  // packed (inputs + units, units)
  const T* bias;
  const T* h0;
  Series<const T> x, projected;
  Series<T> y;
  T* h;
  T* scratch;
};

template <class T>
struct SimpleRnnGradBlock {
  Walk walk;
  InputGrad<T> input;
  kernels::Activation activation;
  const void* recurrent;  // packed, transposed
  Series<const T> y, dy;
  Series<T> dz;
  T* dh;
  T* scratch;
};

template <class T>
struct RnnFunctions {
  std::size_t (*packed_bytes)(std::int64_t k, std::int64_t units, int gates);
  // Rows [k0, k1) of the panels; k0 is a multiple of kRnnPackRows.
  void (*pack)(const RecurrentMatrix<T>& matrix, void* to, std::int64_t k0, std::int64_t k1);
  std::size_t (*operand_bytes)(std::int64_t rows, std::int64_t k);
  void (*lstm)(const LstmBlock<T>& block);
  void (*lstm_grad)(const LstmGradBlock<T>& block);
  void (*gru)(const GruBlock<T>& block);
  void (*gru_grad)(const GruGradBlock<T>& block);
  void (*simple)(const SimpleRnnBlock<T>& block);
  void (*simple_grad)(const SimpleRnnGradBlock<T>& block);
};

// An ISA has the arithmetics that it adds to those below it: of avx512_bf16 and amx all else is empty.
struct RnnKernels {
  RnnFunctions<float> f32[kernels::kArithmeticCount];
  RnnFunctions<double> f64;
};

}  // namespace kcore

KCORE_PRODUCT_KERNELS(RnnKernels, rnn)
