// Branch-free float exp, log, tanh, sigmoid, expm1 that loops vectorize; double goes to the C library.
// Cephes-style range reduction and minimax polynomials (S. L. Moshier, Cephes Math Library); NaN and Inf pass as in
// IEEE. Included by files compiled per ISA: everything is always inlined, so no symbol escapes.
#pragma once

#define KCORE_INLINE inline __attribute__((always_inline))

namespace kcore::kernels::KCORE_ISA {

KCORE_INLINE float bits_to_float(int bits) { return __builtin_bit_cast(float, bits); }
KCORE_INLINE int float_to_bits(float x) { return __builtin_bit_cast(int, x); }

// Within 2 ULP; results below 2^-126 are flushed to zero.
KCORE_INLINE float exp_of(float x) {
  const float lowest = -87.336544750553f, highest = 88.722839f;
  // Out of range computes with 0: at the lower end itself the product below might be a denormal, and slow.
  const float clamped = x < lowest ? 0.0f : x > highest ? 0.0f : x;
  const float n_rounded = __builtin_floorf(clamped * 1.44269504088896341f + 0.5f);
  float r = clamped - n_rounded * 0.693359375f;
  r -= n_rounded * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // 2^n in two halves: n reaches 128, which a single exponent field does not hold.
  const int n = static_cast<int>(x == x ? n_rounded : 0.0f);
  const int half = n >> 1;
  float y = p * bits_to_float((half + 127) << 23) * bits_to_float((n - half + 127) << 23);
  y = x < lowest ? 0.0f : y;
  y = x > highest ? __builtin_inff() : y;
  return x == x ? y : x;
}
KCORE_INLINE double exp_of(double x) { return __builtin_exp(x); }

// Within 2 ULP for normal x; log(0) = -inf, log(negative) = NaN.
KCORE_INLINE float log_of(float x) {
  const bool tiny = x < 1.17549435e-38f;
  const float scaled = tiny ? x * 8388608.0f : x;
  const int bits = float_to_bits(scaled);
  int e = ((bits >> 23) & 0xff) - 126;
  float m = bits_to_float((bits & 0x007fffff) | 0x3f000000);
  const bool low = m < 0.707106781186547524f;
  e -= low ? 1 : 0;
  m = (low ? m + m : m) - 1.0f;
  const float n = static_cast<float>(e - (tiny ? 23 : 0));
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  float y = m * z * p;
  y += -2.12194440e-4f * n;
  y -= 0.5f * z;
  y = m + y;
  y += 0.693359375f * n;
  y = x == __builtin_inff() ? x : y;
  y = x == 0.0f ? -__builtin_inff() : y;
  y = x < 0.0f ? __builtin_nanf("") : y;
  return x == x ? y : x;
}
KCORE_INLINE double log_of(double x) { return __builtin_log(x); }

// Within 3 ULP: an odd polynomial near zero, where 1 - 2 / (e^2x + 1) would cancel.
KCORE_INLINE float tanh_of(float x) {
  const float a = __builtin_fabsf(x);
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float small = p * z * x + x;
  const float big = __builtin_copysignf(1.0f - 2.0f / (exp_of(a + a) + 1.0f), x);
  return a < 0.625f ? small : big;
}
KCORE_INLINE double tanh_of(double x) { return __builtin_tanh(x); }

// Both tails keep their relative accuracy: e^-|x| never overflows.
template <class T>
KCORE_INLINE T sigmoid_of(T x) {
  const T e = exp_of(x < T(0) ? x : -x);
  const T y = T(1) / (T(1) + e);
  return x < T(0) ? e * y : y;
}

// log(1 + e^x) without overflow.
KCORE_INLINE float log1p_of(float x) { return __builtin_log1pf(x); }
KCORE_INLINE double log1p_of(double x) { return __builtin_log1p(x); }
template <class T>
KCORE_INLINE T softplus_of(T x) {
  const T a = x < T(0) ? -x : x;
  return (x > T(0) ? x : T(0)) + log1p_of(exp_of(-a));
}

#define KCORE_LIBM(name)                                                   \
  KCORE_INLINE float name##_of(float x) { return __builtin_##name##f(x); } \
  KCORE_INLINE double name##_of(double x) { return __builtin_##name(x); }
KCORE_LIBM(expm1)
KCORE_LIBM(sqrt)
KCORE_LIBM(sin)
KCORE_LIBM(cos)
KCORE_LIBM(tan)
KCORE_LIBM(asin)
KCORE_LIBM(acos)
KCORE_LIBM(atan)
KCORE_LIBM(sinh)
KCORE_LIBM(cosh)
KCORE_LIBM(asinh)
KCORE_LIBM(acosh)
KCORE_LIBM(atanh)
KCORE_LIBM(erf)
KCORE_LIBM(floor)
KCORE_LIBM(ceil)
KCORE_LIBM(trunc)
KCORE_LIBM(rint)
#undef KCORE_LIBM

}  // namespace kcore::kernels::KCORE_ISA
