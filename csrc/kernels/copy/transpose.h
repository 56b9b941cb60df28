// y[r * ys + c] = x[r + c * xs] by squares that are transposed in registers: lines of x are read whole and lines of y
// written whole, so strides that share one set of the cache do no harm.
#pragma once

#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

template <class T>
struct Square {
  static constexpr int width = (sizeof(T) <= 2 ? 16 : kVectorBytes) / static_cast<int>(sizeof(T));
  typedef T Row __attribute__((vector_size(width * sizeof(T)), aligned(sizeof(T)), may_alias));
};

// Exchanges the elements (i, j + step) and (i + step, j) of all blocks of 2 step x 2 step.
template <int step, class Row, int width>
KCORE_STREAM_INLINE void exchange(Row (&rows)[width]) {
  Row low, high;  // where row i, and row i + step, comes from: of 2 * width elements
  for (int j = 0; j < width; ++j) {
    low[j] = static_cast<decltype(+low[0])>(j & step ? (j ^ step) + width : j);
    high[j] = static_cast<decltype(+high[0])>(j & step ? j + width : j ^ step);
  }
  for (int i = 0; i < width; ++i) {
    if (i & step) continue;
    const Row a = rows[i], b = rows[i | step];
    rows[i] = __builtin_shuffle(a, b, low);
    rows[i | step] = __builtin_shuffle(a, b, high);
  }
}

template <class T>
KCORE_STREAM_INLINE void transpose_square(const T* x, std::int64_t xs, T* y, std::int64_t ys) {
  constexpr int width = Square<T>::width;
  using Row = typename Square<T>::Row;
  Row rows[width];
#pragma GCC unroll 16
  for (int i = 0; i < width; ++i) rows[i] = *reinterpret_cast<const Row*>(x + i * xs);
  if constexpr (width > 1) exchange<1>(rows);
  if constexpr (width > 2) exchange<2>(rows);
  if constexpr (width > 4) exchange<4>(rows);
  if constexpr (width > 8) exchange<8>(rows);
#pragma GCC unroll 16
  for (int i = 0; i < width; ++i) *reinterpret_cast<Row*>(y + i * ys) = rows[i];
}

template <class T>
void transpose_elements(const T* x, std::int64_t xs, T* y, std::int64_t ys, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) y[r * ys + c] = x[r + c * xs];
}

// A strip of at most kStrip rows; `around` wants all rows of y to begin on a line.
template <class T, int kStrip>
void transpose_strip(const T* x, std::int64_t xs, T* y, std::int64_t ys, std::int64_t rows, std::int64_t columns,
                     bool around) {
  constexpr std::int64_t width = Square<T>::width, line = 64 / sizeof(T);
  alignas(64) T block[kStrip * line];
  const std::int64_t squares = rows / width * width;
  std::int64_t c = 0;
  for (; c + line <= columns; c += line) {
    T* to = around ? block : y + c;
    const std::int64_t stride = around ? line : ys;
    for (std::int64_t q = 0; q < line; q += width) {
      const T* from = x + (c + q) * xs;
      for (std::int64_t i = 0; i < width; ++i)
        for (std::int64_t r = 0; r < rows; r += line) __builtin_prefetch(from + r + (i + line) * xs);
      for (std::int64_t r = 0; r < squares; r += width) transpose_square(from + r, xs, to + r * stride + q, stride);
    }
    transpose_elements(x + squares + c * xs, xs, to + squares * stride, stride, rows - squares, line);
    if (around)
      for (std::int64_t r = 0; r < rows; ++r)
        stream_line(reinterpret_cast<char*>(y + r * ys + c), reinterpret_cast<const char*>(block + r * line));
  }
  for (; c + width <= columns; c += width) {
    for (std::int64_t r = 0; r < squares; r += width) transpose_square(x + r + c * xs, xs, y + r * ys + c, ys);
    transpose_elements(x + squares + c * xs, xs, y + squares * ys + c, ys, rows - squares, width);
  }
  transpose_elements(x + c * xs, xs, y + c, ys, rows, columns - c);
}

// x (n, K) -> y (K, n), rows of y ys elements apart.
template <class T, int K>
void split_channels(const T* __restrict x, T* y, std::int64_t ys, std::int64_t n, bool around) {
  constexpr std::int64_t count = 1024 / sizeof(T);
  alignas(64) T block[K][count];
  for (std::int64_t i = 0; i < n; i += count, x += K * count) {
    const std::int64_t m = n - i < count ? n - i : count;
    for (std::int64_t j = 0; j < m; ++j)
      for (int k = 0; k < K; ++k) block[k][j] = x[j * K + k];
    const auto bytes = static_cast<std::int64_t>(m * sizeof(T));
    for (int k = 0; k < K; ++k) {
      T* to = y + k * ys + i;
      if (around)
        stream_out(to, block[k], bytes, {{x + K * count + k * count, bytes}});
      else
        __builtin_memcpy(to, block[k], static_cast<std::size_t>(bytes));
    }
  }
}

// x (K, n), rows xs elements apart, -> y (n, K).
template <class T, int K>
void join_channels(const T* x, std::int64_t xs, T* y, std::int64_t n, bool around) {
  constexpr std::int64_t count = 1024 / sizeof(T);
  alignas(64) T block[K * count];
  for (std::int64_t i = 0; i < n; i += count) {
    const std::int64_t m = n - i < count ? n - i : count;
    T* to = around ? block : y + i * K;
    for (std::int64_t j = 0; j < m; ++j)
      for (int k = 0; k < K; ++k) to[j * K + k] = x[k * xs + i + j];
    if (!around) continue;
    Ahead next[K];
    for (int k = 0; k < K; ++k) next[k] = {x + k * xs + i + count, static_cast<std::int64_t>(count * sizeof(T))};
    stream_out(to - block + y + i * K, block, static_cast<std::int64_t>(m * K * sizeof(T)), next);
  }
}

template <class T>
void transpose(const void* x_, std::int64_t xs, void* y_, std::int64_t ys, std::int64_t rows, std::int64_t columns,
               bool around) {
  auto* x = static_cast<const T*>(x_);
  auto* y = static_cast<T*>(y_);
  if (rows == xs && rows <= 4) {
    if (rows == 2) split_channels<T, 2>(x, y, ys, columns, around);
    if (rows == 3) split_channels<T, 3>(x, y, ys, columns, around);
    if (rows == 4) split_channels<T, 4>(x, y, ys, columns, around);
  } else if (columns == ys && columns <= 4) {
    if (columns == 2) join_channels<T, 2>(x, xs, y, rows, around);
    if (columns == 3) join_channels<T, 3>(x, xs, y, rows, around);
    if (columns == 4) join_channels<T, 4>(x, xs, y, rows, around);
  } else {
    constexpr int kStrip = 256 / sizeof(T);  // four lines of x at a time
    const bool lines = (reinterpret_cast<std::uintptr_t>(y) | static_cast<std::uintptr_t>(ys) * sizeof(T)) % 64 == 0;
    for (std::int64_t r = 0; r < rows; r += kStrip)
      transpose_strip<T, kStrip>(x + r, xs, y + r * ys, ys, rows - r < kStrip ? rows - r : kStrip, columns,
                                 around && lines);
  }
  if (around) stream_end();
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
