// The loops that a formula of an elementwise kernel is put in: over any dtype, and over pairs of bfloat16.
//
// Formulas of bfloat16 are computed in float and rounded. Two neighbours are one lane of 32 bits: a shift makes a float
// of the lower and a mask one of the upper, and both results go back the same way. So nothing crosses lanes; unpacking
// and packing of vectors took twice the time of an addition on AVX2.
//
// Results may go where an input is: `omp simd` says that no element depends on another, where `restrict` would say
// more.
#pragma once

#include <cstdint>

#include "kcore/tensor.h"
#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Two bfloat16 at any address of one.
typedef std::uint32_t Pair __attribute__((aligned(2), may_alias));
inline constexpr std::uint32_t kUpper = 0xffff0000;
KCORE_INLINE float lower_of(std::uint32_t pair) { return __builtin_bit_cast(float, pair << 16); }
KCORE_INLINE float upper_of(std::uint32_t pair) { return __builtin_bit_cast(float, pair& kUpper); }
// The upper half is bfloat16(x); below it is what is left of the rounding.
KCORE_INLINE std::uint32_t rounded(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  const std::uint32_t up = x == x ? 0x7fff + (bits >> 16 & 1) : 0, quiet = x == x ? 0 : 0x400000;
  return (bits + up) | quiet;
}
KCORE_INLINE std::uint32_t pair_of(float lower, float upper) {
  return rounded(lower) >> 16 | (rounded(upper) & kUpper);
}

template <class Formula, class T, class R>
KCORE_INLINE void unary(const T* xs, R* ys, std::int64_t n, const double* p_) {
  const double p[2] = {p_[0], p_[1]};
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) ys[i] = static_cast<R>(Formula::at(xs[i], p));
}
template <class Formula>
KCORE_INLINE void unary(const bfloat16* xs, bool* ys, std::int64_t n, const double* p_) {
  const double p[2] = {p_[0], p_[1]};
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) ys[i] = Formula::at(static_cast<float>(xs[i]), p);
}
template <class Formula>
KCORE_INLINE void unary(const bfloat16* xs, bfloat16* ys, std::int64_t n, const double* p_) {
  const double p[2] = {p_[0], p_[1]};
  const Pair* from = reinterpret_cast<const Pair*>(xs);
  Pair* to = reinterpret_cast<Pair*>(ys);
#pragma omp simd
  for (std::int64_t i = 0; i < n / 2; ++i)
    to[i] = pair_of(Formula::at(lower_of(from[i]), p), Formula::at(upper_of(from[i]), p));
  if (n % 2) ys[n - 1] = bfloat16(Formula::at(static_cast<float>(xs[n - 1]), p));
}

// An input of stride 0 repeats its first element.
template <class Formula, int sa, int sb, class T, class R>
KCORE_INLINE void binary(const T* as, const T* bs, R* ys, std::int64_t n, const double* p_) {
  const double p[2] = {p_[0], p_[1]};
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) ys[i] = static_cast<R>(Formula::at(as[sa * i], bs[sb * i], p));
}
template <class Formula, int sa, int sb>
KCORE_INLINE void binary(const bfloat16* as, const bfloat16* bs, bool* ys, std::int64_t n, const double* p_) {
  const double p[2] = {p_[0], p_[1]};
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    ys[i] = Formula::at(static_cast<float>(as[sa * i]), static_cast<float>(bs[sb * i]), p);
}
template <class Formula, int sa, int sb>
KCORE_INLINE void binary(const bfloat16* as, const bfloat16* bs, bfloat16* ys, std::int64_t n, const double* p_) {
  const double p[2] = {p_[0], p_[1]};
  const Pair *a = reinterpret_cast<const Pair*>(as), *b = reinterpret_cast<const Pair*>(bs);
  Pair* to = reinterpret_cast<Pair*>(ys);
  const float a0 = static_cast<float>(as[0]), b0 = static_cast<float>(bs[0]);
#pragma omp simd
  for (std::int64_t i = 0; i < n / 2; ++i) {
    const float lower = Formula::at(sa ? lower_of(a[i]) : a0, sb ? lower_of(b[i]) : b0, p);
    const float upper = Formula::at(sa ? upper_of(a[i]) : a0, sb ? upper_of(b[i]) : b0, p);
    to[i] = pair_of(lower, upper);
  }
  if (n % 2)
    ys[n - 1] = bfloat16(Formula::at(static_cast<float>(as[sa * (n - 1)]), static_cast<float>(bs[sb * (n - 1)]), p));
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
