// Scalar formulas of the elementwise kernels that are longer than a line.
#pragma once

#include <cstdint>

#include "kcore/tensor.h"
#include "kernels/math_wide.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
inline constexpr bool is_float = T(0.5) != T(0) && T(0.5) != T(1);  // bool(0.5) is bool(1)

// Integer arithmetic wraps, as NumPy's does: signed overflow is computed as unsigned.
template <class T>
struct Wrap {
  using type = T;
};
template <>
struct Wrap<std::int32_t> {
  using type = std::uint32_t;
};
template <>
struct Wrap<std::int64_t> {
  using type = std::uint64_t;
};
template <class T>
using wrap = typename Wrap<T>::type;

template <class T>
KCORE_INLINE T add_of(T a, T b) {
  return T(wrap<T>(a) + wrap<T>(b));
}
template <class T>
KCORE_INLINE T subtract_of(T a, T b) {
  return T(wrap<T>(a) - wrap<T>(b));
}
template <class T>
KCORE_INLINE T multiply_of(T a, T b) {
  return T(wrap<T>(a) * wrap<T>(b));
}
template <class T>
KCORE_INLINE T negative_of(T x) {
  if constexpr (is_float<T>)
    return -x;
  else
    return T(wrap<T>(0) - wrap<T>(x));
}
KCORE_INLINE float absolute_of(float x) { return __builtin_fabsf(x); }
KCORE_INLINE double absolute_of(double x) { return __builtin_fabs(x); }
template <class T>
KCORE_INLINE T absolute_of(T x) {
  return x < T(0) ? negative_of(x) : x;
}

using KCORE_ISA::power_of;
template <class T>
KCORE_INLINE T power_of(T a, T b) {
  if (b < T(0)) return a == T(1) ? T(1) : a == negative_of(T(1)) ? (b % 2 ? a : T(1)) : T(0);
  T y = 1;
  for (; b; b = T(b / 2), a = multiply_of(a, a))
    if (b % 2) y = multiply_of(y, a);
  return y;
}

// Python's signs: the remainder has the divisor's sign. Integer division by zero gives 0, as NumPy's does.
// float in double for quotients below 2^28: x / y is never rounded up to a whole number, for then x - n y would be
// smaller than the last place of y, and n y is exact. So the floor is the quotient's, and the remainder exact.
inline constexpr float kLargestQuotient = 0x1p28f;
KCORE_INLINE float mod_of(float a, float b) {
  const double x = a, y = b;
  const float r = static_cast<float>(x - floor_of(x / y) * y);
  return r != 0.0f ? r : __builtin_copysignf(0.0f, b);
}
KCORE_INLINE float far_mod_of(float a, float b) {
  const float r = __builtin_fmodf(a, b);
  return r != 0 ? ((r < 0) != (b < 0) ? r + b : r) : __builtin_copysignf(0.0f, b);
}
KCORE_INLINE double mod_of(double a, double b) {
  const double r = __builtin_fmod(a, b);
  return r != 0 ? ((r < 0) != (b < 0) ? r + b : r) : __builtin_copysign(0.0, b);
}
template <class T>
KCORE_INLINE T mod_of(T a, T b) {
  if (b == T(0) || (T(-1) < T(0) && b == T(-1))) return T(0);
  const T r = T(a % b);
  return r != T(0) && (r < T(0)) != (b < T(0)) ? T(r + b) : r;
}
KCORE_INLINE float floor_divide_of(float a, float b) {
  return static_cast<float>(floor_of(static_cast<double>(a) / static_cast<double>(b)));
}
// As NumPy: the quotient less the remainder r, which has a's sign, is whole but for rounding.
template <class T>
KCORE_INLINE T floor_divide_with(T a, T b, T r) {
  const T quotient = (a - r) / b - (r != T(0) && (r < T(0)) != (b < T(0)) ? T(1) : T(0)), below = floor_of(quotient);
  return b == T(0) ? a / b : below + (quotient - below > T(0.5) ? T(1) : T(0));
}
KCORE_INLINE float far_floor_divide_of(float a, float b) { return floor_divide_with(a, b, __builtin_fmodf(a, b)); }
KCORE_INLINE double floor_divide_of(double a, double b) { return floor_divide_with(a, b, __builtin_fmod(a, b)); }
template <class T>
KCORE_INLINE T floor_divide_of(T a, T b) {
  if (b == T(0)) return T(0);
  if (T(-1) < T(0) && b == T(-1)) return negative_of(a);
  const T q = T(a / b);
  return a % b != T(0) && (a < T(0)) != (b < T(0)) ? T(q - 1) : q;
}

template <class T>
KCORE_INLINE T silu_derivative(T x) {
  const T s = sigmoid_of(x);
  return s * (T(1) + x * (T(1) - s));
}

// x P(N <= x), by the error function or by tanh: Hendrycks and Gimpel, arXiv 1606.08415. (1 + tanh(u)) / 2 is
// sigmoid(2 u), which does not cancel for negative u.
inline constexpr double kSqrtTwoOverPi = 0.79788456080286535588;
template <class T>
KCORE_INLINE T gelu_erf_of(T x) {
  return x * normal_cdf_of(x);
}
template <class T>
KCORE_INLINE T gelu_erf_derivative(T x) {
  const T e = exp_of_negative(T(-0.5) * x * x);
  return normal_cdf_of(x, e) + x * e * T(0.5 * kSqrtTwoOverPi);
}
template <class T>
KCORE_INLINE T gelu_gate(T x) {
  return sigmoid_of(T(2 * kSqrtTwoOverPi) * (x + T(0.044715) * x * x * x));
}
template <class T>
KCORE_INLINE T gelu_tanh_of(T x) {
  return x * gelu_gate(x);
}
template <class T>
KCORE_INLINE T gelu_tanh_derivative(T x) {
  const T s = gelu_gate(x);
  return s + x * s * (T(1) - s) * (T(2 * kSqrtTwoOverPi) * (T(1) + T(3 * 0.044715) * x * x));
}

template <class A, class B>
inline constexpr bool is_same = false;
template <class A>
inline constexpr bool is_same<A, A> = true;

// Float to integer as NumPy on x86: truncation; what does not fit, and NaN, becomes the type's lowest value (0 if
// unsigned). To and from bfloat16 through float.
template <class From, class To>
KCORE_INLINE To cast_of(From x) {
  if constexpr (is_same<From, To>) {
    return x;
  } else if constexpr (is_same<From, bfloat16>) {
    return cast_of<float, To>(static_cast<float>(x));
  } else if constexpr (is_same<To, bfloat16>) {
    return bfloat16(cast_of<From, float>(x));
  } else if constexpr (is_same<To, bool>) {
    return x != From(0);
  } else if constexpr (is_float<From> && !is_float<To>) {
    constexpr bool is_signed = To(-1) < To(0);
    constexpr int bits = 8 * sizeof(To) - (is_signed ? 1 : 0);
    constexpr From limit = From(2) * From(std::uint64_t{1} << (bits - 1));
    constexpr To lowest = is_signed ? To(std::uint64_t{1} << bits) : To(0);
    return x < limit && x >= (is_signed ? -limit : From(0)) ? static_cast<To>(x) : lowest;
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
