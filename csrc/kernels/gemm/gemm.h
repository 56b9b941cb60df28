// Dense matrix products, one block of C at a time. Serial; csrc/ops cuts C into blocks and hands them to threads.
//
//   C[m0:m1, n0:n1] = sum over k in [k0, k1) of op(A)[m, k] op(B)[k, n]
//
// Every element is summed in the same order whatever the block it falls in: k ascending within spans of kGemmSpanK, the
// spans added in ascending order. So results depend on where K is cut and on nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

// A packed span of B of kGemmSpanK x kGemmMaxN floats is 512 KiB: half of a 1 MiB L2.
inline constexpr std::int64_t kGemmSpanK = 256, kGemmMaxM = 504, kGemmMaxN = 512;
inline constexpr std::int64_t kGemmMaxTileRows = 16;
// What a block needs besides its operands: a packed span of B, a packed panel of A, a pointer for each row of C.
inline constexpr std::size_t kGemmScratchBytes =
    kGemmSpanK * (kGemmMaxN + kGemmMaxTileRows) * sizeof(double) + kGemmMaxM * sizeof(void*);

// A block of C and the part of K to sum; m1 - m0 <= kGemmMaxM, n1 - n0 <= kGemmMaxN. k0 is a multiple of kGemmSpanK.
struct GemmRange {
  std::int64_t m0, m1, n0, n1, k0, k1;
};

// op(X)[i, j] is data[i * ld + j], or data[j * ld + i] if transposed.
template <class T>
struct Matrix {
  const T* data;
  std::int64_t ld;
  bool transposed = false;
};

template <class T>
struct GemmKernels {
  // c points at C[0, 0]. scratch: kGemmScratchBytes, 64-byte aligned.
  void (*block)(const Matrix<T>& a, const Matrix<T>& b, T* c, std::int64_t ldc, const GemmRange& range, void* scratch);
  // y[i] = sum over k of op(A)[i, k] x[k], i in [i0, i1), without packing: memory-bound.
  void (*vector)(const Matrix<T>& a, const T* x, T* y, std::int64_t i0, std::int64_t i1, std::int64_t k);
  // y[i * ldy + j] = sum over s of parts[(s * rows + i) * columns + j], s ascending, i in [i0, i1).
  void (*combine)(const T* parts, std::int64_t count, std::int64_t rows, std::int64_t columns, T* y, std::int64_t ldy,
                  std::int64_t i0, std::int64_t i1);
};

struct Gemm {
  GemmKernels<float> f32;
  GemmKernels<double> f64;
  // C = op(A) op(B) modulo 2^32 and 2^64: rows [m0, m1) of integer products, signed or not.
  void (*u32)(const Matrix<std::uint32_t>& a, const Matrix<std::uint32_t>& b, std::uint32_t* c, std::int64_t n,
              std::int64_t k, std::int64_t m0, std::int64_t m1);
  void (*u64)(const Matrix<std::uint64_t>& a, const Matrix<std::uint64_t>& b, std::uint64_t* c, std::int64_t n,
              std::int64_t k, std::int64_t m0, std::int64_t m1);
};

}  // namespace kcore::kernels

KCORE_KERNELS(Gemm, gemm)
