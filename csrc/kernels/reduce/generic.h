// The bodies of the reductions, over a rule that tells how to start, read and combine.
#pragma once

#include "kernels/reduce/reduce.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr int kLanes = 64;
constexpr int kMaxColumns = 1024;        // whose partial results fit L1
constexpr std::int64_t kShortRow = 512;  // below, folding kLanes costs more than it saves
constexpr std::int64_t kBlockRows = 64;  // additions to one lane before it is flushed to the wider total

// Signed sums wrap, as NumPy's do.
inline std::int32_t wrap_add(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
}
inline std::int64_t wrap_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
inline std::uint32_t wrap_add(std::uint32_t a, std::uint32_t b) { return a + b; }
inline float wrap_add(float a, float b) { return a + b; }
inline double wrap_add(double a, double b) { return a + b; }
inline std::int32_t wrap_mul(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b));
}
inline std::int64_t wrap_mul(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}
inline std::uint32_t wrap_mul(std::uint32_t a, std::uint32_t b) { return a * b; }
inline float wrap_mul(float a, float b) { return a * b; }
inline double wrap_mul(double a, double b) { return a * b; }

// The type that totals are kept in.
template <class A>
struct TotalOf {
  using type = A;
};
template <>
struct TotalOf<float> {
  using type = double;
};

template <class T>
constexpr T highest_of() {
  if constexpr (T(0.5) != T(0))
    return static_cast<T>(__builtin_inf());
  else if constexpr (T(-1) < T(0))
    return static_cast<T>((std::uint64_t{1} << (8 * sizeof(T) - 1)) - 1);
  else
    return static_cast<T>(~T(0));
}
template <class T>
constexpr T lowest_of() {
  if constexpr (T(0.5) != T(0))
    return static_cast<T>(-__builtin_inf());
  else if constexpr (T(-1) < T(0))
    return static_cast<T>(-highest_of<T>() - 1);
  else
    return T(0);
}

template <class T, class A>
struct Sum {
  using In = T;
  using Acc = A;
  using Total = typename TotalOf<A>::type;
  static constexpr A start() { return A(0); }
  static A read(T x) { return static_cast<A>(x); }
  template <class B>
  static B combine(B a, B b) {
    return wrap_add(a, b);
  }
};

template <class T, class A>
struct Prod {
  using In = T;
  using Acc = A;
  using Total = A;
  static constexpr A start() { return A(1); }
  static A read(T x) { return static_cast<A>(x); }
  static A combine(A a, A b) { return wrap_mul(a, b); }
};

// What elements are compared as.
template <class T>
struct ComparedOf {
  using type = T;
};
template <>
struct ComparedOf<bfloat16> {
  using type = float;
};
template <class T>
using Compared = typename ComparedOf<T>::type;

template <class T, class>
struct Max {
  using In = T;
  using Acc = Compared<T>;
  using Total = Acc;
  static constexpr Acc start() { return lowest_of<Acc>(); }
  static Acc read(T x) { return static_cast<Acc>(x); }
  static Acc combine(Acc a, Acc b) {
    const Acc more = b > a ? b : a;
    return b == b ? more : b;
  }
};

template <class T, class>
struct Min {
  using In = T;
  using Acc = Compared<T>;
  using Total = Acc;
  static constexpr Acc start() { return highest_of<Acc>(); }
  static Acc read(T x) { return static_cast<Acc>(x); }
  static Acc combine(Acc a, Acc b) {
    const Acc less = b < a ? b : a;
    return b == b ? less : b;
  }
};

template <class T, class>
struct Any {
  using In = T;
  using Acc = std::uint8_t;
  using Total = std::uint8_t;
  static constexpr Acc start() { return 0; }
  static Acc read(T x) { return static_cast<Compared<T>>(x) != Compared<T>(0); }
  static Acc combine(Acc a, Acc b) { return a | b; }
};

template <class T, class>
struct All {
  using In = T;
  using Acc = std::uint8_t;
  using Total = std::uint8_t;
  static constexpr Acc start() { return 1; }
  static Acc read(T x) { return static_cast<Compared<T>>(x) != Compared<T>(0); }
  static Acc combine(Acc a, Acc b) { return a & b; }
};

// Pairwise: lane l takes lane l + w for w = kWidth / 2, ... 1.
template <class Rule, int w>
inline __attribute__((always_inline)) void fold_half(typename Rule::Acc* lanes) {
#pragma omp simd
  for (int l = 0; l < w; ++l) lanes[l] = Rule::combine(lanes[l], lanes[l + w]);
  if constexpr (w > 1) fold_half<Rule, w / 2>(lanes);
}
template <class Rule, int kWidth>
typename Rule::Acc fold(typename Rule::Acc (&lanes)[kWidth]) {
  fold_half<Rule, kWidth / 2>(lanes);
  return lanes[0];
}

