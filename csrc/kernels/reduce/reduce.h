// Reductions of one axis: y (outer, inner) = reduce over n of x (outer, n, inner).
//
// Sums of float32 keep 64 partial sums of at most 64 elements each and add those up in double, so the error is that of
// a short sum whatever n is. The order of additions depends on the shape alone, not on the ISA.
#pragma once

#include <cstdint>

#include "kcore/tensor.h"
#include "kernels/dispatch.h"

namespace kcore::kernels {

enum class Reduction { sum, prod, max, min, any, all };
inline constexpr int kReductions = 6;

// dtype of x -> dtype of y: sum and prod: bool -> int32, uint8 -> uint32, others unchanged; max, min: unchanged; any,
// all: bool; of bfloat16 as of float32. n may be 0 for all but max and min. max and min of a NaN are NaN.

// x (rows, n) -> y (rows,)
using ReduceRows = void (*)(const void* x, std::int64_t rows, std::int64_t n, void* y);
// x (n, width), rows `stride` elements apart -> y (width,)
using ReduceColumns = void (*)(const void* x, std::int64_t n, std::int64_t width, std::int64_t stride, void* y);
// Index of the first extreme; the first NaN if there is one. n >= 1.
using ArgRows = void (*)(const void* x, std::int64_t rows, std::int64_t n, std::int32_t* y);
using ArgColumns = void (*)(const void* x, std::int64_t n, std::int64_t width, std::int64_t stride, std::int32_t* y);

struct ReduceKernels {
  ReduceRows rows[kReductions][kDTypeCount];
  ReduceColumns columns[kReductions][kDTypeCount];
  ArgRows argmax_rows[kDTypeCount];
  ArgRows argmin_rows[kDTypeCount];
  ArgColumns argmax_columns[kDTypeCount];
  ArgColumns argmin_columns[kDTypeCount];
};

}  // namespace kcore::kernels

KCORE_KERNELS(ReduceKernels, reduce)
