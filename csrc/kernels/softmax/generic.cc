// Softmax of rows, and the table of the kernels.
#include "kernels/softmax/columns.h"
#include "kernels/softmax/rows.h"
#include "kernels/softmax/softmax.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
void rows(const T* x, std::int64_t count, std::int64_t n, T* y, bool stream) {
  if (n < kShort) {
    for_short_rows(x, count, n, [=](std::int64_t begin, std::int64_t size, const T*, T* sum, const T* e) {
#pragma omp simd
      for (int r = 0; r < kGroup; ++r) sum[r] = T(1) / sum[r];
      T* to = y + begin * n;
      for (std::int64_t r = 0; r < size; ++r)
        for (std::int64_t k = 0; k < n; ++k) to[r * n + k] = e[k * kGroup + r] * sum[r];
    });
    return;
  }
  stream = stream && fits_buffer<T>(n);
  alignas(64) T buffer[kBufferBytes / sizeof(T)];
  for (std::int64_t r = 0; r < count; ++r, x += n, y += n) {
    T* e = stream ? buffer : y;
    const T scale = static_cast<T>(1.0 / exp_sum(x, n, row_max(x, n), e));
    row_values(n, y, stream, [=](auto i) { return load(e, i) * scale; });
  }
  if (stream) stream_end();
}

template <class T>
void log_rows(const T* x, std::int64_t count, std::int64_t n, T* y, bool stream) {
  if (n < kShort) {
    for_short_rows(x, count, n, [=](std::int64_t begin, std::int64_t size, const T* top, T* sum, const T*) {
#pragma omp simd
      for (int r = 0; r < kGroup; ++r) sum[r] = log_of(sum[r]);
      const T* from = x + begin * n;
      T* to = y + begin * n;
      for (std::int64_t r = 0; r < size; ++r)
        for (std::int64_t k = 0; k < n; ++k) to[r * n + k] = (from[r * n + k] - top[r]) - sum[r];
    });
    return;
  }
  for (std::int64_t r = 0; r < count; ++r, x += n, y += n) {
    const T top = row_max(x, n), sum = log_of(static_cast<T>(exp_sum(x, n, top, static_cast<T*>(nullptr))));
    row_values(n, y, stream, [=](auto i) { return (load(x, i) - top) - sum; });
  }
  if (stream) stream_end();
}

template <class T>
void grad_rows(const T* dy, const T* y, std::int64_t count, std::int64_t n, T* dx, bool stream) {
  for (std::int64_t r = 0; r < count; ++r, dy += n, y += n, dx += n) {
    double total[1];
    row_sums<T>(n, total, [dy, y](auto i, auto& s) { s[0] += load(dy, i) * load(y, i); });
    const T dot = static_cast<T>(total[0]);
    row_values(n, dx, stream, [=](auto i) { return load(y, i) * (load(dy, i) - dot); });
  }
  if (stream) stream_end();
}

template <class T>
void log_grad_rows(const T* dy, const T* y, std::int64_t count, std::int64_t n, T* dx, bool stream) {
  for (std::int64_t r = 0; r < count; ++r, dy += n, y += n, dx += n) {
    double total[1];
    row_sums<T>(n, total, [dy](auto i, auto& s) { s[0] += load(dy, i); });
    const T sum = static_cast<T>(total[0]);
    row_values(n, dx, stream, [=](auto i) { return load(dy, i) - exp_each<T>(load(y, i)) * sum; });
  }
  if (stream) stream_end();
}

template <class T>
constexpr SoftmaxTable<T> kTable = {rows<T>,    log_rows<T>,    grad_rows<T>,    log_grad_rows<T>,
                                    columns<T>, log_columns<T>, grad_columns<T>, log_grad_columns<T>};

}  // namespace

const SoftmaxKernels softmax_table = {kTable<float>, kTable<double>};

}  // namespace kcore::kernels::KCORE_ISA
