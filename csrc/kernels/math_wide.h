// Float functions computed in double, so that no step needs care for its rounding: vectorized, about half as fast as
// those of math.h. Largest error of each: 0.51 ULP; 1.5 for sin and cos, whose polynomials are float.
//
// sin, cos and tan hold for |x| <= kLargestAngle; callers give larger arguments to the C library.
// Series are Taylor's where a few terms more are cheap, else fitted by Remez exchange for this file.
#pragma once

#include <cstdint>

#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {

KCORE_INLINE double bits_to_double(std::uint64_t bits) { return __builtin_bit_cast(double, bits); }
KCORE_INLINE std::uint64_t double_to_bits(double x) { return __builtin_bit_cast(std::uint64_t, x); }

// e^r - 1 for |r| <= 0.35, to 2^-37.
KCORE_INLINE double expm1_series(double r) {
  const double z = r * r;
  double p = r * (1.0 / 362880) + 1.0 / 40320;
  p = p * z + (r * (1.0 / 5040) + 1.0 / 720);
  p = p * z + (r * (1.0 / 120) + 1.0 / 24);
  p = p * z + (r * (1.0 / 6) + 0.5);
  return p * z + r;
}
constexpr double kRound = 0x1.8p52;  // adding it rounds to an integer, which is then in the lowest bits
KCORE_INLINE double power_of_two(double shifted) { return bits_to_double((double_to_bits(shifted) + 1023) << 52); }

// e^x - 1 for |x| <= 700.
KCORE_INLINE double expm1_wide(double x) {
  const double shifted = x * 1.44269504088896340736 + kRound, n = shifted - kRound;
  const double s = power_of_two(shifted);
  return s * expm1_series(x - n * 0.69314718055994530942) + (s - 1);
}

// log(x) for positive finite x that are not denormal: 2 artanh((m - 1) / (m + 1)), |s| < 0.172.
KCORE_INLINE double log_wide(double x) {
  const std::uint64_t bits = double_to_bits(x), above = bits + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);  // sqrt(1/2)
  const double m = bits_to_double(bits - (above & 0xfff0000000000000) + 0x3ff0000000000000);
  const double n = bits_to_double(above >> 52 | 0x4330000000000000) - (0x1p52 + 1023);  // the exponent as a double
  const double f = m - 1, s = f / (f + 2), z = s * s;
  const double zz = z * z;
  double p = z * (2.0 / 13) + 2.0 / 11;
  p = p * zz + (z * (2.0 / 9) + 2.0 / 7);
  p = p * zz + (z * (2.0 / 5) + 2.0 / 3);
  return n * 0.69314718055994530942 + (2 * s + s * z * p);
}
// log(1 + x) for x >= 0.
KCORE_INLINE double log1p_wide(double x) {
  const double u = 1 + x;
  return log_wide(u) + (x - (u - 1)) / u;
}

inline constexpr float kLargestAngle = 0x1p28f;

// x = n pi/2 + r; the parts of pi/2 have few enough bits that n times the first is exact.
struct Angle {
  double r;
  unsigned quadrant;
};
KCORE_INLINE Angle split_angle(float x) {
  const double shifted = static_cast<double>(x) * 0.63661977236758134308 + kRound, n = shifted - kRound;
  return {static_cast<double>(x) - n * 1.57079631090164184570 - n * 1.58932547735281966916e-08,
          static_cast<unsigned>(double_to_bits(shifted))};
}
KCORE_INLINE float sin_series(float r, float z) {
  float p = -1.951729937e-4f;
  p = p * z + 8.332177997e-3f;
  p = p * z - 1.666665524e-1f;
  return p * z * r + r;
}
KCORE_INLINE float cos_series(float z) {
  float p = 2.443845187e-5f;
  p = p * z - 1.388736768e-3f;
  p = p * z + 4.166664556e-2f;
  return p * (z * z) - 0.5f * z + 1.0f;
}
KCORE_INLINE float sin_of_quadrant(float r, unsigned quadrant) {
  const float z = r * r, s = sin_series(r, z), c = cos_series(z);
  return bits_to_float(float_to_bits(quadrant & 1 ? c : s) ^ (quadrant & 2) << 30);
}
KCORE_INLINE float sin_of(float x) {
  const Angle a = split_angle(x);
  const float y = sin_of_quadrant(static_cast<float>(a.r), a.quadrant);
  return x < 0.0f || x > 0.0f ? y : x;
}
KCORE_INLINE float cos_of(float x) {
  const Angle a = split_angle(x);
  return sin_of_quadrant(static_cast<float>(a.r), a.quadrant + 1);
}
KCORE_INLINE float tan_of(float x) {
  const Angle a = split_angle(x);
  const double z = a.r * a.r;
  double s = 2.718311668983705e-06;
  s = s * z - 0.00019839334854231745;
  s = s * z + 0.008333329385945026;
  s = s * z - 0.16666666641626995;
  s = s * z * a.r + a.r;
  double c = -2.721023825095913e-07;
  c = c * z + 2.4799520014053994e-05;
  c = c * z - 0.0013888883753427103;
  c = c * z + 0.041666666622828204;
  c = c * (z * z) - 0.5 * z + 1;
  const bool odd = a.quadrant & 1;
  const float y = static_cast<float>((odd ? -c : s) / (odd ? s : c));
  return x < 0.0f || x > 0.0f ? y : x;
}

