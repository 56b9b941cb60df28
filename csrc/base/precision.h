// How much of float32 the products of matrices and convolutions keep, named as PyTorch names it.
#pragma once

namespace kcore {

// From the strictest: a request is served by a kernel of its own precision or a stricter one.
//   ieee     fused multiply-adds only
//   highest  the error bound of fused multiply-adds, by these or by six products of bfloat16 parts
//   high     three products of bfloat16 parts: about 16 bits of each operand
//   medium   operands rounded to bfloat16
enum class Precision { ieee, highest, high, medium };
inline constexpr int kPrecisionCount = 4;

const char* name_of(Precision precision);
// Throws Error for an unknown name.
Precision precision_named(const char* name);

// "highest" unless KCORE_FLOAT32_MATMUL_PRECISION or set_float32_matmul_precision says otherwise.
Precision float32_matmul_precision();
// For the whole process. Throws Error for an unknown name.
void set_float32_matmul_precision(const char* name);

}  // namespace kcore
