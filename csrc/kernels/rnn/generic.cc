// Fused gates: one pass over the units of each row.
#include "kernels/math.h"
#include "kernels/rnn/rnn.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

bool masked(const StepShape& shape, std::int64_t row) { return shape.mask.data && !*shape.mask[row]; }

template <class T>
void copy(const T* from, T* to, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = from[i];
}

template <class T>
void zero(T* to, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = T(0);
}

// gates += recurrent + bias, n values.
template <class T>
void add_terms(T* gates, const T* recurrent, const T* bias, std::int64_t n) {
  if (bias)
    for (std::int64_t j = 0; j < n; ++j) gates[j] += recurrent[j] + bias[j];
  else
    for (std::int64_t j = 0; j < n; ++j) gates[j] += recurrent[j];
}

// dh += dy + dh_recurrent
template <class T>
void add_gradients(T* dh, const T* dy, const T* dh_recurrent, std::int64_t n) {
  if (dy)
    for (std::int64_t j = 0; j < n; ++j) dh[j] += dy[j] + dh_recurrent[j];
  else
    for (std::int64_t j = 0; j < n; ++j) dh[j] += dh_recurrent[j];
}

template <class T>
void lstm(const LstmStep<T>& s) {
  const std::int64_t n = s.shape.units;
  for (std::int64_t row = 0; row < s.shape.rows; ++row) {
    const T* c_prev = s.c_prev[row];
    T *h = s.h[row], *c = s.c[row];
    if (masked(s.shape, row)) {
      copy(s.h_prev[row], h, n);
      copy(c_prev, c, n);
      continue;
    }
    T* gates = s.gates[row];
    add_terms(gates, s.recurrent[row], s.bias, 4 * n);
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      const T i = sigmoid_of(gates[j]), f = sigmoid_of(gates[n + j]);
      const T g = tanh_of(gates[2 * n + j]), o = sigmoid_of(gates[3 * n + j]);
      const T cell = f * c_prev[j] + i * g;
      gates[j] = i;
      gates[n + j] = f;
      gates[2 * n + j] = g;
      gates[3 * n + j] = o;
      c[j] = cell;
      h[j] = o * tanh_of(cell);
    }
  }
}

template <class T>
void lstm_grad(const LstmGradStep<T>& s) {
  const std::int64_t n = s.shape.units;
  for (std::int64_t row = 0; row < s.shape.rows; ++row) {
    const T *gates = s.gates[row], *c_prev = s.c_prev[row], *c = s.c[row];
    T *dh = s.dh[row], *dc = s.dc[row], *dgates = s.dgates[row];
    add_gradients(dh, s.dy.data ? s.dy[row] : nullptr, s.dh_recurrent[row], n);
    if (masked(s.shape, row)) {
      zero(dgates, 4 * n);
      continue;
    }
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      const T i = gates[j], f = gates[n + j], g = gates[2 * n + j], o = gates[3 * n + j];
      const T tanh_c = tanh_of(c[j]);
      const T dcell = dc[j] + dh[j] * o * (T(1) - tanh_c * tanh_c);
      dgates[j] = dcell * g * i * (T(1) - i);
      dgates[n + j] = dcell * c_prev[j] * f * (T(1) - f);
      dgates[2 * n + j] = dcell * i * (T(1) - g * g);
      dgates[3 * n + j] = dh[j] * tanh_c * o * (T(1) - o);
      dc[j] = dcell * f;
      dh[j] = T(0);
    }
  }
}

template <class T>
void gru_gates(const GruStep<T>& s) {
  const std::int64_t n = s.shape.units;
  for (std::int64_t row = 0; row < s.shape.rows; ++row) {
    T *gates = s.gates[row], *inner = s.inner[row];
    const T *recurrent = s.recurrent[row], *h_prev = s.h_prev[row];
    if (masked(s.shape, row)) {
      zero(inner, n);
      continue;
    }
    add_terms(gates, recurrent, s.bias, 2 * n);
    if (s.reset_after && s.bias)
      for (std::int64_t j = 0; j < 2 * n; ++j) gates[j] += s.bias[3 * n + j];
#pragma omp simd
    for (std::int64_t j = 0; j < 2 * n; ++j) gates[j] = sigmoid_of(gates[j]);
    if (!s.reset_after)
      for (std::int64_t j = 0; j < n; ++j) inner[j] = gates[n + j] * h_prev[j];
    else if (s.bias)
      for (std::int64_t j = 0; j < n; ++j) inner[j] = recurrent[2 * n + j] + s.bias[5 * n + j];
    else
      copy(recurrent + 2 * n, inner, n);
  }
}

