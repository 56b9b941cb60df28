// Products of a matrix and a vector, reading the matrix once and in place.
#pragma once

#include "kernels/gemm/pack.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// sum over k of a[k] x[k]: four vectors of partial sums, added pairwise.
template <class T>
T dot(const T* a, const T* x, std::int64_t n) {
  constexpr int L = kLanes<T>;
  Vector<T> sum[4] = {};
  std::int64_t k = 0;
  for (; k + 4 * L <= n; k += 4 * L)
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v)
      sum[v] += *reinterpret_cast<const Vector<T>*>(a + k + v * L) * *reinterpret_cast<const Vector<T>*>(x + k + v * L);
  for (; k + L <= n; k += L)
    sum[0] += *reinterpret_cast<const Vector<T>*>(a + k) * *reinterpret_cast<const Vector<T>*>(x + k);
  const Vector<T> lanes = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  T total = 0;
  for (int l = 0; l < L; ++l) total += lanes[l];
  for (; k < n; ++k) total += a[k] * x[k];
  return total;
}

// Columns that weighted_rows sums at a time: they stay in L1 while the rows stream past.
constexpr int kRowColumns = 512;

// y[j] = sum over k of x[k] b[k * ld + j], j < columns <= kRowColumns, in spans of K as a block does.
template <class T>
void weighted_rows(const T* b, std::int64_t ld, const T* x, T* y, int columns, std::int64_t n) {
  for (int j = 0; j < columns; ++j) y[j] = 0;
  for (std::int64_t k0 = 0; k0 < n; k0 += kGemmSpanK) {
    const std::int64_t k1 = k0 + kGemmSpanK < n ? k0 + kGemmSpanK : n;
    T sum[kRowColumns];
    for (int j = 0; j < columns; ++j) sum[j] = 0;
    std::int64_t k = k0;
    for (; k + 4 <= k1; k += 4) {
      const T *const r0 = b + k * ld, *const r1 = r0 + ld, *const r2 = r1 + ld, *const r3 = r2 + ld;
      const T x0 = x[k], x1 = x[k + 1], x2 = x[k + 2], x3 = x[k + 3];
#pragma omp simd
      for (int j = 0; j < columns; ++j) sum[j] += (x0 * r0[j] + x1 * r1[j]) + (x2 * r2[j] + x3 * r3[j]);
    }
    for (; k < k1; ++k) {
      const T *const row = b + k * ld, scale = x[k];
#pragma omp simd
      for (int j = 0; j < columns; ++j) sum[j] += scale * row[j];
    }
    for (int j = 0; j < columns; ++j) y[j] += sum[j];
  }
}

template <class T>
void vector_product(const Matrix<T>& a, const T* x, T* y, std::int64_t i0, std::int64_t i1, std::int64_t k) {
  if (!a.transposed) {
    for (std::int64_t i = i0; i < i1; ++i) y[i] = dot(a.data + i * a.ld, x, k);
    return;
  }
  for (std::int64_t i = i0; i < i1; i += kRowColumns)
    weighted_rows(a.data + i, a.ld, x, y + i, static_cast<int>(i1 - i < kRowColumns ? i1 - i : kRowColumns), k);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
