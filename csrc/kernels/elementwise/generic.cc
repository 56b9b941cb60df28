// Loops of the elementwise kernels, which the compiler vectorizes for the ISA at hand, and their table.
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/formulas.h"
#include "kernels/elementwise/loops.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

#define KCORE_UNARY(op, dtypes, expression)                                   \
  struct op##_formula {                                                       \
    template <class T>                                                        \
    KCORE_INLINE static auto at(T x, [[maybe_unused]] const double (&p)[2]) { \
      return expression;                                                      \
    }                                                                         \
  };                                                                          \
  template <class T, class R>                                                 \
  void op##_loop(const void* x, void* y, std::int64_t n, const double* p) {   \
    unary<op##_formula>(static_cast<const T*>(x), static_cast<R*>(y), n, p);  \
  }
#include "kernels/elementwise/unary.inc"
// A choice between them in one loop would compute both.
KCORE_UNARY(gelu_erf, FLOATING, gelu_erf_of(x))
KCORE_UNARY(gelu_tanh, FLOATING, gelu_tanh_of(x))
#undef KCORE_UNARY

#define KCORE_BINARY(op, dtypes, expression)                                                                          \
  struct op##_formula {                                                                                               \
    template <class T>                                                                                                \
    KCORE_INLINE static auto at(T a, T b, [[maybe_unused]] const double (&p)[2]) {                                    \
      return expression;                                                                                              \
    }                                                                                                                 \
  };                                                                                                                  \
  template <class T, class R>                                                                                         \
  void op##_loop(const void* a, std::int64_t stride_a, const void* b, std::int64_t stride_b, void* y, std::int64_t n, \
                 const double* p) {                                                                                   \
    const T* as = static_cast<const T*>(a);                                                                           \
    const T* bs = static_cast<const T*>(b);                                                                           \
    R* ys = static_cast<R*>(y);                                                                                       \
    if (stride_a && stride_b)                                                                                         \
      binary<op##_formula, 1, 1>(as, bs, ys, n, p);                                                                   \
    else if (stride_a)                                                                                                \
      binary<op##_formula, 1, 0>(as, bs, ys, n, p);                                                                   \
    else if (stride_b)                                                                                                \
      binary<op##_formula, 0, 1>(as, bs, ys, n, p);                                                                   \
    else                                                                                                              \
      binary<op##_formula, 0, 0>(as, bs, ys, n, p);                                                                   \
  }
#include "kernels/elementwise/binary.inc"
KCORE_BINARY(gelu_erf_grad, FLOATING, a* gelu_erf_derivative(b))
KCORE_BINARY(gelu_tanh_grad, FLOATING, a* gelu_tanh_derivative(b))
KCORE_BINARY(far_mod, QUOTIENT, far_mod_of(a, b))
KCORE_BINARY(far_floor_divide, QUOTIENT, far_floor_divide_of(a, b))
#undef KCORE_BINARY

// float through double for blocks with an argument that the float loop does not hold for.
template <UnaryFunction narrow, UnaryFunction wide>
void angle_loop(const void* x_, void* y_, std::int64_t n, const double* p) {
  constexpr std::int64_t kBlock = 256;
  for (std::int64_t i = 0; i < n; i += kBlock) {
    const float* x = static_cast<const float*>(x_) + i;
    float* y = static_cast<float*>(y_) + i;
    const std::int64_t count = n - i < kBlock ? n - i : kBlock;
    int large = 0;
    for (std::int64_t j = 0; j < count; ++j) large |= x[j] > kLargestAngle || x[j] < -kLargestAngle;
    if (!large) {
      narrow(x, y, count, p);
      continue;
    }
    double block[kBlock], result[kBlock];
    for (std::int64_t j = 0; j < count; ++j) block[j] = x[j];
    wide(block, result, count, p);
    for (std::int64_t j = 0; j < count; ++j) y[j] = static_cast<float>(result[j]);
  }
}

