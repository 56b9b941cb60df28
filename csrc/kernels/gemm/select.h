// Which kernel multiplies: a pure function of the machine, the precision asked for, and the shape.
#pragma once

#include <cstdint>

#include "base/isa.h"
#include "base/precision.h"
#include "kernels/gemm/arithmetic.h"

namespace kcore::kernels {

struct GemmQuery {
  Isa isa;  // the best one allowed
  Precision precision;
  bool float32;  // float64 is only multiplied by fma
  std::int64_t m, n, k;
};

struct GemmKernel {
  const char* name;
  Isa isa;
  Arithmetic arithmetic;
  Operands operands;
  Precision precision;
  double least_share;

  // Why this kernel does not take a product, nullptr if it does.
  const char* declines(const GemmQuery& query) const;
};

// The first of kernels.inc that does not decline.
const GemmKernel& select_gemm(const GemmQuery& query);

// "gemm 64x64x64: avx2_fma; not avx512_fma (needs a better ISA)": what KCORE_LOG=dispatch tells.
void log_gemm(const GemmQuery& query, const GemmKernel& chosen);

}  // namespace kcore::kernels
