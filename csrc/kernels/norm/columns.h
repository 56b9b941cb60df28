// Batch normalization: loops along a row, with what belongs to a column in L1.
#pragma once

#include "kernels/lanes.h"
#include "kernels/norm/norm.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr std::int64_t kSpan = 256;  // rows summed in T before the sum goes to a double

// Sums down columns: add(row, column, first, second) adds the elements of a row from a column on, a vector (for a Start
// column) or one (for an index), to the sums of those columns. Narrow arrays are read in order, with the sums of all
// columns in registers; of wide ones a few rows at a time.
template <class T, class Add>
KCORE_INLINE void column_sums(std::int64_t rows, std::int64_t width, T* first, T* second, const Add& add) {
  constexpr int L = kLaneCount<T>, kTile = 4;
  const std::int64_t group = width <= kTile * L ? rows : 8;
  for (std::int64_t begin = 0; begin < rows; begin += group) {
    const std::int64_t end = rows - begin < group ? rows : begin + group;
    std::int64_t c = 0;
    for (; c + kTile * L <= width; c += kTile * L) {
      Lanes<T> sums[2][kTile];
#pragma GCC unroll 4
      for (int v = 0; v < kTile; ++v)
        sums[0][v] = load(first, Start{c + v * L}), sums[1][v] = load(second, Start{c + v * L});
      for (std::int64_t r = begin; r < end; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < kTile; ++v) add(r, Start{c + v * L}, sums[0][v], sums[1][v]);
#pragma GCC unroll 4
      for (int v = 0; v < kTile; ++v) store(first + c + v * L, sums[0][v]), store(second + c + v * L, sums[1][v]);
    }
    for (; c + L <= width; c += L) {
      Lanes<T> one = load(first, Start{c}), other = load(second, Start{c});
      for (std::int64_t r = begin; r < end; ++r) add(r, Start{c}, one, other);
      store(first + c, one), store(second + c, other);
    }
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t k = c; k < width; ++k) add(r, k, first[k], second[k]);
  }
}

// A span's deviations are from the mean of its first four rows: in one pass, and never far from the span's own mean
// (if all of the difference is between those rows and the others, m2 loses a factor kSpan / 4 of its accuracy).
template <class T>
void moments(const T* x, std::int64_t rows, std::int64_t width, std::int64_t stride, double* mean, double* m2) {
  T center[kNormWidth], sum[kNormWidth], squares[kNormWidth];
  for (std::int64_t begin = 0; begin < rows; begin += kSpan, x += kSpan * stride) {
    const std::int64_t n = rows - begin < kSpan ? rows - begin : kSpan, step = n < 4 ? 0 : stride;
#pragma omp simd
    for (std::int64_t c = 0; c < width; ++c) {
      const T a = x[c] + x[step + c], b = x[2 * step + c] + x[3 * step + c];
      center[c] = T(0.25) * a + T(0.25) * b, sum[c] = T(0), squares[c] = T(0);
    }
    column_sums(n, width, sum, squares, [x, stride, &center](std::int64_t r, auto c, auto& s, auto& q) {
      const auto d = load(x + r * stride, c) - load(center, c);
      s += d;
      q += d * d;
    });
    const double inverse = 1.0 / static_cast<double>(n), before = static_cast<double>(begin),
                 share = static_cast<double>(n) / (before + static_cast<double>(n));
#pragma omp simd
    for (std::int64_t c = 0; c < width; ++c) {
      const double offset = static_cast<double>(sum[c]) * inverse;
      const double own_mean = static_cast<double>(center[c]) + offset;
      const double own = static_cast<double>(squares[c]) - offset * static_cast<double>(sum[c]);
      const double old = begin ? mean[c] : own_mean, delta = own_mean - old;
      mean[c] = old + delta * share;
      m2[c] = (begin ? m2[c] : 0.0) + (own < 0.0 ? 0.0 : own) + delta * delta * (before * share);
    }
  }
}