// artan(low / high) for 0 <= low <= high.
KCORE_INLINE double atan_of_unit(float low, float high) {
  const double s = static_cast<double>(low) / static_cast<double>(high), z = s * s;
  const double zz = z * z;
  double p = z * 0.00059304375563652819 - 0.0042216579909296478;
  p = p * zz + (z * 0.01407292334469724 - 0.02991311194551696);
  p = p * zz + (z * 0.047294798621813337 - 0.062463151941283169);
  p = p * zz + (z * 0.075866528336466699 - 0.090735531189764087);
  p = p * zz + (z * 0.11109392308322223 - 0.14285624891483526);
  p = p * zz + (z * 0.19999998154086215 - 0.33333333326944142);
  return p * z * s + s;
}
KCORE_INLINE float atan_of(float x) {
  const float a = __builtin_fabsf(x);
  const bool steep = a > 1.0f;
  const double angle = atan_of_unit(steep ? 1.0f : a, steep ? a : 1.0f);
  const float y = static_cast<float>(steep ? 1.57079632679489661923 - angle : angle);
  return x == x ? __builtin_copysignf(y, x) : x;
}
KCORE_INLINE float arctan2_of(float y, float x) {
  const float rise = __builtin_fabsf(y), run = __builtin_fabsf(x);
  const bool steep = rise > run;
  // Two zeros and two infinities have quotients too: 0 / 1 and 1 / 1.
  const float low = steep ? run : rise, high = steep ? rise : run;
  const bool infinities = low == __builtin_inff();
  double a = atan_of_unit(infinities ? 1.0f : low, infinities || high == 0.0f ? 1.0f : high);
  a = steep ? 1.57079632679489661923 - a : a;
  a = float_to_bits(x) >> 31 ? 3.14159265358979323846 - a : a;
  return x == x && y == y ? __builtin_copysignf(static_cast<float>(a), y) : x + y;
}

// arsin(a) = s + s z P(z) with z = a^2 for a <= 1/2; above, pi/2 - 2 arsin(sqrt((1 - a) / 2)). z is the lesser of both.
KCORE_INLINE double arcsine_series(double a) {
  const double direct = a * a, folded = 0.5 * (1 - a), z = direct < folded ? direct : folded, s = __builtin_sqrt(z);
  const double zz = z * z;
  double p = zz * 0.03469287940657297 + (z * 0.007469188816420174 + 0.024618347156961446);
  p = p * zz + (z * 0.030110254252818616 + 0.04466016352036549);
  p = p * zz + (z * 0.07499948155742618 + 0.16666667189847625);
  return p * z * s + s;
}
KCORE_INLINE float asin_of(float x) {
  const double a = __builtin_fabsf(x), part = arcsine_series(a);
  return __builtin_copysignf(static_cast<float>(a > 0.5 ? 1.57079632679489661923 - 2 * part : part), x);
}
KCORE_INLINE float acos_of(float x) {
  const double a = __builtin_fabsf(x), part = arcsine_series(a);
  const double folded = a > 0.5 ? 2 * part : 1.57079632679489661923 - part;
  return static_cast<float>(x < 0 ? 3.14159265358979323846 - folded : folded);
}