// Adds x[i], x[i + 1], ... to `total` in `kWidth` lanes while that many are left; returns where it stopped.
template <class Rule, int kWidth>
std::int64_t reduce_lanes(const typename Rule::In* x, std::int64_t i, std::int64_t n, typename Rule::Total& total) {
  while (n - i >= kWidth) {
    typename Rule::Acc lanes[kWidth];
    for (int l = 0; l < kWidth; ++l) lanes[l] = Rule::start();
    std::int64_t rows = (n - i) / kWidth;
    if (rows > kBlockRows) rows = kBlockRows;
    for (std::int64_t r = 0; r < rows; ++r, i += kWidth) {
#pragma omp simd
      for (int l = 0; l < kWidth; ++l) lanes[l] = Rule::combine(lanes[l], Rule::read(x[i + l]));
    }
    total = Rule::combine(total, static_cast<typename Rule::Total>(fold<Rule, kWidth>(lanes)));
  }
  return i;
}

template <class Rule>
typename Rule::Acc reduce_row(const typename Rule::In* x, std::int64_t n) {
  using Total = typename Rule::Total;
  Total total = static_cast<Total>(Rule::start());
  std::int64_t i = n < kShortRow ? reduce_lanes<Rule, 16>(x, 0, n, total) : reduce_lanes<Rule, kLanes>(x, 0, n, total);
  i = reduce_lanes<Rule, 8>(x, i, n, total);
  for (; i < n; ++i) total = Rule::combine(total, static_cast<Total>(Rule::read(x[i])));
  return static_cast<typename Rule::Acc>(total);
}

template <class Rule>
void reduce_rows(const void* x, std::int64_t rows, std::int64_t n, void* y) {
  auto* in = static_cast<const typename Rule::In*>(x);
  auto* out = static_cast<typename Rule::Acc*>(y);
  for (std::int64_t r = 0; r < rows; ++r) out[r] = reduce_row<Rule>(in + r * n, n);
}

// At most kLanes columns.
template <class Rule>
void reduce_tile(const typename Rule::In* x, std::int64_t n, int width, std::int64_t stride, typename Rule::Acc* y) {
  using A = typename Rule::Acc;
  using Total = typename Rule::Total;
  Total total[kLanes];
  for (int l = 0; l < kLanes; ++l) total[l] = static_cast<Total>(Rule::start());
  for (std::int64_t begin = 0; begin < n; begin += kBlockRows) {
    const std::int64_t end = begin + kBlockRows < n ? begin + kBlockRows : n;
    A lanes[kLanes];
    for (int l = 0; l < kLanes; ++l) lanes[l] = Rule::start();
    for (std::int64_t i = begin; i < end; ++i) {
      const typename Rule::In* row = x + i * stride;
      if (width == kLanes) {
#pragma omp simd
        for (int l = 0; l < kLanes; ++l) lanes[l] = Rule::combine(lanes[l], Rule::read(row[l]));
      } else {
#pragma omp simd
        for (int l = 0; l < width; ++l) lanes[l] = Rule::combine(lanes[l], Rule::read(row[l]));
      }
    }
    for (int l = 0; l < width; ++l) total[l] = Rule::combine(total[l], static_cast<Total>(lanes[l]));
  }
  for (int l = 0; l < width; ++l) y[l] = static_cast<A>(total[l]);
}

// More columns than a tile has: whole rows one after the other, so that memory is read in one stream; the partial sums
// of all columns stay in L1. The same order of additions as in a tile.
template <class Rule>
void reduce_wide(const typename Rule::In* x, std::int64_t n, int width, std::int64_t stride, typename Rule::Acc* y) {
  using A = typename Rule::Acc;
  using Total = typename Rule::Total;
  Total total[kMaxColumns];
  A lanes[kMaxColumns];
  for (int l = 0; l < width; ++l) total[l] = static_cast<Total>(Rule::start());
  for (std::int64_t begin = 0; begin < n; begin += kBlockRows) {
    const std::int64_t end = begin + kBlockRows < n ? begin + kBlockRows : n;
    for (int l = 0; l < width; ++l) lanes[l] = Rule::start();
    std::int64_t i = begin;
    for (; i + 4 <= end; i += 4) {
      const typename Rule::In *a = x + i * stride, *b = a + stride, *c = b + stride, *d = c + stride;
#pragma omp simd
      for (int l = 0; l < width; ++l) {
        const A two = Rule::combine(Rule::combine(lanes[l], Rule::read(a[l])), Rule::read(b[l]));
        lanes[l] = Rule::combine(Rule::combine(two, Rule::read(c[l])), Rule::read(d[l]));
      }
    }
    for (; i < end; ++i) {
      const typename Rule::In* row = x + i * stride;
#pragma omp simd
      for (int l = 0; l < width; ++l) lanes[l] = Rule::combine(lanes[l], Rule::read(row[l]));
    }
#pragma omp simd
    for (int l = 0; l < width; ++l) total[l] = Rule::combine(total[l], static_cast<Total>(lanes[l]));
  }
  for (int l = 0; l < width; ++l) y[l] = static_cast<A>(total[l]);
}

