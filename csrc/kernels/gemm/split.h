// Splitting float32 into bfloat16 parts, sixteen at a time, as operands of products of bfloat16.
//
// A float32 is the sum of three bfloat16 (8 + 8 + 8 bits): each part is what the parts before left, rounded to nearest;
// truncation would leave remainders of one sign, and errors that add up. A finite value near FLT_MAX does not become
// Inf: its first part stops at the largest finite bfloat16, and the next one takes the rest.
#pragma once

#include <cstdint>

#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

typedef float Float16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef std::uint32_t Word16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef std::int32_t Int16 __attribute__((vector_size(64), aligned(4), may_alias));

// Whether each value is Inf or NaN, as a mask of all bits.
KCORE_INLINE Word16 not_finite(Float16 x) { return (Word16)(((Word16)x & 0x7f800000u) == 0x7f800000u); }

// The value rounded to bfloat16, as the upper half of a word; the lower half is zero. NaN becomes quiet.
KCORE_INLINE Word16 rounded(Float16 x) {
  const Word16 bits = (Word16)x, magnitude = bits & 0x7fffffffu, sign = bits & 0x80000000u;
  Word16 up = (magnitude + 0x7fffu + (magnitude >> 16 & 1u)) & 0xffff0000u;
  up = up > 0x7f7f0000u ? Word16{} + 0x7f7f0000u : up;  // the largest finite bfloat16
  const Word16 special = (magnitude > 0x7f800000u ? magnitude | 0x00400000u : magnitude) & 0xffff0000u;
  return sign | (magnitude >= 0x7f800000u ? special : up);
}

// Takes the next part off each value and leaves the remainder, which is exact; nothing is left of Inf and NaN.
KCORE_INLINE Word16 take_part(Float16& x) {
  const Word16 part = rounded(x);
  x = (Float16)((Word16)(x - (Float16)part) & ~not_finite(x));
  return part;
}

// Two parts as the pair that products of bfloat16 read: the first in the lower half.
KCORE_INLINE Word16 pair(Word16 first, Word16 second) { return first >> 16 | second; }

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
