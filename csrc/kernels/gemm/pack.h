// Packing: operands rewritten in the order in which the micro-tile reads them. The two movements every packer is made
// of, and the packers of plain matrices.
//
// A packer of A:  void operator()(T* to, i, rows, k, count)           to[kk * rows + r]  = A[i + r, k + kk]
// A packer of B:  void operator()(T* to, k, count, j, columns, width) to[kk * width + c] = B[k + kk, j + c], 0 for c >=
// columns
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/tile.h"
#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// One stage of a transposition: exchanges the S x S blocks off the diagonal of each pair of 2 S x 2 S.
template <int S, class V, int... Lane>
KCORE_INLINE void exchange_blocks(V& a, V& b, std::integer_sequence<int, Lane...>) {
  constexpr int L = sizeof...(Lane);
  const V low = __builtin_shufflevector(a, b, (Lane & S ? Lane - S + L : Lane)...);
  b = __builtin_shufflevector(a, b, (Lane & S ? Lane + L : Lane + S)...);
  a = low;
}
template <int S, class V, int L>
KCORE_INLINE void exchange_stage(V (&v)[L]) {
#pragma GCC unroll 16
  for (int i = 0; i < L; ++i)
    if (!(i & S)) exchange_blocks<S>(v[i], v[i + S], std::make_integer_sequence<int, L>());
  if constexpr (2 * S < L) exchange_stage<2 * S>(v);
}

// to[k * stride + r] = rows[r][k] for r < count and k < n, in squares transposed in registers: a square reads each
// cache line of a row once. Writes whole vectors, the last ones first: up to kLanes - 1 elements beyond row `count` of
// a column, which the next column or the caller overwrites.
template <class T>
void transpose_rows(T* to, std::int64_t stride, const T* const* rows, int count, std::int64_t n) {
  constexpr int L = kLanes<T>;
  std::int64_t k = 0;
  for (; k + L <= n; k += L) {
    for (int block = (count - 1) / L * L; block >= 0; block -= L) {
      Vector<T> v[L];
#pragma GCC unroll 16
      for (int r = 0; r < L; ++r)
        v[r] = *reinterpret_cast<const Vector<T>*>(rows[block + r < count ? block + r : count - 1] + k);
      exchange_stage<1>(v);
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) *reinterpret_cast<Vector<T>*>(to + (k + i) * stride + block) = v[i];
    }
  }
  for (; k < n; ++k)
    for (int r = 0; r < count; ++r) to[k * stride + r] = rows[r][k];
}

// to[j] = from[j] for j < count, N at a time: the last N overlap the ones before them.
template <class T, int N>
void copy_run(T* to, const T* from, int count) {
  for (int block = 0; block < count; block += N) {
    const int j = block + N <= count ? block : count - N;
    if constexpr (N == 8) {
      *reinterpret_cast<Eight<T>*>(to + j) = *reinterpret_cast<const Eight<T>*>(from + j);
    } else {
      *reinterpret_cast<Quad<T>*>(to + j) = *reinterpret_cast<const Quad<T>*>(from + j);
    }
  }
}

// to[i * to_stride + j] = from[i * from_stride + j] for i < n and j < count.
template <class T>
void copy_runs(T* to, std::int64_t to_stride, const T* from, std::int64_t from_stride, int count, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i, to += to_stride, from += from_stride) {
    if (count >= 8) {
      copy_run<T, 8>(to, from, count);
    } else if (count >= 4) {
      copy_run<T, 4>(to, from, count);
    } else {
      for (int j = 0; j < count; ++j) to[j] = from[j];
    }
  }
}

// Zeros in columns [columns, width) of a packed panel.
template <class T>
void clear_columns(T* to, std::int64_t count, int columns, int width) {
  if (columns == width) return;
  for (std::int64_t k = 0; k < count; ++k)
    for (int j = columns; j < width; ++j) to[k * width + j] = 0;
}

// Steps of K that a packer wants to pack of several neighbouring panels before it goes on: all, unless the panels meet
// in the same cache lines. A multiple of kPackSteps.
constexpr std::int64_t kPackSteps = 32;
template <class Packer>
std::int64_t steps_together(const Packer&, std::int64_t count) {
  return count;
}

// Calls body(at, steps) for [0, count) in chunks.
template <class Body>
void for_chunks(std::int64_t chunk, std::int64_t count, Body&& body) {
  for (std::int64_t at = 0; at < count; at += chunk) body(at, count - at < chunk ? count - at : chunk);
}

template <class T>
struct MatrixRows {
  Matrix<T> a;
  void operator()(T* to, std::int64_t i, int rows, std::int64_t k, std::int64_t count) const {
    if (a.transposed) {
      copy_runs(to, rows, a.data + k * a.ld + i, a.ld, rows, count);
      return;
    }
    const T* from[kGemmMaxTile] = {};
    for (int r = 0; r < rows; ++r) from[r] = a.data + (i + r) * a.ld + k;
    transpose_rows(to, rows, from, rows, count);
  }
};

template <class T>
std::int64_t steps_together(const MatrixRows<T>& pack, std::int64_t count) {
  return pack.a.transposed ? kPackSteps : count;
}

template <class T>
struct MatrixColumns {
  Matrix<T> b;
  void operator()(T* to, std::int64_t k, std::int64_t count, std::int64_t j, int columns, int width) const {
    if (b.transposed) {
      const T* from[kGemmMaxTile] = {};
      for (int c = 0; c < columns; ++c) from[c] = b.data + (j + c) * b.ld + k;
      transpose_rows(to, width, from, columns, count);
    } else {
      copy_runs(to, width, b.data + k * b.ld + j, b.ld, columns, count);
    }
    clear_columns(to, count, columns, width);
  }
};

template <class T>
std::int64_t steps_together(const MatrixColumns<T>& pack, std::int64_t count) {
  return pack.b.transposed ? count : kPackSteps;
}

// Matrices of bfloat16, widened on the way.
KCORE_INLINE void widen(float* to, const bfloat16* from, std::int64_t n) {
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) to[j] = static_cast<float>(from[j]);
}

template <>
struct MatrixRows<bfloat16> {
  Matrix<bfloat16> a;
  void operator()(float* to, std::int64_t i, int rows, std::int64_t k, std::int64_t count) const {
    if (a.transposed) {
      for (std::int64_t kk = 0; kk < count; ++kk) widen(to + kk * rows, a.data + (k + kk) * a.ld + i, rows);
      return;
    }
    float wide[kGemmMaxTile * kGemmSpanK];
    for (int r = 0; r < rows; ++r) widen(wide + r * count, a.data + (i + r) * a.ld + k, count);
    MatrixRows<float>{{wide, count}}(to, 0, rows, 0, count);
  }
};

template <>
struct MatrixColumns<bfloat16> {
  Matrix<bfloat16> b;
  void operator()(float* to, std::int64_t k, std::int64_t count, std::int64_t j, int columns, int width) const {
    if (b.transposed) {
      float wide[kGemmMaxTile * kGemmSpanK];
      for (int c = 0; c < columns; ++c) widen(wide + c * count, b.data + (j + c) * b.ld + k, count);
      return MatrixColumns<float>{{wide, count, true}}(to, 0, count, 0, columns, width);
    }
    for (std::int64_t kk = 0; kk < count; ++kk) widen(to + kk * width, b.data + (k + kk) * b.ld + j, columns);
    clear_columns(to, count, columns, width);
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
