// Packing: operands rewritten in the order in which the micro-tile reads them. The two movements every packer is made
// of, and the packers of plain matrices.
//
// A packer of A:  void operator()(T* to, i, rows, k, count)           to[kk * rows + r]  = A[i + r, k + kk]
// A packer of B:  void operator()(T* to, k, count, j, columns, width) to[kk * width + c] = B[k + kk, j + c], 0 for c >=
// columns
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/tile.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// to[k * stride + r] = rows[r][k] for r < count and k < n, in 4 x 4 blocks transposed in registers. The last block of
// rows overlaps the one before it.
template <class T>
void transpose_rows(T* to, std::int64_t stride, const T* const* rows, int count, std::int64_t n) {
  std::int64_t k = 0;
  if (count >= 4) {
    for (; k + 4 <= n; k += 4) {
      for (int block = 0; block < count; block += 4) {
        const int r = block + 4 <= count ? block : count - 4;
        const Quad<T> a = *reinterpret_cast<const Quad<T>*>(rows[r] + k);
        const Quad<T> b = *reinterpret_cast<const Quad<T>*>(rows[r + 1] + k);
        const Quad<T> c = *reinterpret_cast<const Quad<T>*>(rows[r + 2] + k);
        const Quad<T> d = *reinterpret_cast<const Quad<T>*>(rows[r + 3] + k);
        const Quad<T> ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
                      ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
        const Quad<T> cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
                      cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
        T* y = to + k * stride + r;
        *reinterpret_cast<Quad<T>*>(y) = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
        *reinterpret_cast<Quad<T>*>(y + stride) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
        *reinterpret_cast<Quad<T>*>(y + 2 * stride) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
        *reinterpret_cast<Quad<T>*>(y + 3 * stride) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
      }
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

template <class T>
struct MatrixRows {
  Matrix<T> a;
  void operator()(T* to, std::int64_t i, int rows, std::int64_t k, std::int64_t count) const {
    if (a.transposed) {
      copy_runs(to, rows, a.data + k * a.ld + i, a.ld, rows, count);
      return;
    }
    const T* from[kTileRows];
    for (int r = 0; r < rows; ++r) from[r] = a.data + (i + r) * a.ld + k;
    transpose_rows(to, rows, from, rows, count);
  }
};

template <class T>
struct MatrixColumns {
  Matrix<T> b;
  void operator()(T* to, std::int64_t k, std::int64_t count, std::int64_t j, int columns, int width) const {
    if (b.transposed) {
      const T* from[kTileColumns<T>] = {};
      for (int c = 0; c < columns; ++c) from[c] = b.data + (j + c) * b.ld + k;
      transpose_rows(to, width, from, columns, count);
    } else {
      copy_runs(to, width, b.data + k * b.ld + j, b.ld, columns, count);
    }
    clear_columns(to, count, columns, width);
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
