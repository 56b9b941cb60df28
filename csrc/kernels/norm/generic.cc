// Normalization: columns in tiles of 64, rows in 64 lanes.
#include "kernels/norm/norm.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr int kLanes = 64;
constexpr std::int64_t kFlush = 64 * kLanes;  // elements summed in lanes before the sum goes to a double

template <class T>
void moments(const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, double* mean, double* m2) {
  for (std::int64_t c = 0; c < width; c += kLanes) {
    const int w = static_cast<int>(width - c < kLanes ? width - c : kLanes);
    T sum[kLanes] = {}, center[kLanes], rest[kLanes] = {}, squares[kLanes] = {};
    for (std::int64_t i = 0; i < n; ++i) {
      const T* row = x + i * stride + c;
#pragma omp simd
      for (int l = 0; l < w; ++l) sum[l] += row[l];
    }
    for (int l = 0; l < w; ++l) center[l] = sum[l] / static_cast<T>(n);
    for (std::int64_t i = 0; i < n; ++i) {
      const T* row = x + i * stride + c;
#pragma omp simd
      for (int l = 0; l < w; ++l) {
        const T d = row[l] - center[l];
        rest[l] += d;
        squares[l] += d * d;
      }
    }
    // What the rounded center misses is in `rest`.
    for (int l = 0; l < w; ++l) {
      const double correction = static_cast<double>(rest[l]) / static_cast<double>(n);
      mean[c + l] = static_cast<double>(center[l]) + correction;
      m2[c + l] = static_cast<double>(squares[l]) - correction * static_cast<double>(rest[l]);
    }
  }
}

template <class T>
void apply(const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, const T* mean, const T* scale,
           const T* shift, T* y) {
  for (std::int64_t i = 0; i < n; ++i, x += stride, y += stride) {
#pragma omp simd
    for (std::int64_t c = 0; c < width; ++c) y[c] = (x[c] - mean[c]) * scale[c] + shift[c];
  }
}

template <class T>
void grad_sums(const T* dy, const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, const T* mean,
               double* sum_dy, double* sum_dy_x) {
  for (std::int64_t c = 0; c < width; c += kLanes) {
    const int w = static_cast<int>(width - c < kLanes ? width - c : kLanes);
    T first[kLanes] = {}, second[kLanes] = {};
    for (std::int64_t i = 0; i < n; ++i) {
      const T *g = dy + i * stride + c, *row = x + i * stride + c;
#pragma omp simd
      for (int l = 0; l < w; ++l) {
        first[l] += g[l];
        second[l] += g[l] * (row[l] - mean[c + l]);
      }
    }
    for (int l = 0; l < w; ++l) sum_dy[c + l] = first[l], sum_dy_x[c + l] = second[l];
  }
}

template <class T>
void grad_apply(const T* dy, const T* x, std::int64_t n, std::int64_t width, std::int64_t stride, const T* mean,
                const T* a, const T* b, const T* d, T* dx) {
  for (std::int64_t i = 0; i < n; ++i, dy += stride, x += stride, dx += stride) {
#pragma omp simd
    for (std::int64_t c = 0; c < width; ++c) dx[c] = a[c] * dy[c] + b[c] * (x[c] - mean[c]) + d[c];
  }
}

// Sums of value(i) and other(i) over [0, n): short sums in lanes, added up in double.
template <class T, class Value>
inline void lane_sums(std::int64_t n, double (&totals)[2], const Value& value) {
  totals[0] = totals[1] = 0;
  for (std::int64_t begin = 0; begin < n; begin += kFlush) {
    const std::int64_t end = begin + kFlush < n ? begin + kFlush : n;
    T first[kLanes] = {}, second[kLanes] = {};
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
#pragma omp simd
      for (int l = 0; l < kLanes; ++l) value(i + l, first[l], second[l]);
    }
    for (int l = 0; i < end; ++i, ++l) value(i, first[l], second[l]);
    for (int w = kLanes / 2; w; w /= 2)
      for (int l = 0; l < w; ++l) first[l] += first[l + w], second[l] += second[l + w];
    totals[0] += first[0];
    totals[1] += second[0];
  }
}

template <class T>
void layer_rows(const T* x, std::int64_t rows, std::int64_t n, const T* gamma, const T* beta, double epsilon, T* y,
                T* mean, T* variance) {
  const double count = static_cast<double>(n);
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    double sums[2];
    lane_sums<T>(n, sums, [x](std::int64_t i, T& s, T&) { s += x[i]; });
    const T center = static_cast<T>(sums[0] / count);
    lane_sums<T>(n, sums, [x, center](std::int64_t i, T& s, T& q) {
      const T d = x[i] - center;
      s += d;
      q += d * d;
    });
    const double correction = sums[0] / count, v = sums[1] / count - correction * correction;
    const double inverse = 1.0 / __builtin_sqrt(v + epsilon);
    mean[r] = static_cast<T>(static_cast<double>(center) + correction);
    variance[r] = static_cast<T>(v);
    const T scale = static_cast<T>(inverse), shift = static_cast<T>(-correction * inverse);
    if (gamma && beta) {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) y[i] = ((x[i] - center) * scale + shift) * gamma[i] + beta[i];
    } else {
      for (std::int64_t i = 0; i < n; ++i)
        y[i] = ((x[i] - center) * scale + shift) * (gamma ? gamma[i] : T(1)) + (beta ? beta[i] : T(0));
    }
  }
}

template <class T>
void layer_grad_rows(const T* dy, const T* x, std::int64_t rows, std::int64_t n, const T* gamma, const T* mean,
                     const T* variance, double epsilon, T* dx, T* dgamma, T* dbeta) {
  for (std::int64_t i = 0; i < n; ++i) dgamma[i] = dbeta[i] = T(0);
  for (std::int64_t r = 0; r < rows; ++r, dy += n, x += n, dx += n) {
    const double inverse = 1.0 / __builtin_sqrt(static_cast<double>(variance[r]) + epsilon);
    const T center = mean[r], scale = static_cast<T>(inverse);
    double sums[2];
    if (gamma) {
      lane_sums<T>(n, sums, [=](std::int64_t i, T& s, T& q) {
        const T g = dy[i] * gamma[i];
        s += g;
        q += g * ((x[i] - center) * scale);
      });
    } else {
      lane_sums<T>(n, sums, [=](std::int64_t i, T& s, T& q) {
        s += dy[i];
        q += dy[i] * ((x[i] - center) * scale);
      });
    }
    const T s1 = static_cast<T>(sums[0] / static_cast<double>(n)),
            s2 = static_cast<T>(sums[1] / static_cast<double>(n));
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const T hat = (x[i] - center) * scale, g = gamma ? dy[i] * gamma[i] : dy[i];
      dx[i] = scale * (g - s1 - hat * s2);
      dgamma[i] += dy[i] * hat;
      dbeta[i] += dy[i];
    }
  }
}

template <class T>
constexpr NormTable<T> kTable = {moments<T>, apply<T>, grad_sums<T>, grad_apply<T>, layer_rows<T>, layer_grad_rows<T>};

}  // namespace

const NormKernels norm_table = {kTable<float>, kTable<double>};

}  // namespace kcore::kernels::KCORE_ISA