template <class T>
void merge_moments(const double* means, const double* m2s, std::int64_t blocks, std::int64_t width, std::int64_t stride,
                   std::int64_t count, std::int64_t last, double* mean, double* m2) {
  const double total = static_cast<double>(count * (blocks - 1) + last);
  // The deviations of the blocks' means from the first one's are small, so their rounding is.
#pragma omp simd
  for (std::int64_t c = 0; c < width; ++c) mean[c] = 0, m2[c] = 0;
  for (std::int64_t b = 1; b < blocks; ++b) {
    const double share = static_cast<double>(b + 1 < blocks ? count : last) / total;
    const double* row = means + b * stride;
#pragma omp simd
    for (std::int64_t c = 0; c < width; ++c) mean[c] += (row[c] - means[c]) * share;
  }
#pragma omp simd
  for (std::int64_t c = 0; c < width; ++c) mean[c] += means[c];
  for (std::int64_t b = 0; b < blocks; ++b) {
    const double n = static_cast<double>(b + 1 < blocks ? count : last);
    const double *row = means + b * stride, *squares = m2s + b * stride;
#pragma omp simd
    for (std::int64_t c = 0; c < width; ++c) {
      const double d = row[c] - mean[c];
      m2[c] += squares[c] + n * (d * d);
    }
  }
}

template <class T>
void coefficients(const double* mean, const double* variance, std::int64_t n, const T* gamma, const T* beta,
                  double epsilon, T* center, T* scale, T* shift) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T rounded = static_cast<T>(mean[i]);
    const double inverse = 1.0 / __builtin_sqrt(variance[i] + epsilon);
    const double s = gamma ? static_cast<double>(gamma[i]) * inverse : inverse;
    const double offset = beta ? static_cast<double>(beta[i]) : 0.0;
    center[i] = rounded;
    scale[i] = static_cast<T>(s);
    // The shift carries what rounding took from the mean.
    shift[i] = static_cast<T>(offset - (mean[i] - static_cast<double>(rounded)) * s);
  }
}

// NaN stays NaN; V is a number or a vector of them.
template <class V>
KCORE_INLINE V relu_of(V v) {
  return v <= 0 ? V{} : v;
}

template <bool with_residual, bool relu, class T>
void apply_rows(const T* x, std::int64_t n, std::int64_t width, const T* center, const T* scale, const T* shift,
                const T* residual, T* y, bool stream) {
  for (; n > 0; n -= width, x += width, y += width) {
    row_values(n < width ? n : width, y, stream, [=](auto i) {
      auto v = (load(x, i) - load(center, i)) * load(scale, i) + load(shift, i);
      if constexpr (with_residual) v += load(residual, i);
      if constexpr (relu) v = relu_of(v);
      return v;
    });
    if constexpr (with_residual) residual += width;
  }
  if (stream) stream_end();
}
template <class T>
void apply(const T* x, std::int64_t n, std::int64_t width, const T* center, const T* scale, const T* shift,
           const T* residual, bool relu, T* y, bool stream) {
  if (residual && relu) return apply_rows<true, true>(x, n, width, center, scale, shift, residual, y, stream);
  if (residual) return apply_rows<true, false>(x, n, width, center, scale, shift, residual, y, stream);
  if (relu) return apply_rows<false, true>(x, n, width, center, scale, shift, residual, y, stream);
  apply_rows<false, false>(x, n, width, center, scale, shift, residual, y, stream);
}

// dy where y, as apply makes it, is above zero.
template <bool relu, class T, class V, class At>
KCORE_INLINE V grad_before(V dy, V distance, const T* scale, const T* shift, At i) {
  if constexpr (relu) {
    return distance * load(scale, i) + load(shift, i) > 0 ? dy : V{};
  } else {
    return dy;
  }
}