KCORE_INLINE double at_most(double x, double limit) { return x > limit ? limit : x; }
KCORE_INLINE float sinh_of(float x) {
  const double m = expm1_wide(at_most(__builtin_fabsf(x), 100));
  return __builtin_copysignf(static_cast<float>(0.5 * (m + m / (m + 1))), x);
}
KCORE_INLINE float cosh_of(float x) {
  const double e = expm1_wide(at_most(__builtin_fabsf(x), 100)) + 1;
  return static_cast<float>(0.5 * (e + 1 / e));
}
KCORE_INLINE float asinh_of(float x) {
  const double a = __builtin_fabsf(x), square = a * a;
  const float y = static_cast<float>(log1p_wide(a + square / (1 + __builtin_sqrt(square + 1))));
  return __builtin_copysignf(x - x == 0.0f ? y : x, x);
}
KCORE_INLINE float acosh_of(float x) {
  const double t = static_cast<double>(x) - 1;
  const float y = static_cast<float>(log1p_wide(t + __builtin_sqrt(2 * t + t * t)));
  return x < 1.0f ? __builtin_nanf("") : x == __builtin_inff() ? x : y;
}
// log(u) / 2 with u = (1 + a) / (1 - a): as log_wide, but of a quotient, so that it takes one division. Where a < 0.29,
// s is a; above, u = 2^n (1 + a) / m with m in [1.14, 2.28), so |s| < 0.29.
KCORE_INLINE float atanh_of(float x) {
  const double a = __builtin_fabsf(x), rest = 1 - a;
  const std::uint64_t bits = double_to_bits(rest), above = bits + (0x3ff0000000000000 - 0x3ff2400000000000);
  const double m = bits_to_double(bits - (above & 0xfff0000000000000) + 0x3ff0000000000000);
  const bool small = a < 0.29;
  const double n = small ? 0.0 : (0x1p52 + 1023) - bits_to_double(above >> 52 | 0x4330000000000000);
  const double s = (small ? a + a : (1 + a) - m) / (small ? 2.0 : (1 + a) + m), z = s * s;
  const double zz = z * z;
  double p = z * 0.19065788945808864 + 0.14446094835381292;
  p = p * zz + (z * 0.18255303448792721 + 0.22219311720317612);
  p = p * zz + (z * 0.28571483034072519 + 0.39999999619802915);
  p = p * z + 0.66666666667098169;
  double y = n * 0.34657359027997265471 + (s + 0.5 * (s * z * p));
  y = a < 1 ? y : a == 1 ? __builtin_inf() : __builtin_nan("");
  return x == x ? __builtin_copysignf(static_cast<float>(y), x) : x;
}

// x^y = 2^(y log2 x), with the special cases of C's pow.
KCORE_INLINE float power_of(float x, float y) {
  const float a = __builtin_fabsf(x);
  const bool positive = a > 0.0f, finite = a < __builtin_inff();
  const double log = positive && finite ? log_wide(a) : positive ? __builtin_inf() : -__builtin_inf();
  double t = static_cast<double>(y) * (log * 1.44269504088896340736);
  t = t < -200 ? -200 : t > 200 ? 200 : t;
  const double shifted = t + kRound, n = shifted - kRound;
  const double s = power_of_two(shifted);
  float z = static_cast<float>(s * expm1_series((t - n) * 0.69314718055994530942) + s);
  const bool whole = rint_of(y) == y, odd = whole && rint_of(0.5f * y) != 0.5f * y;
  const bool negative = float_to_bits(x) >> 31;
  z = negative && odd ? -z : z;
  z = x < 0.0f && finite && !whole ? __builtin_nanf("") : z;
  z = x != x || y != y ? x + y : z;
  z = x == -1.0f && __builtin_fabsf(y) == __builtin_inff() ? 1.0f : z;
  return x == 1.0f || y == 0.0f ? 1.0f : z;
}

#define KCORE_LIBM(name) \
  KCORE_INLINE double name##_of(double x) { return __builtin_##name(x); }
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
#undef KCORE_LIBM
KCORE_INLINE double arctan2_of(double y, double x) { return __builtin_atan2(y, x); }
KCORE_INLINE double power_of(double x, double y) { return __builtin_pow(x, y); }

}  // namespace kcore::kernels::KCORE_ISA
