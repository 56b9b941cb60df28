// Layer normalization: a row is read for its mean, for the deviations around it, and for the result.
#pragma once

#include "kernels/lanes.h"
#include "kernels/norm/norm.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
void layer_rows(const T* x, std::int64_t rows, std::int64_t n, const T* gamma, const T* beta, double epsilon, T* y,
                T* mean, T* variance, bool stream) {
  const double share = 1.0 / static_cast<double>(n);
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    double total[1], sums[2];
    row_sums<T>(n, total, [x](auto i, auto& s) { s[0] += load(x, i); });
    const T center = static_cast<T>(total[0] * share);
    row_sums<T>(n, sums, [x, center](auto i, auto& s) {
      const auto d = load(x, i) - center;
      s[0] += d;
      s[1] += d * d;
    });
    // What the rounded center misses is in sums[0].
    const double correction = sums[0] * share, v = sums[1] * share - correction * correction;
    const double inverse = 1.0 / __builtin_sqrt(v + epsilon);
    mean[r] = static_cast<T>(static_cast<double>(center) + correction);
    variance[r] = static_cast<T>(v);
    const T scale = static_cast<T>(inverse), shift = static_cast<T>(-correction * inverse);
    if (gamma && beta) {
      row_values(n, y, stream,
                 [=](auto i) { return ((load(x, i) - center) * scale + shift) * load(gamma, i) + load(beta, i); });
    } else {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i)
        y[i] = ((x[i] - center) * scale + shift) * (gamma ? gamma[i] : T(1)) + (beta ? beta[i] : T(0));
    }
  }
  if (stream) stream_end();
}

// What the gradient needs of a row: dx = scale (dy gamma - s1 - hat s2) with hat = (x - center) scale.
template <class T>
struct RowGrad {
  T center, scale, s1, s2;
};

template <class T>
KCORE_INLINE RowGrad<T> row_grad(const T* dy, const T* x, std::int64_t n, const T* gamma, T mean, T variance,
                                 double epsilon) {
  const T scale = static_cast<T>(1.0 / __builtin_sqrt(static_cast<double>(variance) + epsilon));
  double sums[2];
  if (gamma) {
    row_sums<T>(n, sums, [=](auto i, auto& s) {
      const auto g = load(dy, i) * load(gamma, i);
      s[0] += g;
      s[1] += g * (load(x, i) - mean);
    });
  } else {
    row_sums<T>(n, sums, [=](auto i, auto& s) {
      const auto g = load(dy, i);
      s[0] += g;
      s[1] += g * (load(x, i) - mean);
    });
  }
  const double share = 1.0 / static_cast<double>(n);
  return {mean, scale, static_cast<T>(sums[0] * share), static_cast<T>(sums[1] * share * static_cast<double>(scale))};
}

constexpr std::int64_t kGradPiece = 256;  // columns of several rows that stay in L1 together

// R rows at a time, so that dgamma and dbeta are read and written once for all of them.
template <int R, class T>
void grad_rows(const T* dy, const T* x, std::int64_t n, const T* gamma, const T* mean, const T* variance,
               double epsilon, T* dx, T* dgamma, T* dbeta, bool stream) {
  RowGrad<T> row[R];
  for (int r = 0; r < R; ++r) row[r] = row_grad(dy + r * n, x + r * n, n, gamma, mean[r], variance[r], epsilon);
  alignas(64) T block[R * kGradPiece];
  for (std::int64_t c = 0; c < n; c += kGradPiece) {
    const std::int64_t count = n - c < kGradPiece ? n - c : kGradPiece, ld = stream ? kGradPiece : n;
    const T *g = dy + c, *from = x + c, *weight = gamma ? gamma + c : nullptr;
    T *to = stream ? block : dx + c, *to_gamma = dgamma + c, *to_beta = dbeta + c;
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      T slope = T(0), sum = T(0);
      const T w = weight ? weight[i] : T(1);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const T hat = (from[r * n + i] - row[r].center) * row[r].scale, d = g[r * n + i];
        to[r * ld + i] = row[r].scale * (w * d - row[r].s1 - hat * row[r].s2);
        slope += d * hat;
        sum += d;
      }
      to_gamma[i] += slope;
      to_beta[i] += sum;
    }
    if (!stream) continue;
    const std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(T));
    for (int r = 0; r < R; ++r)  // the rows that come R rows later are fetched meanwhile
      stream_out(dx + r * n + c, block + r * kGradPiece, bytes,
                 {{g + (r + R) * n, bytes}, {from + (r + R) * n, bytes}});
  }
}

template <class T>
void layer_grad_rows(const T* dy, const T* x, std::int64_t rows, std::int64_t n, const T* gamma, const T* mean,
                     const T* variance, double epsilon, T* dx, T* dgamma, T* dbeta, bool stream) {
  for (std::int64_t i = 0; i < n; ++i) dgamma[i] = dbeta[i] = T(0);
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4)
    grad_rows<4>(dy + r * n, x + r * n, n, gamma, mean + r, variance + r, epsilon, dx + r * n, dgamma, dbeta, stream);
  for (; r < rows; ++r)
    grad_rows<1>(dy + r * n, x + r * n, n, gamma, mean + r, variance + r, epsilon, dx + r * n, dgamma, dbeta, stream);
  if (stream) stream_end();
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
