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

// Columns that weighted_rows sums at a time: long runs of each row for the prefetchers, and sums that stay in L1.
constexpr int kRowColumns = 2048;

// y[j] = sum over k in [k0, k1) of x[k] b[k * ld + j], j < columns <= kRowColumns, in spans of K as a block does.
template <class T>
void weighted_rows(const T* b, std::int64_t ld, const T* x, T* y, int columns, std::int64_t k0, std::int64_t k1) {
  for (int j = 0; j < columns; ++j) y[j] = 0;
  for (std::int64_t k = k0; k < k1;) {
    const std::int64_t end = k + kGemmSpanK < k1 ? k + kGemmSpanK : k1;
    T sum[kRowColumns];
    for (int j = 0; j < columns; ++j) sum[j] = 0;
    for (; k + 8 <= end; k += 8) {
      const T* const r = b + k * ld;
      const T x0 = x[k], x1 = x[k + 1], x2 = x[k + 2], x3 = x[k + 3];
      const T x4 = x[k + 4], x5 = x[k + 5], x6 = x[k + 6], x7 = x[k + 7];
#pragma omp simd
      for (int j = 0; j < columns; ++j)
        sum[j] += ((x0 * r[j] + x1 * r[j + ld]) + (x2 * r[j + 2 * ld] + x3 * r[j + 3 * ld])) +
                  ((x4 * r[j + 4 * ld] + x5 * r[j + 5 * ld]) + (x6 * r[j + 6 * ld] + x7 * r[j + 7 * ld]));
    }
    for (; k < end; ++k) {
      const T *const row = b + k * ld, scale = x[k];
#pragma omp simd
      for (int j = 0; j < columns; ++j) sum[j] += scale * row[j];
    }
    for (int j = 0; j < columns; ++j) y[j] += sum[j];
  }
}

template <class T>
void vector_product(const Matrix<T>& a, const T* x, T* y, const VectorRange& range) {
  if (!a.transposed) {
    for (std::int64_t i = range.i0; i < range.i1; ++i)
      y[i] = dot(a.data + i * a.ld + range.k0, x + range.k0, range.k1 - range.k0);
    return;
  }
  for (std::int64_t i = range.i0; i < range.i1; i += kRowColumns)
    weighted_rows(a.data + i, a.ld, x, y + i, static_cast<int>(range.i1 - i < kRowColumns ? range.i1 - i : kRowColumns),
                  range.k0, range.k1);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
