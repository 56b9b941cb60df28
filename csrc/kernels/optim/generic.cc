// Optimizer updates over a range; plain loops that vectorize.
#include "kernels/math.h"
#include "kernels/math_wide.h"
#include "kernels/optim/optim.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
void sgd(const OptimRange<T>& r, const SgdScalars<T>& s) {
  const T *w = r.w, *g = r.g, *m = r.slot[0];
  T *w_new = r.w_new, *m_new = r.slot_new[0];
  if (!m) {
#pragma omp simd
    for (std::int64_t i = 0; i < r.n; ++i) w_new[i] = w[i] - s.lr * g[i];
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < r.n; ++i) {
    const T step = s.lr * g[i];
    const T next = s.momentum * m[i] - step;
    m_new[i] = next;
    w_new[i] = w[i] + (s.nesterov ? s.momentum * next - step : next);
  }
}

template <class T, bool centered, bool has_momentum>
void rmsprop_loop(const OptimRange<T>& r, const RmspropScalars<T>& s) {
#pragma omp simd
  for (std::int64_t i = 0; i < r.n; ++i) {
    const T g = r.g[i];
    const T v = s.rho * r.slot[0][i] + s.one_minus_rho * g * g;
    r.slot_new[0][i] = v;
    T denominator = v + s.epsilon;
    if constexpr (centered) {
      const T average = s.rho * r.slot[1][i] + s.one_minus_rho * g;
      r.slot_new[1][i] = average;
      denominator = v - average * average + s.epsilon;
    }
    T step = s.lr * g / sqrt_of(denominator);
    if constexpr (has_momentum) {
      step += s.momentum * r.slot[2][i];
      r.slot_new[2][i] = step;
    }
    r.w_new[i] = r.w[i] - step;
  }
}

template <class T>
void rmsprop(const OptimRange<T>& r, const RmspropScalars<T>& s) {
  if (r.slot[1])
    r.slot[2] ? rmsprop_loop<T, true, true>(r, s) : rmsprop_loop<T, true, false>(r, s);
  else
    r.slot[2] ? rmsprop_loop<T, false, true>(r, s) : rmsprop_loop<T, false, false>(r, s);
}

template <class T>
void adagrad(const OptimRange<T>& r, const AdagradScalars<T>& s) {
#pragma omp simd
  for (std::int64_t i = 0; i < r.n; ++i) {
    const T g = r.g[i], sum = r.slot[0][i] + g * g;
    r.slot_new[0][i] = sum;
    r.w_new[i] = r.w[i] - s.lr * g / sqrt_of(sum + s.epsilon);
  }
}

template <class T>
void adadelta(const OptimRange<T>& r, const AdadeltaScalars<T>& s) {
#pragma omp simd
  for (std::int64_t i = 0; i < r.n; ++i) {
    const T g = r.g[i];
    const T squares = s.rho * r.slot[0][i] + s.one_minus_rho * g * g;
    const T delta = -sqrt_of(r.slot[1][i] + s.epsilon) * g / sqrt_of(squares + s.epsilon);
    r.slot_new[0][i] = squares;
    r.slot_new[1][i] = s.rho * r.slot[1][i] + s.one_minus_rho * delta * delta;
    r.w_new[i] = r.w[i] + s.lr * delta;
  }
}

template <class T, bool amsgrad>
void adam_loop(const OptimRange<T>& r, const AdamScalars<T>& s) {
#pragma omp simd
  for (std::int64_t i = 0; i < r.n; ++i) {
    const T g = r.g[i];
    const T m = r.slot[0][i] + (g - r.slot[0][i]) * s.one_minus_beta_1;
    T v = r.slot[1][i] + (g * g - r.slot[1][i]) * s.one_minus_beta_2;
    r.slot_new[0][i] = m;
    r.slot_new[1][i] = v;
    if constexpr (amsgrad) {
      v = r.slot[2][i] > v ? r.slot[2][i] : v;
      r.slot_new[2][i] = v;
    }
    r.w_new[i] = r.w[i] - m * s.alpha / (sqrt_of(v) + s.epsilon);
  }
}

