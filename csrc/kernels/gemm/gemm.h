// Dense matrix products, one block of C at a time. Serial; csrc/ops cuts C into blocks and hands them to threads.
//
//   C[m0:m1, n0:n1] = epilogue(sum over k in [k0, k1) of op(A)[m, k] op(B)[k, n])
//
// Every element is summed in the same order whatever the block it falls in: k ascending within spans of kGemmSpanK (or
// a divisor of it), the spans added in ascending order. So results depend on where K is cut and on nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cache.h"
#include "kcore/tensor.h"
#include "kernels/activation.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/arithmetic.h"

namespace kcore::kernels {

// K is cut at multiples of this, the same on every machine, so that sums do not depend on the sizes of its caches.
inline constexpr std::int64_t kGemmSpanK = 256;
// Rows and columns that a micro-tile may have, and rows of a block: each has a pointer into C.
inline constexpr std::int64_t kGemmMaxTile = 32, kGemmMaxM = 1024;

// Columns of a block: a packed span of B takes half of L2, the rest is for what streams by.
inline std::int64_t gemm_max_n() {
  const auto n = static_cast<std::int64_t>(cache_sizes().l2 / 2 / (kGemmSpanK * sizeof(float))) / 64 * 64;
  return n < 128 ? 128 : n > 1024 ? 1024 : n;
}
// What a block needs besides its operands: a packed span of B, a packed and a gathered panel of A, the pointers.
inline std::size_t gemm_scratch_bytes() {
  return static_cast<std::size_t>(kGemmSpanK) * static_cast<std::size_t>(gemm_max_n() + 5 * kGemmMaxTile) *
             sizeof(double) +
         kGemmMaxM * sizeof(void*);
}

// A block of C and the part of K to sum; m1 - m0 <= kGemmMaxM, n1 - n0 <= gemm_max_n. k0 is a multiple of kGemmSpanK.
struct GemmRange {
  std::int64_t m0, m1, n0, n1, k0, k1;
};

// Rows of y and the part of K to sum of a matrix times a vector.
struct VectorRange {
  std::int64_t i0, i1, k0, k1;
};

// op(X)[i, j] is data[i * ld + j], or data[j * ld + i] if transposed.
template <class T>
struct Matrix {
  const T* data;
  std::int64_t ld;
  bool transposed = false;
};

// What happens to C while it is hot: activation(c + bias[n] + residual[m, n]). The residual must not overlap C, which
// holds partial sums on the way.
template <class T>
struct Epilogue {
  const T* bias = nullptr;
  const T* residual = nullptr;
  std::int64_t ld_residual = 0;
  Activation activation = Activation::linear;
  bool stream = false;  // C had better be written around the cache (base/cache.h)

  bool empty() const { return !bias && !residual && activation == Activation::linear; }
};

template <class T>
struct GemmKernels {
  // c points at C[0, 0]. scratch: gemm_scratch_bytes(), 64-byte aligned.
  void (*block)(const Matrix<T>& a, const Matrix<T>& b, T* c, std::int64_t ldc, const GemmRange& range,
                const Epilogue<T>& epilogue, void* scratch);
  // The same for operands of bfloat16; float32 only.
  void (*block_bf16)(const Matrix<bfloat16>& a, const Matrix<bfloat16>& b, T* c, std::int64_t ldc,
                     const GemmRange& range, const Epilogue<T>& epilogue, void* scratch);
  // y[i] = sum over k in [k0, k1) of op(A)[i, k] x[k], i in [i0, i1), without packing: memory-bound.
  void (*vector)(const Matrix<T>& a, const T* x, T* y, const VectorRange& range);
  void (*vector_bf16)(const Matrix<bfloat16>& a, const T* x, T* y, const VectorRange& range);
  // C[m0:m1, n0:n1] = epilogue(sum over s of parts[s * size + m * columns + n]), s ascending.
  void (*combine)(const T* parts, std::int64_t count, std::int64_t size, std::int64_t columns, T* c, std::int64_t ldc,
                  const GemmRange& range, const Epilogue<T>& epilogue);
  // C[m0:m1, n0:n1] = epilogue(C) in place.
  void (*finish)(T* c, std::int64_t ldc, const GemmRange& range, const Epilogue<T>& epilogue);
};

// An ISA has the arithmetics that it adds to those below it: of avx512_bf16 and amx all else is empty.
struct Gemm {
  GemmKernels<float> f32[kArithmeticCount];
  GemmKernels<double> f64;
  GemmKernels<float> f32_in_place;  // by fused multiply-adds
  GemmKernels<double> f64_in_place;
  // C = op(A) op(B) modulo 2^32 and 2^64: rows [m0, m1) of integer products, signed or not.
  void (*u32)(const Matrix<std::uint32_t>& a, const Matrix<std::uint32_t>& b, std::uint32_t* c, std::int64_t n,
              std::int64_t k, std::int64_t m0, std::int64_t m1);
  void (*u64)(const Matrix<std::uint64_t>& a, const Matrix<std::uint64_t>& b, std::uint64_t* c, std::int64_t n,
              std::int64_t k, std::int64_t m0, std::int64_t m1);
};

}  // namespace kcore::kernels

KCORE_PRODUCT_KERNELS(Gemm, gemm)
