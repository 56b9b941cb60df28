// Pieces of batch and layer normalization. Statistics are sums around a value from among the summed, so that a large
// mean does not drown a small variance; short sums in T, put together in double.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

inline constexpr std::int64_t kNormWidth = 512;  // columns that moments and grad_sums take at most

// y = (x - center) scale + shift and dx = a dy + b (x - center) + d, per column.
template <class T>
struct NormTable {
  // x (rows, width), rows `stride` apart -> mean and m2 = sum (x - mean)^2 of each column.
  void (*moments)(const T* x, std::int64_t rows, std::int64_t width, std::int64_t stride, double* mean, double* m2);
  // Those of blocks of `count` rows (the last of `last`), `stride` apart in means and m2s, as of one.
  void (*merge_moments)(const double* means, const double* m2s, std::int64_t blocks, std::int64_t width,
                        std::int64_t stride, std::int64_t count, std::int64_t last, double* mean, double* m2);
  // What apply needs of n channels; gamma and beta may be nullptr.
  void (*coefficients)(const double* mean, const double* variance, std::int64_t n, const T* gamma, const T* beta,
                       double epsilon, T* center, T* scale, T* shift);
  // n elements of x, the first of them in column 0; a row is `width` of them. A residual, if any, is added to y, and
  // then what is below zero is cut off (`relu`).
  void (*apply)(const T* x, std::int64_t n, std::int64_t width, const T* center, const T* scale, const T* shift,
                const T* residual, bool relu, T* y, bool stream);

  // Sums over rows of dy and of dy (x - center). With a scale, here and below, dy counts only where y = (x - center)
  // scale + shift is above zero.
  void (*grad_sums)(const T* dy, const T* x, std::int64_t rows, std::int64_t width, std::int64_t stride,
                    const T* center, const T* scale, const T* shift, double* sum_dy, double* sum_dy_x);
  // sums[c] = the sum of column c of parts (rows, width), rows `stride` apart.
  void (*merge_sums)(const double* parts, std::int64_t rows, std::int64_t width, std::int64_t stride, double* sums);
  // What grad_apply needs of n channels of `rows` elements; gamma may be nullptr.
  void (*grad_coefficients)(const double* sum_dy, const double* sum_dy_x, std::int64_t n, double rows, const T* gamma,
                            const T* variance, double epsilon, T* dgamma, T* dbeta, T* a, T* b, T* d);
  void (*grad_apply)(const T* dy, const T* x, std::int64_t n, std::int64_t width, const T* center, const T* a,
                     const T* b, const T* d, const T* scale, const T* shift, T* dx, bool stream);

  // Each row of x (rows, n) normalized; gamma and beta (n,) or nullptr.
  void (*layer_rows)(const T* x, std::int64_t rows, std::int64_t n, const T* gamma, const T* beta, double epsilon, T* y,
                     T* mean, T* variance, bool stream);
  // dx of the rows; their contributions to dgamma and dbeta (n,) are stored, not added.
  void (*layer_grad_rows)(const T* dy, const T* x, std::int64_t rows, std::int64_t n, const T* gamma, const T* mean,
                          const T* variance, double epsilon, T* dx, T* dgamma, T* dbeta, bool stream);
};

struct NormKernels {
  NormTable<float> f32;
  NormTable<double> f64;
};

}  // namespace kcore::kernels

KCORE_KERNELS(NormKernels, norm)
