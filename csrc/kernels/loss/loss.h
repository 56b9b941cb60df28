// Cross-entropies fused with the softmax or the normalization before them. One loss per row of (rows, n), or per
// element.
//   logits:         loss = -sum t log softmax(x)
//   probabilities:  loss = -sum t log clip(p / sum p, epsilon, 1 - epsilon)    (binary: of p and 1 - p, not divided)
// Outside the clipped range the gradient is zero. Labels are in [0, n): the caller has checked.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

template <class T>
struct LossTable {
  void (*softmax)(const T* x, const T* target, std::int64_t rows, std::int64_t n, T* loss);
  // `stream`: results are written around the cache.
  void (*softmax_grad)(const T* dy, const T* x, const T* target, std::int64_t rows, std::int64_t n, T* dx, bool stream);
  void (*sparse_softmax)(const T* x, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T* loss);
  void (*sparse_softmax_grad)(const T* dy, const T* x, const std::int64_t* labels, std::int64_t rows, std::int64_t n,
                              T* dx, bool stream);
  void (*dense)(const T* p, const T* target, std::int64_t rows, std::int64_t n, T epsilon, T* loss);
  void (*dense_grad)(const T* dy, const T* p, const T* target, std::int64_t rows, std::int64_t n, T epsilon, T* dp);
  void (*sparse)(const T* p, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T epsilon, T* loss);
  void (*sparse_grad)(const T* dy, const T* p, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T epsilon,
                      T* dp);
  void (*sigmoid)(const T* x, const T* target, std::int64_t n, T* loss);
  void (*sigmoid_grad)(const T* dy, const T* x, const T* target, std::int64_t n, T* dx);
  void (*binary)(const T* p, const T* target, std::int64_t n, T epsilon, T* loss);
  void (*binary_grad)(const T* dy, const T* p, const T* target, std::int64_t n, T epsilon, T* dp);
};

struct LossKernels {
  LossTable<float> f32;
  LossTable<double> f64;
};

}  // namespace kcore::kernels

KCORE_KERNELS(LossKernels, loss)
