// Pieces of batch and layer normalization. Statistics take two passes over a block that stays in cache, the second one
// around the first one's mean, so that a large mean does not drown a small variance.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

template <class T>
struct NormTable {
  // x (n, width), rows `stride` apart -> mean and m2 = sum (x - mean)^2 of each column.
  void (*moments)(const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, double* mean, double* m2);
  // y = (x - mean) scale + shift, per column.
  void (*apply)(const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, const T* mean, const T* scale,
                const T* shift, T* y);
  // Sums over rows of dy and of dy (x - mean).
  void (*grad_sums)(const T* dy, const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, const T* mean,
                    double* sum_dy, double* sum_dy_x);
  // dx = a dy + b (x - mean) + d, per column.
  void (*grad_apply)(const T* dy, const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, const T* mean,
                     const T* a, const T* b, const T* d, T* dx);
  // Each row of x (rows, n) normalized; gamma and beta (n,) or nullptr.
  void (*layer_rows)(const T* x, std::int64_t rows, std::int64_t n, const T* gamma, const T* beta, double epsilon, T* y,
                     T* mean, T* variance);
  // dx of the rows; their contributions to dgamma and dbeta (n,) are stored, not added.
  void (*layer_grad_rows)(const T* dy, const T* x, std::int64_t rows, std::int64_t n, const T* gamma, const T* mean,
                          const T* variance, double epsilon, T* dx, T* dgamma, T* dbeta);
};

struct NormKernels {
  NormTable<float> f32;
  NormTable<double> f64;
};

}  // namespace kcore::kernels

KCORE_KERNELS(NormKernels, norm)