template <bool relu, class T>
void grad_sums_of(const T* dy, const T* x, std::int64_t rows, std::int64_t width, std::int64_t stride, const T* center,
                  const T* scale, const T* shift, double* sum_dy, double* sum_dy_x) {
  T first[kNormWidth], second[kNormWidth];
  for (std::int64_t begin = 0; begin < rows; begin += kSpan, dy += kSpan * stride, x += kSpan * stride) {
    const std::int64_t n = rows - begin < kSpan ? rows - begin : kSpan;
    for (std::int64_t c = 0; c < width; ++c) first[c] = T(0), second[c] = T(0);
    column_sums(n, width, first, second, [=](std::int64_t r, auto c, auto& s, auto& q) {
      const auto distance = load(x + r * stride, c) - load(center, c);
      const auto g = grad_before<relu>(load(dy + r * stride, c), distance, scale, shift, c);
      s += g;
      q += g * distance;
    });
#pragma omp simd
    for (std::int64_t c = 0; c < width; ++c) {
      sum_dy[c] = (begin ? sum_dy[c] : 0.0) + first[c];
      sum_dy_x[c] = (begin ? sum_dy_x[c] : 0.0) + second[c];
    }
  }
}

template <class T>
void grad_sums(const T* dy, const T* x, std::int64_t rows, std::int64_t width, std::int64_t stride, const T* center,
               const T* scale, const T* shift, double* sum_dy, double* sum_dy_x) {
  const auto sums = scale ? grad_sums_of<true, T> : grad_sums_of<false, T>;
  sums(dy, x, rows, width, stride, center, scale, shift, sum_dy, sum_dy_x);
}

template <class T>
void merge_sums(const double* parts, std::int64_t rows, std::int64_t width, std::int64_t stride, double* sums) {
#pragma omp simd
  for (std::int64_t c = 0; c < width; ++c) sums[c] = 0;
  for (std::int64_t r = 0; r < rows; ++r, parts += stride) {
#pragma omp simd
    for (std::int64_t c = 0; c < width; ++c) sums[c] += parts[c];
  }
}

template <class T>
void grad_coefficients(const double* sum_dy, const double* sum_dy_x, std::int64_t n, double rows, const T* gamma,
                       const T* variance, double epsilon, T* dgamma, T* dbeta, T* a, T* b, T* d) {
  const double share = 1.0 / rows;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const double inverse = 1.0 / __builtin_sqrt(static_cast<double>(variance[i]) + epsilon);
    const double scale = gamma ? static_cast<double>(gamma[i]) * inverse : inverse;
    const double slope = sum_dy_x[i] * inverse;
    dgamma[i] = static_cast<T>(slope);
    dbeta[i] = static_cast<T>(sum_dy[i]);
    a[i] = static_cast<T>(scale);
    b[i] = static_cast<T>(-scale * inverse * slope * share);
    d[i] = static_cast<T>(-scale * sum_dy[i] * share);
  }
}

template <bool relu, class T>
void grad_apply_of(const T* dy, const T* x, std::int64_t n, std::int64_t width, const T* center, const T* a, const T* b,
                   const T* d, const T* scale, const T* shift, T* dx, bool stream) {
  for (; n > 0; n -= width, dy += width, x += width, dx += width)
    row_values(n < width ? n : width, dx, stream, [=](auto i) {
      const auto distance = load(x, i) - load(center, i);
      const auto g = grad_before<relu>(load(dy, i), distance, scale, shift, i);
      return load(a, i) * g + load(b, i) * distance + load(d, i);
    });
  if (stream) stream_end();
}
template <class T>
void grad_apply(const T* dy, const T* x, std::int64_t n, std::int64_t width, const T* center, const T* a, const T* b,
                const T* d, const T* scale, const T* shift, T* dx, bool stream) {
  const auto rows = scale ? grad_apply_of<true, T> : grad_apply_of<false, T>;
  rows(dy, x, n, width, center, a, b, d, scale, shift, dx, stream);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
