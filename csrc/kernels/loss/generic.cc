// Cross-entropies: each row is read while it is in L1, once for the sums and once for the result.
#include "kernels/loss/loss.h"
#include "kernels/softmax/rows.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// The largest T below 1 - epsilon rounds to, as clipping in T does.
template <class T>
inline T upper(T epsilon) {
  return static_cast<T>(1.0 - static_cast<double>(epsilon));
}

template <class T>
KCORE_INLINE T clipped(T q, T low, T high) {
  q = q < low ? low : q;
  return q > high ? high : q;
}

template <class T>
void softmax(const T* x, const T* target, std::int64_t rows, std::int64_t n, T* loss) {
  for (std::int64_t r = 0; r < rows; ++r, x += n, target += n) {
    const T top = row_max(x, n);
    const double sum = exp_sum(x, n, top, static_cast<T*>(nullptr));
    const T log_sum = static_cast<T>(log_of(sum));
    // A target of 0 contributes 0, also where the logit is -inf.
    loss[r] = static_cast<T>(row_sum<T>(n, [x, target, top, log_sum](std::int64_t i) {
      const T value = target[i] * (log_sum - (x[i] - top));
      return target[i] == T(0) && x[i] == x[i] ? T(0) : value;
    }));
  }
}

template <class T>
void softmax_grad(const T* dy, const T* x, const T* target, std::int64_t rows, std::int64_t n, T* dx) {
  for (std::int64_t r = 0; r < rows; ++r, x += n, target += n, dx += n) {
    const T top = row_max(x, n);
    const double sum = exp_sum(x, n, top, dx);
    const double weight = row_sum<T>(n, [target](std::int64_t i) { return target[i]; });
    const T scale = static_cast<T>(weight / sum), g = dy[r];
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) dx[i] = g * (dx[i] * scale - target[i]);
  }
}

template <class T>
void sparse_softmax(const T* x, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T* loss) {
  for (std::int64_t r = 0; r < rows; ++r, x += n) {
    const T top = row_max(x, n);
    const double sum = exp_sum(x, n, top, static_cast<T*>(nullptr));
    loss[r] = static_cast<T>(log_of(sum)) - (x[labels[r]] - top);
  }
}

template <class T>
void sparse_softmax_grad(const T* dy, const T* x, const std::int64_t* labels, std::int64_t rows, std::int64_t n,
                         T* dx) {
  for (std::int64_t r = 0; r < rows; ++r, x += n, dx += n) {
    const T top = row_max(x, n);
    const double sum = exp_sum(x, n, top, dx);
    const T scale = static_cast<T>(1.0 / sum), g = dy[r];
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) dx[i] = g * (dx[i] * scale);
    dx[labels[r]] -= g;
  }
}

template <class T>
void dense(const T* p, const T* target, std::int64_t rows, std::int64_t n, T epsilon, T* loss) {
  const T high = upper(epsilon);
  for (std::int64_t r = 0; r < rows; ++r, p += n, target += n) {
    const T sum = static_cast<T>(row_sum<T>(n, [p](std::int64_t i) { return p[i]; }));
    loss[r] = static_cast<T>(row_sum<T>(n, [p, target, sum, epsilon, high](std::int64_t i) {
      return -target[i] * log_of(clipped(p[i] / sum, epsilon, high));
    }));
  }
}

template <class T>
void dense_grad(const T* dy, const T* p, const T* target, std::int64_t rows, std::int64_t n, T epsilon, T* dp) {
  const T high = upper(epsilon);
  for (std::int64_t r = 0; r < rows; ++r, p += n, target += n, dp += n) {
    const T sum = static_cast<T>(row_sum<T>(n, [p](std::int64_t i) { return p[i]; }));
    // With q = p / sum and g = dloss / dq = -t / q inside the clipped range: dp = (g - sum g q) / sum.
    const double dot = row_sum<T>(n, [p, target, dp, sum, epsilon, high](std::int64_t i) {
      const T q = p[i] / sum;
      const bool inside = q >= epsilon && q <= high;
      dp[i] = inside ? -target[i] / q : T(0);
      return inside ? -target[i] : T(0);
    });
    const T shift = static_cast<T>(dot), scale = dy[r] / sum;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) dp[i] = scale * (dp[i] - shift);
  }
}

template <class T>
void sparse(const T* p, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T epsilon, T* loss) {
  const T high = upper(epsilon);
  for (std::int64_t r = 0; r < rows; ++r, p += n) {
    const T sum = static_cast<T>(row_sum<T>(n, [p](std::int64_t i) { return p[i]; }));
    loss[r] = -log_of(clipped(p[labels[r]] / sum, epsilon, high));
  }
}

template <class T>
void sparse_grad(const T* dy, const T* p, const std::int64_t* labels, std::int64_t rows, std::int64_t n, T epsilon,
                 T* dp) {
  const T high = upper(epsilon);
  for (std::int64_t r = 0; r < rows; ++r, p += n, dp += n) {
    const T sum = static_cast<T>(row_sum<T>(n, [p](std::int64_t i) { return p[i]; }));
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
    // softplus(x) - t x, and log(1 + e) of e in (0, 1] keeps its accuracy through log(u) e / (u - 1) with u = 1 + e.
    const T magnitude = x[i] < T(0) ? -x[i] : x[i];
    const T e = exp_of(-magnitude), u = T(1) + e, d = u - T(1);
    const T log1p = d == T(0) ? e : log_of(u) * (e / d);
    loss[i] = ((x[i] > T(0) ? x[i] : T(0)) - x[i] * target[i]) + log1p;
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
