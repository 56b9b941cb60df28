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
template <class T, class Stored>
void weighted_rows(const Stored* b, std::int64_t ld, const T* x, T* y, int columns, std::int64_t k0, std::int64_t k1) {
  for (int j = 0; j < columns; ++j) y[j] = 0;
  for (std::int64_t k = k0; k < k1;) {
    const std::int64_t end = k + kGemmSpanK < k1 ? k + kGemmSpanK : k1;
    T sum[kRowColumns];
    for (int j = 0; j < columns; ++j) sum[j] = 0;
    for (; k + 8 <= end; k += 8) {
      const Stored* const r = b + k * ld;
      const auto at = [&](int row, int j) { return static_cast<T>(r[j + row * ld]); };
      const T x0 = x[k], x1 = x[k + 1], x2 = x[k + 2], x3 = x[k + 3];
      const T x4 = x[k + 4], x5 = x[k + 5], x6 = x[k + 6], x7 = x[k + 7];
#pragma omp simd
      for (int j = 0; j < columns; ++j)
        sum[j] += ((x0 * at(0, j) + x1 * at(1, j)) + (x2 * at(2, j) + x3 * at(3, j))) +
                  ((x4 * at(4, j) + x5 * at(5, j)) + (x6 * at(6, j) + x7 * at(7, j)));
    }
    for (; k < end; ++k) {
      const Stored* const row = b + k * ld;
      const T scale = x[k];
#pragma omp simd
      for (int j = 0; j < columns; ++j) sum[j] += scale * static_cast<T>(row[j]);
    }
    for (int j = 0; j < columns; ++j) y[j] += sum[j];
  }
}

// A row of bfloat16, widened a span at a time.
inline float dot(const bfloat16* a, const float* x, std::int64_t n) {
  float total = 0;
  for (std::int64_t k = 0; k < n; k += kGemmSpanK) {
    float wide[kGemmSpanK];
    const std::int64_t count = n - k < kGemmSpanK ? n - k : kGemmSpanK;
    widen(wide, a + k, count);
    total += dot<float>(wide, x + k, count);
  }
  return total;
}

template <class T, class Stored>
void vector_product(const Matrix<Stored>& a, const T* x, T* y, const VectorRange& range) {
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