template <class T>
void gru_output(const GruStep<T>& s) {
  const std::int64_t n = s.shape.units;
  for (std::int64_t row = 0; row < s.shape.rows; ++row) {
    T *gates = s.gates[row], *h = s.h[row];
    const T *inner = s.inner[row], *recurrent = s.recurrent[row] + 2 * n, *h_prev = s.h_prev[row];
    if (masked(s.shape, row)) {
      copy(h_prev, h, n);
      continue;
    }
    if (s.bias)
      for (std::int64_t j = 0; j < n; ++j) gates[2 * n + j] += s.bias[2 * n + j];
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      const T z = gates[j];
      const T g = tanh_of(gates[2 * n + j] + (s.reset_after ? gates[n + j] * inner[j] : recurrent[j]));
      gates[2 * n + j] = g;
      h[j] = z * h_prev[j] + (T(1) - z) * g;
    }
  }
}

template <class T>
void gru_output_grad(const GruGradStep<T>& s) {
  const std::int64_t n = s.shape.units;
  for (std::int64_t row = 0; row < s.shape.rows; ++row) {
    const T *gates = s.gates[row], *inner = s.inner[row], *h_prev = s.h_prev[row];
    T *dh = s.dh[row], *dgates = s.dgates[row];
    add_gradients(dh, s.dy.data ? s.dy[row] : nullptr, s.dh_recurrent[row], n);
    if (masked(s.shape, row)) {
      zero(dgates, 3 * n);
      if (s.reset_after) zero(s.drecurrent[row], 3 * n);
      continue;
    }
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      const T z = gates[j], g = gates[2 * n + j];
      dgates[j] = dh[j] * (h_prev[j] - g) * z * (T(1) - z);
      dgates[2 * n + j] = dh[j] * (T(1) - z) * (T(1) - g * g);
      dh[j] *= z;
    }
    if (!s.reset_after) continue;
    T* drecurrent = s.drecurrent[row];
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      const T r = gates[n + j], dg = dgates[2 * n + j];
      dgates[n + j] = dg * inner[j] * r * (T(1) - r);
      drecurrent[j] = dgates[j];
      drecurrent[n + j] = dgates[n + j];
      drecurrent[2 * n + j] = dg * r;
    }
  }
}

template <class T>
void gru_reset_grad(const GruGradStep<T>& s) {
  const std::int64_t n = s.shape.units;
  for (std::int64_t row = 0; row < s.shape.rows; ++row) {
    if (masked(s.shape, row)) continue;
    const T *r = s.gates[row] + n, *h_prev = s.h_prev[row], *dinner = s.dinner[row];
    T *dh = s.dh[row], *dr = s.dgates[row] + n;
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      dr[j] = dinner[j] * h_prev[j] * r[j] * (T(1) - r[j]);
      dh[j] += dinner[j] * r[j];
    }
  }
}

template <class T>
void simple(const SimpleRnnStep<T>& s) {
  const std::int64_t n = s.shape.units;
  for (std::int64_t row = 0; row < s.shape.rows; ++row) {
    T* h = s.h[row];
    if (masked(s.shape, row)) {
      copy(s.h_prev[row], h, n);
      continue;
    }
    add_terms(h, s.recurrent[row], s.bias, n);
    if (s.activation == RnnActivation::tanh) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) h[j] = tanh_of(h[j]);
    } else if (s.activation == RnnActivation::sigmoid) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) h[j] = sigmoid_of(h[j]);
    } else if (s.activation == RnnActivation::relu) {
      for (std::int64_t j = 0; j < n; ++j) h[j] = h[j] < T(0) ? T(0) : h[j];
    }
  }
}

template <class T>
void simple_grad(const SimpleRnnGradStep<T>& s) {
  const std::int64_t n = s.shape.units;
  for (std::int64_t row = 0; row < s.shape.rows; ++row) {
    const T* h = s.h[row];
    T *dh = s.dh[row], *dz = s.dz[row];
    add_gradients(dh, s.dy.data ? s.dy[row] : nullptr, s.dh_recurrent[row], n);
    if (masked(s.shape, row)) {
      zero(dz, n);
      continue;
    }
    for (std::int64_t j = 0; j < n; ++j) {
      T slope = T(1);
      if (s.activation == RnnActivation::tanh) slope = T(1) - h[j] * h[j];
      if (s.activation == RnnActivation::sigmoid) slope = h[j] * (T(1) - h[j]);
      if (s.activation == RnnActivation::relu) slope = h[j] > T(0) ? T(1) : T(0);
      dz[j] = dh[j] * slope;
      dh[j] = T(0);
    }
  }
}

template <class T>
constexpr RnnSteps<T> steps() {
  return {lstm<T>,           lstm_grad<T>, gru_gates<T>,  gru_output<T>, gru_output_grad<T>,
          gru_reset_grad<T>, simple<T>,    simple_grad<T>};
}

}  // namespace

const RnnKernels rnn_table = {steps<float>(), steps<double>()};

}  // namespace kcore::kernels::KCORE_ISA
