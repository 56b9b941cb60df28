// Branch-free float functions that loops vectorize; double goes to the C library, but for exp, which is within 1 ULP.
// NaN and Inf pass as in IEEE.
//
// Largest error in units of the last place of the exact result, over all floats, on any ISA (tests/test_math.py):
//
//   exp 1.1   expm1 1.6   log 0.8   log1p 1.4   tanh 1.5   sigmoid 2.4   softplus 1.7   erf 1.2
//
// exp and sigmoid of float flush results below 2^-126 to zero: denormals would be slow wherever a softmax masks.
// Range reduction and the polynomials of exp and log after S. L. Moshier, Cephes Math Library; the others were fitted
// for this file by Remez exchange. What is rarer or harder is in math_wide.h.
// Included by files compiled per ISA: everything is always inlined, so no symbol escapes.
#pragma once

#define KCORE_INLINE inline __attribute__((always_inline))

namespace kcore::kernels::KCORE_ISA {

KCORE_INLINE float bits_to_float(unsigned bits) { return __builtin_bit_cast(float, bits); }
KCORE_INLINE unsigned float_to_bits(float x) { return __builtin_bit_cast(unsigned, x); }

// x = n log(2) + r with |r| <= log(2) / 2; e^r = 1 + r + tail.
struct Exponent {
  float shifted;  // n in its lowest bits
  float n, r, tail;
};
KCORE_INLINE Exponent split_exponent(float x) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  Exponent e;
  e.shifted = x * 1.44269504088896341f + kShift;
  e.n = e.shifted - kShift;
  e.r = x - e.n * 0.693359375f;
  e.r -= e.n * -2.12194440e-4f;
  const float z = e.r * e.r;
  float p = 1.9875691500e-4f * e.r + 1.3981999507e-3f;
  p = p * z + (8.3334519073e-3f * e.r + 4.1665795894e-2f);
  p = p * z + (1.6666665459e-1f * e.r + 5.0000001201e-1f);
  e.tail = p * z;
  return e;
}

inline constexpr float kLowestExp = -87.336544750553f, kHighestExp = 88.722839f;

// For x <= 0 or NaN. What is computed from it needs fewer selects than with exp_of, and waits less for them.
KCORE_INLINE float exp_of_negative(float x) {
  const Exponent e = split_exponent(x < kLowestExp ? kLowestExp : x);
  const float p = e.tail + e.r + 1.0f;
  const float y = bits_to_float(float_to_bits(p) + (float_to_bits(e.shifted) << 23));  // p 2^n
  return x < kLowestExp ? 0.0f : x == x ? y : x;
}

KCORE_INLINE float exp_of(float x) {
  const float raised = x < kLowestExp ? kLowestExp : x;
  const Exponent e = split_exponent(raised > kHighestExp ? kHighestExp : raised);
  const float p = e.tail + e.r + 1.0f;
  float y = bits_to_float(float_to_bits(p) + (float_to_bits(e.shifted) << 23));
  y = x < kLowestExp ? 0.0f : y;
  y = x > kHighestExp ? __builtin_inff() : y;
  return x == x ? y : x;
}

