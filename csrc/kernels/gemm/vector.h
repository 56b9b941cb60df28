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

// y[j] = sum over k of x[k] b[k * ld + j] for `columns` columns, in spans of K as a block does.
template <class T, int V>
void weighted_rows(const T* b, std::int64_t ld, const T* x, T* y, std::int64_t n) {
  constexpr int L = kLanes<T>;
  Vector<T> total[V] = {};
  for (std::int64_t k0 = 0; k0 < n; k0 += kGemmSpanK) {
    const std::int64_t k1 = k0 + kGemmSpanK < n ? k0 + kGemmSpanK : n;
    Vector<T> sum[V] = {};
    for (std::int64_t k = k0; k < k1; ++k)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[v] += x[k] * *reinterpret_cast<const Vector<T>*>(b + k * ld + v * L);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) total[v] += sum[v];
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) *reinterpret_cast<Vector<T>*>(y + v * L) = total[v];
}

template <class T>
void vector_product(const Matrix<T>& a, const T* x, T* y, std::int64_t i0, std::int64_t i1, std::int64_t k) {
  constexpr int L = kLanes<T>;
  std::int64_t i = i0;
  if (!a.transposed) {
    for (; i < i1; ++i) y[i] = dot(a.data + i * a.ld, x, k);
    return;
  }
  for (; i + 4 * L <= i1; i += 4 * L) weighted_rows<T, 4>(a.data + i, a.ld, x, y + i, k);
  for (; i + L <= i1; i += L) weighted_rows<T, 1>(a.data + i, a.ld, x, y + i, k);
  for (; i < i1; ++i) {
    T total = 0;
    for (std::int64_t k0 = 0; k0 < k; k0 += kGemmSpanK) {
      const std::int64_t k1 = k0 + kGemmSpanK < k ? k0 + kGemmSpanK : k;
      T sum = 0;
      for (std::int64_t kk = k0; kk < k1; ++kk) sum += x[kk] * a.data[kk * a.ld + i];
      total += sum;
    }
    y[i] = total;
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
