// Softmax and log-softmax over n of x (outer, n, inner), shifted by the maximum so that nothing overflows.
// A -inf gives a probability of 0; a row of nothing but -inf, or with a +inf or a NaN, gives NaN.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

template <class T>
struct SoftmaxTable {
  // x, y (rows, n). `stream`: results are written around the cache.
  void (*rows)(const T* x, std::int64_t rows, std::int64_t n, T* y, bool stream);
  void (*log_rows)(const T* x, std::int64_t rows, std::int64_t n, T* y, bool stream);
  // y is the output of the forward op: dx = y (dy - sum dy y), and dx = dy - exp(y) sum dy.
  void (*grad_rows)(const T* dy, const T* y, std::int64_t rows, std::int64_t n, T* dx, bool stream);
  void (*log_grad_rows)(const T* dy, const T* y, std::int64_t rows, std::int64_t n, T* dx, bool stream);
  // The same for each column of arrays (n, width) whose rows are `stride` apart.
  void (*columns)(const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, T* y);
  void (*log_columns)(const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, T* y);
  void (*grad_columns)(const T* dy, const T* y, std::int64_t n, std::int64_t width, std::int64_t stride, T* dx);
  void (*log_grad_columns)(const T* dy, const T* y, std::int64_t n, std::int64_t width, std::int64_t stride, T* dx);
};

struct SoftmaxKernels {
  SoftmaxTable<float> f32;
  SoftmaxTable<double> f64;
};

}  // namespace kcore::kernels

KCORE_KERNELS(SoftmaxKernels, softmax)
