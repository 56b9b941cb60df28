// Softmax: rows along the vector, columns across it in tiles.
#include "kernels/softmax/rows.h"
#include "kernels/softmax/softmax.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
void rows(const T* x, std::int64_t count, std::int64_t n, T* y) {
  for (std::int64_t r = 0; r < count; ++r, x += n, y += n) {
    const T top = row_max(x, n);
    const double sum = exp_sum(x, n, top, y);
    const T scale = static_cast<T>(1.0 / sum);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] *= scale;
  }
}

template <class T>
void log_rows(const T* x, std::int64_t count, std::int64_t n, T* y) {
  for (std::int64_t r = 0; r < count; ++r, x += n, y += n) {
    const T top = row_max(x, n);
    const double sum = exp_sum(x, n, top, static_cast<T*>(nullptr));
    const T log_sum = static_cast<T>(log_of(sum));
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = (x[i] - top) - log_sum;
  }
}

template <class T>
void grad_rows(const T* dy, const T* y, std::int64_t count, std::int64_t n, T* dx) {
  for (std::int64_t r = 0; r < count; ++r, dy += n, y += n, dx += n) {
    const T dot = static_cast<T>(row_sum<T>(n, [dy, y](std::int64_t i) { return dy[i] * y[i]; }));
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) dx[i] = y[i] * (dy[i] - dot);
  }
}

template <class T>
void log_grad_rows(const T* dy, const T* y, std::int64_t count, std::int64_t n, T* dx) {
  for (std::int64_t r = 0; r < count; ++r, dy += n, y += n, dx += n) {
    const T sum = static_cast<T>(row_sum<T>(n, [dy](std::int64_t i) { return dy[i]; }));
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) dx[i] = dy[i] - exp_of(y[i]) * sum;
  }
}

constexpr int kTile = 64;

// body(tile's first column, its width): columns in tiles of at most kTile.
template <class Body>
KCORE_INLINE void for_tiles(std::int64_t width, const Body& body) {
  for (std::int64_t c = 0; c < width; c += kTile) body(c, static_cast<int>(width - c < kTile ? width - c : kTile));
}

// Sums of value(row, column) down each column of a tile, short sums added up in double.
template <class T, class Value>
KCORE_INLINE void column_sums(std::int64_t n, int width, T* sums, const Value& value) {
  double totals[kTile] = {};
  for (std::int64_t begin = 0; begin < n; begin += kTile) {
    const std::int64_t end = begin + kTile < n ? begin + kTile : n;
    T lanes[kTile] = {};
    for (std::int64_t i = begin; i < end; ++i) {
#pragma omp simd
      for (int l = 0; l < width; ++l) lanes[l] += value(i, l);
    }
    for (int l = 0; l < width; ++l) totals[l] += lanes[l];
  }
  for (int l = 0; l < width; ++l) sums[l] = static_cast<T>(totals[l]);
}

template <class T>
KCORE_INLINE void column_max(const T* x, std::int64_t n, int width, std::int64_t stride, T* top) {
  for (int l = 0; l < width; ++l) top[l] = static_cast<T>(-__builtin_inf());
  for (std::int64_t i = 0; i < n; ++i) {
#pragma omp simd
    for (int l = 0; l < width; ++l) top[l] = x[i * stride + l] > top[l] ? x[i * stride + l] : top[l];
  }
}

template <class T>
void columns(const T* x_, std::int64_t n, std::int64_t width, std::int64_t stride, T* y_) {
  for_tiles(width, [=](std::int64_t c, int w) {
    const T* x = x_ + c;
    T* y = y_ + c;
    T top[kTile], sum[kTile];
    column_max(x, n, w, stride, top);
    column_sums<T>(n, w, sum, [x, y, stride, &top](std::int64_t i, int l) {
      return y[i * stride + l] = exp_of(x[i * stride + l] - top[l]);
    });
    for (int l = 0; l < w; ++l) sum[l] = T(1) / sum[l];
    for (std::int64_t i = 0; i < n; ++i) {
#pragma omp simd
      for (int l = 0; l < w; ++l) y[i * stride + l] *= sum[l];
    }
  });
}

template <class T>
void log_columns(const T* x_, std::int64_t n, std::int64_t width, std::int64_t stride, T* y_) {
  for_tiles(width, [=](std::int64_t c, int w) {
    const T* x = x_ + c;
    T* y = y_ + c;
    T top[kTile], sum[kTile];
    column_max(x, n, w, stride, top);
    column_sums<T>(n, w, sum, [x, stride, &top](std::int64_t i, int l) { return exp_of(x[i * stride + l] - top[l]); });
    for (int l = 0; l < w; ++l) sum[l] = log_of(sum[l]);
    for (std::int64_t i = 0; i < n; ++i) {
#pragma omp simd
      for (int l = 0; l < w; ++l) y[i * stride + l] = (x[i * stride + l] - top[l]) - sum[l];
    }
  });
}

template <class T>
void grad_columns(const T* dy_, const T* y_, std::int64_t n, std::int64_t width, std::int64_t stride, T* dx_) {
  for_tiles(width, [=](std::int64_t c, int w) {
    const T *dy = dy_ + c, *y = y_ + c;
    T* dx = dx_ + c;
    T dot[kTile];
    column_sums<T>(n, w, dot,
                   [dy, y, stride](std::int64_t i, int l) { return dy[i * stride + l] * y[i * stride + l]; });
    for (std::int64_t i = 0; i < n; ++i) {
#pragma omp simd
      for (int l = 0; l < w; ++l) dx[i * stride + l] = y[i * stride + l] * (dy[i * stride + l] - dot[l]);
    }
  });
}

template <class T>
void log_grad_columns(const T* dy_, const T* y_, std::int64_t n, std::int64_t width, std::int64_t stride, T* dx_) {
  for_tiles(width, [=](std::int64_t c, int w) {
    const T *dy = dy_ + c, *y = y_ + c;
    T* dx = dx_ + c;
    T sum[kTile];
    column_sums<T>(n, w, sum, [dy, stride](std::int64_t i, int l) { return dy[i * stride + l]; });
    for (std::int64_t i = 0; i < n; ++i) {
#pragma omp simd
      for (int l = 0; l < w; ++l) dx[i * stride + l] = dy[i * stride + l] - exp_of(y[i * stride + l]) * sum[l];
    }
  });
}

template <class T>
constexpr SoftmaxTable<T> kTable = {rows<T>,    log_rows<T>,    grad_rows<T>,    log_grad_rows<T>,
                                    columns<T>, log_columns<T>, grad_columns<T>, log_grad_columns<T>};

}  // namespace

const SoftmaxKernels softmax_table = {kTable<float>, kTable<double>};

}  // namespace kcore::kernels::KCORE_ISA