// float by the C library for blocks with a quotient that the float loop does not hold for.
template <int sa, int sb>
KCORE_INLINE int far_apart(const float* a, const float* b, std::int64_t n) {
  int found = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const float divisor = __builtin_fabsf(b[sb * i]);
    found |= !(__builtin_fabsf(a[sa * i]) < divisor * kLargestQuotient) | !(divisor < __builtin_inff());
  }
  return found;
}
template <BinaryFunction near, BinaryFunction far>
void quotient_loop(const void* a_, std::int64_t stride_a, const void* b_, std::int64_t stride_b, void* y,
                   std::int64_t n, const double* p) {
  constexpr std::int64_t kBlock = 256;
  for (std::int64_t i = 0; i < n; i += kBlock) {
    const float *a = static_cast<const float*>(a_) + i * stride_a, *b = static_cast<const float*>(b_) + i * stride_b;
    const std::int64_t count = n - i < kBlock ? n - i : kBlock;
    const int found = stride_a == 0   ? far_apart<0, 1>(a, b, stride_b ? count : 1)
                      : stride_b == 0 ? far_apart<1, 0>(a, b, count)
                                      : far_apart<1, 1>(a, b, count);
    (found ? far : near)(a, stride_a, b, stride_b, static_cast<float*>(y) + i, count, p);
  }
}

// bfloat16 through blocks of float, for loops that are more than a formula.
template <UnaryFunction function>
void in_float(const void* x_, void* y_, std::int64_t n, const double* p) {
  constexpr std::int64_t kBlock = 512;
  float x[kBlock], y[kBlock];
  for (std::int64_t i = 0; i < n; i += kBlock) {
    const std::int64_t count = n - i < kBlock ? n - i : kBlock;
    for (std::int64_t j = 0; j < count; ++j) x[j] = static_cast<float>(static_cast<const bfloat16*>(x_)[i + j]);
    function(x, y, count, p);
    for (std::int64_t j = 0; j < count; ++j) static_cast<bfloat16*>(y_)[i + j] = bfloat16(y[j]);
  }
}
template <BinaryFunction function>
void in_float(const void* a_, std::int64_t stride_a, const void* b_, std::int64_t stride_b, void* y_, std::int64_t n,
              const double* p) {
  constexpr std::int64_t kBlock = 512;
  float a[kBlock], b[kBlock], y[kBlock];
  for (std::int64_t i = 0; i < n; i += kBlock) {
    const std::int64_t count = n - i < kBlock ? n - i : kBlock;
    const bfloat16 *as = static_cast<const bfloat16*>(a_) + i * stride_a,
                   *bs = static_cast<const bfloat16*>(b_) + i * stride_b;
    for (std::int64_t j = 0; j < (stride_a ? count : 1); ++j) a[j] = static_cast<float>(as[j]);
    for (std::int64_t j = 0; j < (stride_b ? count : 1); ++j) b[j] = static_cast<float>(bs[j]);
    function(a, stride_a, b, stride_b, y, count, p);
    for (std::int64_t j = 0; j < count; ++j) static_cast<bfloat16*>(y_)[i + j] = bfloat16(y[j]);
  }
}

// Bounds come as doubles; NaN stays NaN.
template <class T>
void clip_loop(const void* x_, void* y_, std::int64_t n, const double* p) {
  const T* xs = static_cast<const T*>(x_);
  T* ys = static_cast<T*>(y_);
  const T low = cast_of<double, T>(p[0]), high = cast_of<double, T>(p[1]);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T raised = xs[i] < low ? low : xs[i];
    ys[i] = raised > high ? high : raised;
  }
}

template <class From, class To>
void cast_loop(const void* x_, void* y_, std::int64_t n, const double*) {
  const From* __restrict xs = static_cast<const From*>(x_);
  To* __restrict ys = static_cast<To*>(y_);
  for (std::int64_t i = 0; i < n; ++i) ys[i] = cast_of<From, To>(xs[i]);
}

