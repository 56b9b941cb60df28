// The epilogue of a product, applied to rows of C that were just written.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T, class F>
KCORE_INLINE void finish_row(T* c, const T* bias, const T* residual, std::int64_t n, F&& activation) {
  if (bias && residual) {
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) c[j] = activation(c[j] + bias[j] + residual[j]);
  } else if (bias) {
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) c[j] = activation(c[j] + bias[j]);
  } else if (residual) {
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) c[j] = activation(c[j] + residual[j]);
  } else {
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) c[j] = activation(c[j]);
  }
}

// Columns [n0, n1) of the row `m` of C, whose column 0 is at c.
template <class T>
void finish_row(const Epilogue<T>& e, T* c, std::int64_t m, std::int64_t n0, std::int64_t n1) {
  const T* const bias = e.bias ? e.bias + n0 : nullptr;
  const T* const residual = e.residual ? e.residual + m * e.ld_residual + n0 : nullptr;
  c += n0;
  const std::int64_t n = n1 - n0;
  switch (e.activation) {
    case Activation::linear: return finish_row(c, bias, residual, n, [](T x) { return x; });
    case Activation::relu: return finish_row(c, bias, residual, n, [](T x) { return x < 0 ? T(0) : x; });
    case Activation::sigmoid: return finish_row(c, bias, residual, n, [](T x) { return sigmoid_of(x); });
    case Activation::tanh: return finish_row(c, bias, residual, n, [](T x) { return tanh_of(x); });
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
