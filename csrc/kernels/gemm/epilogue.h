// The epilogue of a product, applied to rows of C that were just written.
//
// Products of few columns have many short rows, so what to do is decided once for some of them. Rows that touch each
// other are taken as one, with the bias repeated for whole vectors.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/tile.h"
#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T, Activation activation>
KCORE_INLINE Vector<T> activated(Vector<T> v) {
  if constexpr (activation == Activation::relu) {
    return v < 0 ? Vector<T>{} : v;
  } else if constexpr (activation == Activation::linear) {
    return v;
  } else {
    T lanes[kLanes<T>];
    *reinterpret_cast<Vector<T>*>(lanes) = v;
#pragma omp simd
    for (int l = 0; l < kLanes<T>; ++l)
      lanes[l] = activation == Activation::sigmoid ? sigmoid_of(lanes[l]) : tanh_of(lanes[l]);
    return *reinterpret_cast<Vector<T>*>(lanes);
  }
}

// A row of n; the bias begins again after `period` columns, some vectors.
template <class T, Activation activation, bool with_bias, bool with_residual>
KCORE_INLINE void finish_row(T* c, const T* bias, std::int64_t period, const T* residual, std::int64_t n) {
  constexpr int L = kLanes<T>;
  std::int64_t j = 0, k = 0;
  for (; j + L <= n; j += L) {
    Vector<T> v = *reinterpret_cast<const Vector<T>*>(c + j);
    if constexpr (with_bias) {
      v += *reinterpret_cast<const Vector<T>*>(bias + k);
      k = k + L == period ? 0 : k + L;
    }
    if constexpr (with_residual) v += *reinterpret_cast<const Vector<T>*>(residual + j);
    *reinterpret_cast<Vector<T>*>(c + j) = activated<T, activation>(v);
  }
  if (j == n) return;
  const int rest = static_cast<int>(n - j);
  Vector<T> v = load_part(c + j, rest);
  if constexpr (with_bias) v += load_part(bias + k, rest);
  if constexpr (with_residual) v += load_part(residual + j, rest);
  store_part(c + j, activated<T, activation>(v), rest);
}

template <class T, Activation activation, bool with_bias, bool with_residual>
void finish_rows_with(T* const* c, std::int64_t n0, const T* bias, const T* const* residual, std::int64_t rows,
                      std::int64_t n) {
  constexpr std::int64_t L = kLanes<T>, kMost = 16 * L;
  const std::int64_t factor = n & -n, group = factor < L ? L / factor : 1;  // rows that are whole vectors together
  T repeated[kMost];
  std::int64_t period = 0;
  for (std::int64_t r = 0; r < rows;) {
    T* const from = c[r] + n0;
    const T* const more = with_residual ? residual[r] : nullptr;
    std::int64_t together = 1;
    if (!with_bias || (n <= 4 * L && group * n <= kMost))
      while (r + together < rows && c[r + together] + n0 == from + together * n &&
             (!with_residual || residual[r + together] == more + together * n))
        ++together;
    if (with_bias && together <= group) together = 1;
    if (with_bias && together > 1 && group > 1 && period == 0)
      for (; period < group * n; period += n)
        for (std::int64_t j = 0; j < n; ++j) repeated[period + j] = bias[j];
    finish_row<T, activation, with_bias, with_residual>(from, together > 1 && group > 1 ? repeated : bias,
                                                        group > 1 ? period : n, more, together * n);
    r += together;
  }
}

template <class T, Activation activation>
void finish_rows_with(T* const* c, std::int64_t n0, const T* bias, const T* const* residual, std::int64_t rows,
                      std::int64_t n) {
  if (bias && residual) return finish_rows_with<T, activation, true, true>(c, n0, bias, residual, rows, n);
  if (bias) return finish_rows_with<T, activation, true, false>(c, n0, bias, residual, rows, n);
  if (residual) return finish_rows_with<T, activation, false, true>(c, n0, bias, residual, rows, n);
  finish_rows_with<T, activation, false, false>(c, n0, bias, residual, rows, n);
}

// Columns [n0, n1) of some rows, whose columns 0 are at c; row_of(r) is the row of the residual for c[r].
template <class T, class RowOf>
void finish_rows(const Epilogue<T>& e, T* const* c, std::int64_t rows, std::int64_t n0, std::int64_t n1,
                 const RowOf& row_of) {
  constexpr std::int64_t kRows = 32;
  const T* const bias = e.bias ? e.bias + n0 : nullptr;
  for (std::int64_t first = 0; first < rows; first += kRows, c += kRows) {
    const std::int64_t count = rows - first < kRows ? rows - first : kRows, n = n1 - n0;
    const T* of_rows[kRows];
    for (std::int64_t r = 0; e.residual && r < count; ++r)
      of_rows[r] = e.residual + row_of(first + r) * e.ld_residual + n0;
    const T* const* const residual = e.residual ? of_rows : nullptr;
    switch (e.activation) {
      case Activation::linear: finish_rows_with<T, Activation::linear>(c, n0, bias, residual, count, n); break;
      case Activation::relu: finish_rows_with<T, Activation::relu>(c, n0, bias, residual, count, n); break;
      case Activation::sigmoid: finish_rows_with<T, Activation::sigmoid>(c, n0, bias, residual, count, n); break;
      case Activation::tanh: finish_rows_with<T, Activation::tanh>(c, n0, bias, residual, count, n); break;
    }
  }
}

// One row, `m` of the residual.
template <class T>
void finish_row(const Epilogue<T>& e, T* c, std::int64_t m, std::int64_t n0, std::int64_t n1) {
  finish_rows(e, &c, 1, n0, n1, [m](std::int64_t) { return m; });
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