template <class T, int sa, int sb>
KCORE_INLINE void select_body(const std::uint8_t* c, const T* a, const T* b, T* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T kept = T(0) - T(c[i] != 0), x = a[sa * i], z = b[sb * i];  // all ones or none: no branch
    y[i] = (x & kept) | (z & ~kept);
  }
}
template <class T>
void select_loop(const bool* c_, std::int64_t stride_c, const void* a_, std::int64_t stride_a, const void* b_,
                 std::int64_t stride_b, void* y_, std::int64_t n) {
  const auto* c = reinterpret_cast<const std::uint8_t*>(c_);
  const T* a = static_cast<const T*>(a_);
  const T* b = static_cast<const T*>(b_);
  T* y = static_cast<T*>(y_);
  if (!stride_c) {
    const T* from = *c ? a : b;
    const std::int64_t stride = *c ? stride_a : stride_b;
    for (std::int64_t i = 0; i < n; ++i) y[i] = from[stride * i];
  } else if (stride_a && stride_b) {
    select_body<T, 1, 1>(c, a, b, y, n);
  } else if (stride_a) {
    select_body<T, 1, 0>(c, a, b, y, n);
  } else if (stride_b) {
    select_body<T, 0, 1>(c, a, b, y, n);
  } else {
    select_body<T, 0, 0>(c, a, b, y, n);
  }
}

}  // namespace

using u8 = std::uint8_t;
using i32 = std::int32_t;
using u32 = std::uint32_t;
using i64 = std::int64_t;

using b16 = bfloat16;

// Entries in the order of DType.
#define NUMERIC(op) \
  {nullptr, op<u8, u8>, op<i32, i32>, op<u32, u32>, op<i64, i64>, op<float, float>, op<double, double>, op<b16, b16>}
#define FLOATING(op) {nullptr, nullptr, nullptr, nullptr, nullptr, op<float, float>, op<double, double>, op<b16, b16>}
#define ANGLE(op)                                    \
  {nullptr,                                          \
   nullptr,                                          \
   nullptr,                                          \
   nullptr,                                          \
   nullptr,                                          \
   angle_loop<op<float, float>, op<double, double>>, \
   op<double, double>,                               \
   in_float<angle_loop<op<float, float>, op<double, double>>>}
#define QUOTIENT(op)                                        \
  {nullptr,                                                 \
   op<u8, u8>,                                              \
   op<i32, i32>,                                            \
   op<u32, u32>,                                            \
   op<i64, i64>,                                            \
   quotient_loop<op<float, float>, far_##op<float, float>>, \
   op<double, double>,                                      \
   in_float<quotient_loop<op<float, float>, far_##op<float, float>>>}
#define PREDICATE(op) {nullptr, nullptr, nullptr, nullptr, nullptr, op<float, bool>, op<double, bool>, op<b16, bool>}
#define COMPARISON(op)                                              \
  {op<u8, bool>,  op<u8, bool>,    op<i32, bool>,    op<u32, bool>, \
   op<i64, bool>, op<float, bool>, op<double, bool>, op<b16, bool>}
#define LOGICAL(op) {op<u8, bool>, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr}
#define CAST_FROM(T)                                                                 \
  {cast_loop<T, bool>, cast_loop<T, u8>,    cast_loop<T, i32>,    cast_loop<T, u32>, \
   cast_loop<T, i64>,  cast_loop<T, float>, cast_loop<T, double>, cast_loop<T, bfloat16>}

extern const Elementwise elementwise_table = {
#define KCORE_UNARY(op, dtypes, expression) dtypes(op##_loop),
#include "kernels/elementwise/unary.inc"
#undef KCORE_UNARY
    {nullptr, clip_loop<u8>, clip_loop<i32>, clip_loop<u32>, clip_loop<i64>, clip_loop<float>, clip_loop<double>,
     in_float<clip_loop<float>>},
    {CAST_FROM(bool), CAST_FROM(u8), CAST_FROM(i32), CAST_FROM(u32), CAST_FROM(i64), CAST_FROM(float),
     CAST_FROM(double), CAST_FROM(bfloat16)},
    {FLOATING(gelu_erf_loop), FLOATING(gelu_tanh_loop)},
#define KCORE_BINARY(op, dtypes, expression) dtypes(op##_loop),
#include "kernels/elementwise/binary.inc"
#undef KCORE_BINARY
    {FLOATING(gelu_erf_grad_loop), FLOATING(gelu_tanh_grad_loop)},
    select_loop<u8>,
    select_loop<std::uint16_t>,
    select_loop<u32>,
    select_loop<std::uint64_t>,
};

}  // namespace kcore::kernels::KCORE_ISA
