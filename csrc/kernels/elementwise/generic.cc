// Loops of the elementwise kernels, which the compiler vectorizes for the ISA at hand, and their table.
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/formulas.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

#define KCORE_UNARY(op, dtypes, expression)                                                    \
  template <class T, class R>                                                                  \
  void op##_loop(const void* x_, void* y_, std::int64_t n, [[maybe_unused]] const double* p) { \
    const T* __restrict xs = static_cast<const T*>(x_);                                        \
    R* __restrict ys = static_cast<R*>(y_);                                                    \
    for (std::int64_t i = 0; i < n; ++i) {                                                     \
      const T x = xs[i];                                                                       \
      ys[i] = static_cast<R>(expression);                                                      \
    }                                                                                          \
  }
#include "kernels/elementwise/unary.inc"
#undef KCORE_UNARY

#define KCORE_BINARY(op, dtypes, expression)                                                                          \
  template <class T, class R, int sa, int sb>                                                                         \
  KCORE_INLINE void op##_body(const T* __restrict as, const T* __restrict bs, R* __restrict ys, std::int64_t n,       \
                              [[maybe_unused]] const double* p) {                                                     \
    for (std::int64_t i = 0; i < n; ++i) {                                                                            \
      const T a = as[sa * i], b = bs[sb * i];                                                                         \
      ys[i] = static_cast<R>(expression);                                                                             \
    }                                                                                                                 \
  }                                                                                                                   \
  template <class T, class R>                                                                                         \
  void op##_loop(const void* a, std::int64_t stride_a, const void* b, std::int64_t stride_b, void* y, std::int64_t n, \
                 const double* p) {                                                                                   \
    const T* as = static_cast<const T*>(a);                                                                           \
    const T* bs = static_cast<const T*>(b);                                                                           \
    R* ys = static_cast<R*>(y);                                                                                       \
    if (stride_a && stride_b)                                                                                         \
      op##_body<T, R, 1, 1>(as, bs, ys, n, p);                                                                        \
    else if (stride_a)                                                                                                \
      op##_body<T, R, 1, 0>(as, bs, ys, n, p);                                                                        \
    else if (stride_b)                                                                                                \
      op##_body<T, R, 0, 1>(as, bs, ys, n, p);                                                                        \
    else                                                                                                              \
      op##_body<T, R, 0, 0>(as, bs, ys, n, p);                                                                        \
  }
#include "kernels/elementwise/binary.inc"
#undef KCORE_BINARY

// Bounds come as doubles; NaN stays NaN.
template <class T>
void clip_loop(const void* x_, void* y_, std::int64_t n, const double* p) {
  const T* __restrict xs = static_cast<const T*>(x_);
  T* __restrict ys = static_cast<T*>(y_);
  const T low = cast_of<double, T>(p[0]), high = cast_of<double, T>(p[1]);
  for (std::int64_t i = 0; i < n; ++i) {
    const T raised = xs[i] < low ? low : xs[i];
    ys[i] = raised > high ? high : raised;
  }
}

void logical_not_loop(const void* x, void* y, std::int64_t n, const double*) {
  for (std::int64_t i = 0; i < n; ++i) static_cast<bool*>(y)[i] = !static_cast<const bool*>(x)[i];
}

template <class From, class To>
void cast_loop(const void* x_, void* y_, std::int64_t n, const double*) {
  const From* __restrict xs = static_cast<const From*>(x_);
  To* __restrict ys = static_cast<To*>(y_);
  for (std::int64_t i = 0; i < n; ++i) ys[i] = cast_of<From, To>(xs[i]);
}

template <class T>
void select_loop(const bool* __restrict c, std::int64_t stride_c, const void* a_, std::int64_t stride_a, const void* b_,
                 std::int64_t stride_b, void* y_, std::int64_t n) {
  const T* __restrict a = static_cast<const T*>(a_);
  const T* __restrict b = static_cast<const T*>(b_);
  T* __restrict y = static_cast<T*>(y_);
  if (stride_c && stride_a && stride_b) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = c[i] ? a[i] : b[i];
  } else {
    for (std::int64_t i = 0; i < n; ++i) y[i] = c[stride_c * i] ? a[stride_a * i] : b[stride_b * i];
  }
}

}  // namespace

using u8 = std::uint8_t;
using i32 = std::int32_t;
using u32 = std::uint32_t;
using i64 = std::int64_t;

// Entries in the order of DType.
#define NUMERIC(op) \
  {nullptr, op<u8, u8>, op<i32, i32>, op<u32, u32>, op<i64, i64>, op<float, float>, op<double, double>}
#define FLOATING(op) {nullptr, nullptr, nullptr, nullptr, nullptr, op<float, float>, op<double, double>}
#define PREDICATE(op) {nullptr, nullptr, nullptr, nullptr, nullptr, op<float, bool>, op<double, bool>}
#define COMPARISON(op) \
  {op<u8, bool>, op<u8, bool>, op<i32, bool>, op<u32, bool>, op<i64, bool>, op<float, bool>, op<double, bool>}
#define LOGICAL(op) {op<bool, bool>, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr}
#define CAST_FROM(T)                                                                 \
  {cast_loop<T, bool>, cast_loop<T, u8>,    cast_loop<T, i32>,    cast_loop<T, u32>, \
   cast_loop<T, i64>,  cast_loop<T, float>, cast_loop<T, double>, cast_loop<T, bfloat16>}

extern const Elementwise elementwise_table = {
#define KCORE_UNARY(op, dtypes, expression) dtypes(op##_loop),
#include "kernels/elementwise/unary.inc"
#undef KCORE_UNARY
    {logical_not_loop, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr},
    {nullptr, clip_loop<u8>, clip_loop<i32>, clip_loop<u32>, clip_loop<i64>, clip_loop<float>, clip_loop<double>},
    {CAST_FROM(bool), CAST_FROM(u8), CAST_FROM(i32), CAST_FROM(u32), CAST_FROM(i64), CAST_FROM(float),
     CAST_FROM(double), CAST_FROM(bfloat16)},
#define KCORE_BINARY(op, dtypes, expression) dtypes(op##_loop),
#include "kernels/elementwise/binary.inc"
#undef KCORE_BINARY
    select_loop<u8>,
    select_loop<std::uint16_t>,
    select_loop<u32>,
    select_loop<std::uint64_t>,
};

}  // namespace kcore::kernels::KCORE_ISA
