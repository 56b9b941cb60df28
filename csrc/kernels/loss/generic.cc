// Cross-entropies: each row is read while it is in L1, once for the sums and once for the result.
#include "kernels/loss/loss.h"
#include "kernels/softmax/rows.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// The largest T below 1 - epsilon rounds to, as clipping in T does.
template <class T>
inline T upper(T epsilon) {
  return static_cast<T>(1.0 - static_cast<double>(epsilon));
}

// q, lanes or one value, clipped to [low, high].
template <class V, class T>
KCORE_INLINE V clipped(V q, T low, T high) {
  q = q < low ? V{} + low : q;
  return q > high ? V{} + high : q;
}

template <class T>
KCORE_INLINE T total_of(const T* p, std::int64_t n) {
  double sum[1];
  row_sums<T>(n, sum, [p](auto i, auto& s) { s[0] += load(p, i); });
  return static_cast<T>(sum[0]);
}

// t (x - top), and 0 for a target of 0, also where the logit is -inf.
template <class V>
KCORE_INLINE V weighted(V t, V d) {
  return (t == V{}) & (d == d) ? V{} : t * d;
}

template <class T>
void softmax(const T* x, const T* target, std::int64_t rows, std::int64_t n, T* loss) {
  if (n < kShort) {
    for_short_rows(x, rows, n, [=](std::int64_t begin, std::int64_t size, const T* top, T* sum, const T*) {
#pragma omp simd
      for (int r = 0; r < kGroup; ++r) sum[r] = log_of(sum[r]);
      for (std::int64_t r = 0; r < size; ++r) {
        const T *from = x + (begin + r) * n, *t = target + (begin + r) * n;
        T total = T(0);
        for (std::int64_t k = 0; k < n; ++k) total += weighted(t[k], (from[k] - top[r]) - sum[r]);
        loss[begin + r] = -total;
      }
    });
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r, x += n, target += n) {
    const T top = row_max(x, n);
    double sums[3];  // of the exponentials, the targets, and the targets times the logits
    row_sums<T>(n, sums, [=](auto i, auto& s) {
      const auto d = load(x, i) - top, t = load(target, i);
      fetch(x, i, n), fetch(target, i, n);
      s[0] += exp_below<T>(d);
      s[1] += t;
      s[2] += weighted(t, d);
    });
    loss[r] = static_cast<T>(static_cast<double>(log_of(static_cast<T>(sums[0]))) * sums[1] - sums[2]);
  }
}

template <class T>
void softmax_grad(const T* dy, const T* x, const T* target, std::int64_t rows, std::int64_t n, T* dx, bool stream) {
  if (n < kShort) {
    for_short_rows(x, rows, n, [=](std::int64_t begin, std::int64_t size, const T*, const T* sum, const T* e) {
      for (std::int64_t r = 0; r < size; ++r) {
        const T *t = target + (begin + r) * n, g = dy[begin + r];
        T weight = T(0);
        for (std::int64_t k = 0; k < n; ++k) weight += t[k];
        const T scale = weight / sum[r];
        for (std::int64_t k = 0; k < n; ++k) dx[(begin + r) * n + k] = g * (e[k * kGroup + r] * scale - t[k]);
      }
    });
    return;
  }
  stream = stream && fits_buffer<T>(n);
  alignas(64) T buffer[kBufferBytes / sizeof(T)];
  for (std::int64_t r = 0; r < rows; ++r, x += n, target += n, dx += n) {
    T* e = stream ? buffer : dx;
    const T top = row_max(x, n), g = dy[r];
    double sums[2];
    row_sums<T>(n, sums, [=](auto i, auto& s) {
      const auto v = exp_below<T>(load(x, i) - top);
      fetch(x, i, n), fetch(target, i, n);
      put(e, i, v);
      s[0] += v;
      s[1] += load(target, i);
    });
    const T scale = static_cast<T>(sums[1] / sums[0]);
    row_values(n, dx, stream, [=](auto i) { return g * (load(e, i) * scale - load(target, i)); });
  }
  if (stream) stream_end();
}

template <class T>
void sparse_softmax(const T* x, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T* loss) {
  if (n < kShort) {
    for_short_rows(x, rows, n, [=](std::int64_t begin, std::int64_t size, const T* top, T* sum, const T*) {
#pragma omp simd
      for (int r = 0; r < kGroup; ++r) sum[r] = log_of(sum[r]);
      for (std::int64_t r = 0; r < size; ++r)
        loss[begin + r] = sum[r] - (x[(begin + r) * n + labels[begin + r]] - top[r]);
    });
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r, x += n) {
    const T top = row_max(x, n);
    const double sum = exp_sum(x, n, top, static_cast<T*>(nullptr));
    loss[r] = log_of(static_cast<T>(sum)) - (x[labels[r]] - top);
  }
}

