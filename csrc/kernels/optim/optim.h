// Optimizer updates: one pass over a weight, its gradient and its slots, writing the new weight and the new slots.
// Formulas as Keras applies them, in the weight's precision. Scalars that depend on the step come in already computed.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore {

inline constexpr int kOptimArrays = 4;  // a weight and its slots, at most

// A range of n elements. A slot that an update does not use is nullptr.
template <class T>
struct OptimRange {
  std::int64_t n;
  const T *w, *g, *slot[kOptimArrays - 1];
  T *w_new, *slot_new[kOptimArrays - 1];
};

// slot 0 momentum (optional): m = momentum m - lr g; w += m, or for nesterov w += momentum m - lr g
template <class T>
struct SgdScalars {
  T lr, momentum;
  bool nesterov;
};

// slot 0 velocity, 1 average of g (optional: centered), 2 momentum (optional)
//   v = rho v + (1 - rho) g^2;  step = lr g / sqrt(v - average^2 + epsilon);  m = momentum m + step;  w -= m
template <class T>
struct RmspropScalars {
  T lr, rho, one_minus_rho, momentum, epsilon;
};

// slot 0 sum of g^2:  w -= lr g / sqrt(sum + epsilon)
template <class T>
struct AdagradScalars {
  T lr, epsilon;
};

// slot 0 average of g^2, 1 average of delta^2:  delta = -g sqrt(slot 1 + epsilon) / sqrt(slot 0 + epsilon);  w += lr
// delta
template <class T>
struct AdadeltaScalars {
  T lr, rho, one_minus_rho, epsilon;
};

// slot 0 m, 1 v, 2 the largest v (optional: amsgrad):  w -= alpha m / (sqrt(v) + epsilon)
template <class T>
struct AdamScalars {
  T alpha, one_minus_beta_1, one_minus_beta_2, epsilon;
};

// slot 0 m, 1 u:  u = max(beta_2 u, |g|);  w -= lr m / (correction (u + epsilon))
template <class T>
struct AdamaxScalars {
  T lr, one_minus_beta_1, beta_2, correction, epsilon;
};

// slot 0 m, 1 v:  w -= lr (m_scale m + g_scale g) / (sqrt(v / v_correction) + epsilon)
template <class T>
struct NadamScalars {
  T lr, one_minus_beta_1, one_minus_beta_2, m_scale, g_scale, v_correction, epsilon;
};

// slot 0 m:  w -= lr sign(beta_1 m + (1 - beta_1) g);  m = beta_2 m + (1 - beta_2) g
template <class T>
struct LionScalars {
  T lr, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2;
};

// slot 0 sum of g^2, 1 linear; H. B. McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013
template <class T>
struct FtrlScalars {
  T lr, power, l1, l2, l2_shrinkage;
};

template <class T>
struct OptimUpdates {
  void (*sgd)(const OptimRange<T>& range, const SgdScalars<T>& scalars);
  void (*rmsprop)(const OptimRange<T>& range, const RmspropScalars<T>& scalars);
  void (*adagrad)(const OptimRange<T>& range, const AdagradScalars<T>& scalars);
  void (*adadelta)(const OptimRange<T>& range, const AdadeltaScalars<T>& scalars);
  void (*adam)(const OptimRange<T>& range, const AdamScalars<T>& scalars);
  void (*adamax)(const OptimRange<T>& range, const AdamaxScalars<T>& scalars);
  void (*nadam)(const OptimRange<T>& range, const NadamScalars<T>& scalars);
  void (*lion)(const OptimRange<T>& range, const LionScalars<T>& scalars);
  void (*ftrl)(const OptimRange<T>& range, const FtrlScalars<T>& scalars);
};

struct OptimKernels {
  OptimUpdates<float> f32;
  OptimUpdates<double> f64;
};

}  // namespace kcore

KCORE_KERNELS(OptimKernels, optim)
