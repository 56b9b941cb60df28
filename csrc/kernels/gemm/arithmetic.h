// What an element of C is made of, and from where.
#pragma once

namespace kcore::kernels {

// fma: fused multiply-adds of the operands' type. bf16: products of operands rounded to bfloat16. bf16x3, bf16x6: each
// float32 is split into two or three bfloat16 parts, and the three or six largest products of parts are summed.
enum class Arithmetic { fma, bf16, bf16x3, bf16x6 };
inline constexpr int kArithmeticCount = 4;

// Rewritten in the order in which a tile reads them, or read where they lie.
enum class Operands { packed, in_place };

}  // namespace kcore::kernels
