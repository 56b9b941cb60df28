// Elementwise kernels: y[i] = f(x[i]), f(a[i], b[i]), c[i] ? a[i] : b[i], and conversions between dtypes.
// Serial, over n contiguous elements. An input stride of 0 repeats its first element; 1 is contiguous.
// A null entry means that the op does not take that dtype. bfloat16 is computed in float32 and rounded. Output and an
// input may be the same array if their elements have one size; else they may not overlap.
#pragma once

#include <cstdint>

#include "kcore/tensor.h"
#include "kernels/dispatch.h"

namespace kcore::kernels {

using UnaryFunction = void (*)(const void* x, void* y, std::int64_t n, const double* p);
using BinaryFunction = void (*)(const void* a, std::int64_t stride_a, const void* b, std::int64_t stride_b, void* y,
                                std::int64_t n, const double* p);
using SelectFunction = void (*)(const bool* c, std::int64_t stride_c, const void* a, std::int64_t stride_a,
                                const void* b, std::int64_t stride_b, void* y, std::int64_t n);

struct Elementwise {
#define KCORE_UNARY(op, dtypes, expression) UnaryFunction op[kDTypeCount];
#include "kernels/elementwise/unary.inc"
#undef KCORE_UNARY
  UnaryFunction clip[kDTypeCount];
  UnaryFunction cast[kDTypeCount][kDTypeCount];  // [from][to]
  UnaryFunction gelu[2][kDTypeCount];            // [approximate]
#define KCORE_BINARY(op, dtypes, expression) BinaryFunction op[kDTypeCount];
#include "kernels/elementwise/binary.inc"
#undef KCORE_BINARY
  BinaryFunction gelu_grad[2][kDTypeCount];
  SelectFunction select1, select2, select4, select8;  // by element size in bytes
};

}  // namespace kcore::kernels

KCORE_KERNELS(Elementwise, elementwise)