template <class T>
void sparse_softmax_grad(const T* dy, const T* x, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T* dx,
                         bool stream) {
  if (n < kShort) {
    for_short_rows(x, rows, n, [=](std::int64_t begin, std::int64_t size, const T*, const T* sum, const T* e) {
      for (std::int64_t r = 0; r < size; ++r) {
        T* to = dx + (begin + r) * n;
        const T g = dy[begin + r], scale = T(1) / sum[r];
        for (std::int64_t k = 0; k < n; ++k) to[k] = g * (e[k * kGroup + r] * scale);
        to[labels[begin + r]] -= g;
      }
    });
    return;
  }
  stream = stream && fits_buffer<T>(n);
  alignas(64) T buffer[kBufferBytes / sizeof(T)];
  for (std::int64_t r = 0; r < rows; ++r, x += n, dx += n) {
    T* e = stream ? buffer : dx;
    const T top = row_max(x, n), g = dy[r];
    const T scale = static_cast<T>(1.0 / exp_sum(x, n, top, e));
    // What the label's element becomes, less than it would as any other by g.
    const T own = g * (e[labels[r]] * scale) - g;
    row_values(n, dx, stream, [=](auto i) { return g * (load(e, i) * scale); });
    dx[labels[r]] = own;
  }
  if (stream) stream_end();
}

template <class T>
void dense(const T* p, const T* target, std::int64_t rows, std::int64_t n, T epsilon, T* loss) {
  const T high = upper(epsilon);
  for (std::int64_t r = 0; r < rows; ++r, p += n, target += n) {
    const T sum = total_of(p, n);
    double total[1];
    row_sums<T>(n, total, [=](auto i, auto& s) {
      s[0] += load(target, i) * log_each<T>(clipped(load(p, i) / sum, epsilon, high));
    });
    loss[r] = static_cast<T>(-total[0]);
  }
}

template <class T>
void dense_grad(const T* dy, const T* p, const T* target, std::int64_t rows, std::int64_t n, T epsilon, T* dp) {
  const T high = upper(epsilon);
  for (std::int64_t r = 0; r < rows; ++r, p += n, target += n, dp += n) {
    const T sum = total_of(p, n);
    // With q = p / sum and g = dloss / dq = -t / q inside the clipped range: dp = (g - sum g q) / sum.
    const auto inside = [=](auto q) { return (q >= epsilon) & (q <= high); };
    double dot[1];
    row_sums<T>(n, dot, [=](auto i, auto& s) {
      const auto t = load(target, i);
      s[0] += inside(load(p, i) / sum) ? t : decltype(t * t){};
    });
    const T shift = static_cast<T>(dot[0]), scale = dy[r] / sum;
    row_values(n, dp, false, [=](auto i) {
      const auto q = load(p, i) / sum, g = load(target, i) / q;
      return scale * (shift - (inside(q) ? g : decltype(g * g){}));
    });
  }
}

template <class T>
void sparse(const T* p, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T epsilon, T* loss) {
  const T high = upper(epsilon);
  for (std::int64_t r = 0; r < rows; ++r, p += n) {
    const T sum = total_of(p, n);
    loss[r] = -log_of(clipped(p[labels[r]] / sum, epsilon, high));
  }
}

template <class T>
void sparse_grad(const T* dy, const T* p, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T epsilon,
                 T* dp) {
  const T high = upper(epsilon);
  for (std::int64_t r = 0; r < rows; ++r, p += n, dp += n) {
    const T sum = total_of(p, n);
    const T q = p[labels[r]] / sum;
    const bool inside = q >= epsilon && q <= high;
    const T others = inside ? dy[r] / sum : T(0);
    for (std::int64_t i = 0; i < n; ++i) dp[i] = others;
    if (inside) dp[labels[r]] = others * (T(1) - T(1) / q);
  }
}

template <class T>
void sigmoid(const T* x, const T* target, std::int64_t n, T* loss) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    // softplus(x) - t x
    const T v = x[i], e = exp_of_negative(v < T(0) ? v : -v);
    loss[i] = ((v > T(0) ? v : T(0)) - v * target[i]) + log1p_of_unit(e);
  }
}

template <class T>
void sigmoid_grad(const T* dy, const T* x, const T* target, std::int64_t n, T* dx) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) dx[i] = dy[i] * (sigmoid_of(x[i]) - target[i]);
}

template <class T>
void binary(const T* p, const T* target, std::int64_t n, T epsilon, T* loss) {
  const T high = upper(epsilon);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T q = clipped(p[i], epsilon, high);
    loss[i] = -(target[i] * log_of(q) + (T(1) - target[i]) * log_of(T(1) - q));
  }
}

template <class T>
void binary_grad(const T* dy, const T* p, const T* target, std::int64_t n, T epsilon, T* dp) {
  const T high = upper(epsilon);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T q = clipped(p[i], epsilon, high);
    const T slope = (T(1) - target[i]) / (T(1) - q) - target[i] / q;
    dp[i] = p[i] < epsilon || p[i] > high ? T(0) : dy[i] * slope;
  }
}

template <class T>
constexpr LossTable<T> kTable = {softmax<T>, softmax_grad<T>, sparse_softmax<T>, sparse_softmax_grad<T>,
                                 dense<T>,   dense_grad<T>,   sparse<T>,         sparse_grad<T>,
                                 sigmoid<T>, sigmoid_grad<T>, binary<T>,         binary_grad<T>};

}  // namespace

const LossKernels loss_table = {kTable<float>, kTable<double>};

}  // namespace kcore::kernels::KCORE_ISA