template <class T>
void adam(const OptimRange<T>& r, const AdamScalars<T>& s) {
  r.slot[2] ? adam_loop<T, true>(r, s) : adam_loop<T, false>(r, s);
}

template <class T>
void adamax(const OptimRange<T>& r, const AdamaxScalars<T>& s) {
#pragma omp simd
  for (std::int64_t i = 0; i < r.n; ++i) {
    const T g = r.g[i], size = g < T(0) ? -g : g;
    const T m = r.slot[0][i] + (g - r.slot[0][i]) * s.one_minus_beta_1;
    const T decayed = s.beta_2 * r.slot[1][i];
    const T u = decayed > size ? decayed : size;
    r.slot_new[0][i] = m;
    r.slot_new[1][i] = u;
    r.w_new[i] = r.w[i] - s.lr * m / (s.correction * (u + s.epsilon));
  }
}

template <class T>
void nadam(const OptimRange<T>& r, const NadamScalars<T>& s) {
#pragma omp simd
  for (std::int64_t i = 0; i < r.n; ++i) {
    const T g = r.g[i];
    const T m = r.slot[0][i] + (g - r.slot[0][i]) * s.one_minus_beta_1;
    const T v = r.slot[1][i] + (g * g - r.slot[1][i]) * s.one_minus_beta_2;
    r.slot_new[0][i] = m;
    r.slot_new[1][i] = v;
    r.w_new[i] = r.w[i] - s.lr * (s.m_scale * m + s.g_scale * g) / (sqrt_of(v / s.v_correction) + s.epsilon);
  }
}

template <class T>
void lion(const OptimRange<T>& r, const LionScalars<T>& s) {
#pragma omp simd
  for (std::int64_t i = 0; i < r.n; ++i) {
    const T g = r.g[i], m = r.slot[0][i];
    const T mix = s.beta_1 * m + s.one_minus_beta_1 * g;
    r.slot_new[0][i] = s.beta_2 * m + s.one_minus_beta_2 * g;
    r.w_new[i] = r.w[i] - s.lr * (mix > T(0) ? T(1) : mix < T(0) ? T(-1) : mix);
  }
}

// accumulated(sum) is sum^-power.
template <class T, class Accumulated>
KCORE_INLINE void ftrl_loop(const OptimRange<T>& r, const FtrlScalars<T>& s, const Accumulated& accumulated) {
#pragma omp simd
  for (std::int64_t i = 0; i < r.n; ++i) {
    const T w = r.w[i], g = r.g[i], sum = r.slot[0][i] + g * g;
    const T scaled = accumulated(sum), sigma = (scaled - accumulated(r.slot[0][i])) / s.lr;
    const T linear = r.slot[1][i] + g + T(2) * s.l2_shrinkage * w - sigma * w;
    const T clipped = linear > s.l1 ? s.l1 : linear < -s.l1 ? -s.l1 : linear;
    r.slot_new[0][i] = sum;
    r.slot_new[1][i] = linear;
    r.w_new[i] = (clipped - linear) / (scaled / s.lr + T(2) * s.l2);
  }
}

template <class T>
void ftrl(const OptimRange<T>& r, const FtrlScalars<T>& s) {
  if (s.power == T(-0.5))  // the default
    ftrl_loop(r, s, [](T sum) { return sqrt_of(sum); });
  else
    ftrl_loop(r, s, [&s](T sum) { return power_of(sum, -s.power); });
}

template <class T>
constexpr OptimUpdates<T> updates() {
  return {sgd<T>, rmsprop<T>, adagrad<T>, adadelta<T>, adam<T>, adamax<T>, nadam<T>, lion<T>, ftrl<T>};
}

}  // namespace

const OptimKernels optim_table = {updates<float>(), updates<double>()};

}  // namespace kcore::kernels::KCORE_ISA