template <class Rule>
void reduce_columns(const void* x, std::int64_t n, std::int64_t width, std::int64_t stride, void* y) {
  auto* in = static_cast<const typename Rule::In*>(x);
  auto* out = static_cast<typename Rule::Acc*>(y);
  const std::int64_t together = kLanes / width;
  if (together > 1 && stride == width && n >= 2 * together) {
    // Few columns: several rows side by side fill the lanes.
    typename Rule::Acc wide[kLanes];
    const std::int64_t groups = n / together, span = together * width;
    reduce_tile<Rule>(in, groups, static_cast<int>(span), span, wide);
    for (std::int64_t c = 0; c < width; ++c) {
      auto total = static_cast<typename Rule::Total>(wide[c]);
      for (std::int64_t r = 1; r < together; ++r)
        total = Rule::combine(total, static_cast<typename Rule::Total>(wide[r * width + c]));
      for (std::int64_t i = groups * together; i < n; ++i)
        total = Rule::combine(total, static_cast<typename Rule::Total>(Rule::read(in[i * width + c])));
      out[c] = static_cast<typename Rule::Acc>(total);
    }
    return;
  }
  if (width <= kLanes) return reduce_tile<Rule>(in, n, static_cast<int>(width), stride, out);
  for (std::int64_t c = 0; c < width; c += kMaxColumns)
    reduce_wide<Rule>(in + c, n, static_cast<int>(width - c < kMaxColumns ? width - c : kMaxColumns), stride, out + c);
}

// Whether `next` takes the place of `best`: a different extreme or the first NaN; an equal one comes later.
template <class Rule, class T>
inline bool replaces(T best, T next) {
  return Rule::combine(best, next) != best && best == best;
}

// Where `value` (NaN for a NaN), which is in x, is for the first time.
template <class T>
std::int64_t find_first(const T* x, std::int64_t n, Compared<T> value) {
  const auto at = [x](std::int64_t i) { return static_cast<Compared<T>>(x[i]); };
  const bool nan = value != value;
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    int found = 0;
#pragma omp simd reduction(| : found)
    for (int l = 0; l < kLanes; ++l) found |= nan ? at(i + l) != at(i + l) : at(i + l) == value;
    if (found) break;
  }
  while (nan ? at(i) == at(i) : at(i) != value) ++i;
  return i;
}

template <template <class, class> class Extreme, class T>
void arg_rows(const void* x, std::int64_t rows, std::int64_t n, std::int32_t* y) {
  using C = Compared<T>;
  auto* in = static_cast<const T*>(x);
  std::int64_t r = 0;
  if (n < 32) {  // many rows at a time, a lane for each
    constexpr int kRows = 16;
    for (; r + kRows <= rows; r += kRows, in += kRows * n) {
      C best[kRows];
      std::int32_t index[kRows];
      for (int l = 0; l < kRows; ++l) best[l] = static_cast<C>(in[l * n]), index[l] = 0;
      for (std::int64_t i = 1; i < n; ++i) {
#pragma omp simd
        for (int l = 0; l < kRows; ++l) {
          const C next = static_cast<C>(in[l * n + i]);
          const bool better = replaces<Extreme<T, T>>(best[l], next);
          index[l] = better ? static_cast<std::int32_t>(i) : index[l];
          best[l] = better ? next : best[l];
        }
      }
      for (int l = 0; l < kRows; ++l) y[r + l] = index[l];
    }
  }
  for (; r < rows; ++r, in += n) {
    y[r] = static_cast<std::int32_t>(find_first(in, n, reduce_row<Extreme<T, T>>(in, n)));
  }
}

template <template <class, class> class Extreme, class T>
void arg_columns(const void* x, std::int64_t n, std::int64_t width, std::int64_t stride, std::int32_t* y) {
  using C = Compared<T>;
  auto* in = static_cast<const T*>(x);
  for (std::int64_t c = 0; c < width; c += kLanes) {
    const int w = static_cast<int>(width - c < kLanes ? width - c : kLanes);
    C best[kLanes];
    std::int32_t index[kLanes];
    for (int l = 0; l < w; ++l) best[l] = static_cast<C>(in[c + l]), index[l] = 0;
    for (std::int64_t i = 1; i < n; ++i) {
      const T* row = in + i * stride + c;
#pragma omp simd
      for (int l = 0; l < w; ++l) {
        const C next = static_cast<C>(row[l]);
        const bool better = replaces<Extreme<T, T>>(best[l], next);
        index[l] = better ? static_cast<std::int32_t>(i) : index[l];
        best[l] = better ? next : best[l];
      }
    }
    for (int l = 0; l < w; ++l) y[c + l] = index[l];
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