// As for float, with the series of e^r. 2^n is two factors, so that denormal results are not flushed.
KCORE_INLINE double exp_of(double x) {
  constexpr double kShift = 0x1.8p52;
  const double raised = x < -746.0 ? -746.0 : x, within = raised > 710.0 ? 710.0 : raised;
  const double n = (within * 1.44269504088896340736 + kShift) - kShift;
  const double r = (within - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
  const double z = r * r;
  double p = r * (1.0 / 6227020800) + 1.0 / 479001600;
  p = p * z + (r * (1.0 / 39916800) + 1.0 / 3628800);
  p = p * z + (r * (1.0 / 362880) + 1.0 / 40320);
  p = p * z + (r * (1.0 / 5040) + 1.0 / 720);
  p = p * z + (r * (1.0 / 120) + 1.0 / 24);
  p = p * z + (r * (1.0 / 6) + 0.5);
  const double half = (0.5 * n + kShift) - kShift;
  const double first = __builtin_bit_cast(double, __builtin_bit_cast(unsigned long long, half + (kShift + 1023)) << 52);
  const double second =
      __builtin_bit_cast(double, __builtin_bit_cast(unsigned long long, n - half + (kShift + 1023)) << 52);
  const double y = ((p * z + r) + 1.0) * first * second;
  return x == x ? y : x;
}
KCORE_INLINE double exp_of_negative(double x) { return exp_of(x); }

KCORE_INLINE float expm1_of(float x) {
  const float raised = x < -20.0f ? -20.0f : x;  // below, the result rounds to -1
  const Exponent e = split_exponent(raised > kHighestExp ? kHighestExp : raised);
  const float half = bits_to_float((float_to_bits(e.shifted) << 23) + 0x3f000000u);  // 2^(n - 1): 2^n may overflow
  float y = half * (e.tail + e.r) + (half - 0.5f);
  y = x > kHighestExp ? __builtin_inff() : y + y;
  return x < 0.0f || x > 0.0f ? y : x;  // -0 and NaN as they are
}
KCORE_INLINE double expm1_of(double x) { return __builtin_expm1(x); }

// log(2^n (1 + f)), |f| < 0.42.
KCORE_INLINE float join_log(float n, float f) {
  const float z = f * f;
  float p = 7.0376836292e-2f * z + (-1.1514610310e-1f * f + 1.1676998740e-1f);
  p = p * z + (-1.2420140846e-1f * f + 1.4249322787e-1f);
  p = p * z + (-1.6668057665e-1f * f + 2.0000714765e-1f);
  p = p * z + (-2.4999993993e-1f * f + 3.3333331174e-1f);
  float y = f * z * p;
  y += -2.12194440e-4f * n;
  y -= 0.5f * z;
  y = f + y;
  return y + 0.693359375f * n;
}

// log(0) = -inf, log(negative) = NaN.
KCORE_INLINE float log_of(float x) {
  // Denormals are scaled by 2^23. Each choice is made once, by arithmetic on bits: two selects by one condition are
  // turned into branches, and the loop does not vectorize.
  const float scale = x < 1.17549435e-38f ? 8388608.0f : 1.0f;
  const unsigned bits = float_to_bits(x * scale);
  const unsigned above = bits - 0x3f3504f3;  // sqrt(1/2): the mantissa is taken from there to sqrt(2)
  const float m = bits_to_float(bits - (above & 0xff800000));
  const int n = (static_cast<int>(above) >> 23) - static_cast<int>(float_to_bits(scale) >> 23) + 127;
  float y = join_log(static_cast<float>(n), m - 1.0f);
  y = x == __builtin_inff() ? x : y;
  y = x == 0.0f ? -__builtin_inff() : y;
  y = x < 0.0f ? __builtin_nanf("") : y;
  return x == x ? y : x;
}
KCORE_INLINE double log_of(double x) { return __builtin_log(x); }

KCORE_INLINE float log1p_of(float x) {
  const float u = 1.0f + x;
  const float lost = x < 1.0f ? x - (u - 1.0f) : 1.0f - (u - x);  // 1 + x = u + lost
  const unsigned bits = float_to_bits(u);
  const float m = bits_to_float((bits & 0x007fffff) | 0x3f800000);  // in [1, 2)
  const unsigned exponent = bits >> 23 & 0xff;
  const bool high = m > 1.41421356237309505f;
  const float half = high ? 0.5f : 1.0f;
  const float scale = bits_to_float((254 - exponent) << 23) * half;  // what brings u to m, as m is halved
  const int n = static_cast<int>(exponent) - 127 + (high ? 1 : 0);
  float y = join_log(static_cast<float>(n), (m * half - 1.0f) + lost * scale);
  y = x == __builtin_inff() ? x : y;
  y = x == -1.0f ? -__builtin_inff() : y;
  y = x < -1.0f ? __builtin_nanf("") : y;
  return x < 0.0f || x > 0.0f ? y : x;
}
KCORE_INLINE double log1p_of(double x) { return __builtin_log1p(x); }

// An odd polynomial near zero, where 1 - 2 / (e^2x + 1) would cancel.
KCORE_INLINE float tanh_of(float x) {
  const float a = __builtin_fabsf(x);
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float small = p * z * a + a;
  const float e = exp_of_negative(-2.0f * a), big = 1.0f - 2.0f * e / (1.0f + e);
  return __builtin_copysignf(a < 0.625f ? small : big, x);
}
KCORE_INLINE double tanh_of(double x) { return __builtin_tanh(x); }

// Both tails keep their relative accuracy: e^-|x| never overflows.
template <class T>
KCORE_INLINE T sigmoid_of(T x) {
  const T e = exp_of_negative(x < T(0) ? x : -x);
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

// log1p(e) for 0 <= e <= 1 or NaN.
KCORE_INLINE float log1p_of_unit(float e) {
  const float u = 1.0f + e, lost = e - (u - 1.0f), n = u > 1.41421356237309505f ? 1.0f : 0.0f;
  const float half = 1.0f - 0.5f * n;
  return join_log(n, (u * half - 1.0f) + lost * half);
}
KCORE_INLINE double log1p_of_unit(double e) { return __builtin_log1p(e); }
// log(1 + e^x) without overflow.
template <class T>
KCORE_INLINE T softplus_of(T x) {
  return (x < T(0) ? T(0) : x) + log1p_of_unit(exp_of_negative(x < T(0) ? x : -x));
}

// erf(x) for |x| <= 0.921875.
KCORE_INLINE float erf_center(float x) {
  const float z = x * x;
  const float zz = z * z;
  float p = 8.397804409e-5f * zz + (-8.149808273e-4f * z + 5.201716442e-3f);
  p = p * zz + (-2.685970254e-2f * z + 1.128370166e-1f);
  p = p * zz + (-3.761263490e-1f * z + 1.283791661e-1f);
  return p * x + x;
}
// 1 - erf(a) for a >= 0.921875: to within 2^-26, and to a relative error of 2^-20.
KCORE_INLINE float erf_complement(float a) {
  const float b = a > 9.3f ? 9.3f : a, z = b * b;  // where the result is 2^-126
  float p = -9.916576573e-7f * b + 3.319402458e-5f;
  p = p * z + (-4.883727524e-4f * b + 4.256250337e-3f);
  p = p * z + (-2.501800843e-2f * b + 1.076811403e-1f);
  p = p * z + (6.342782974e-1f * b + 1.288639456e-1f);
  return exp_of_negative(-(p * b + b));
}
KCORE_INLINE float erf_of(float x) {
  const float a = __builtin_fabsf(x);
  const float big = __builtin_copysignf(1.0f - erf_complement(a), x);
  return a > 0.921875f ? big : erf_center(x);
}
KCORE_INLINE double erf_of(double x) { return __builtin_erf(x); }

// P(N > a) of the standard normal distribution for a >= 0, to a relative error of 2^-21 at a = 5: e = exp(-a^2 / 2), of
// which the quotient is a smooth function, here a polynomial in 1 / (1 + 0.34 a).
KCORE_INLINE float normal_tail(float a, float e) {
  const float t = 1.0f / (1.0f + 0.34f * a), z = t * t;
  float p = -2.637022781e-2f * z + (1.406719623e-1f * t - 2.754620281e-1f);
  p = p * z + (2.047323633e-1f * t - 4.639487286e-2f);
  p = p * z + (1.160348848e-1f * t + 1.150351114e-1f);
  p = p * z + (1.361334752e-1f * t + 1.356193451e-1f);
  return p * t * e;
}
// P(N < x): unlike (1 + erf(x / sqrt(2))) / 2, it does not cancel for x < 0.
KCORE_INLINE float normal_cdf_of(float x, float e) {
  const float tail = normal_tail(__builtin_fabsf(x), e);
  return x < 0.0f ? tail : 1.0f - tail;
}
KCORE_INLINE float normal_cdf_of(float x) { return normal_cdf_of(x, exp_of_negative(-0.5f * x * x)); }
KCORE_INLINE double normal_cdf_of(double x) { return 0.5 * __builtin_erfc(x * -0.70710678118654752440); }
KCORE_INLINE double normal_cdf_of(double x, double) { return normal_cdf_of(x); }

#define KCORE_LIBM(name)                                                   \
  KCORE_INLINE float name##_of(float x) { return __builtin_##name##f(x); } \
  KCORE_INLINE double name##_of(double x) { return __builtin_##name(x); }
KCORE_LIBM(sqrt)
KCORE_LIBM(floor)
KCORE_LIBM(ceil)
KCORE_LIBM(trunc)
KCORE_LIBM(rint)
#undef KCORE_LIBM

}  // namespace kcore::kernels::KCORE_ISA
