// Separable resizing and its adjoint: down the rows into one line, which stays in the cache, then along it.
#pragma once

#include "kernels/image/image.h"
#include "kernels/lanes.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// A vector of `bytes` at any address.
template <class T, int bytes>
struct Chunk {
  typedef T Value __attribute__((vector_size(bytes)));
  typedef T Memory __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));
  static constexpr int kCount = bytes / static_cast<int>(sizeof(T));
  static KCORE_INLINE Value get(const T* x) { return *reinterpret_cast<const Memory*>(x); }
  static KCORE_INLINE void put(T* y, Value v) { *reinterpret_cast<Memory*>(y) = v; }
};

// V chunks of the sum of an output's terms, each of which is at x + index * size.
template <class C, int V, class T>
KCORE_INLINE void sum_terms(const AxisTerms<T>& axis, std::int64_t begin, std::int64_t end, const T* x,
                            std::int64_t size, typename C::Value (&sum)[V]) {
  for (int v = 0; v < V; ++v) sum[v] = typename C::Value{};
  for (std::int64_t t = begin; t < end; ++t) {
    const T weight = axis.weight[t];
    const T* from = x + axis.index[t] * size;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[v] += weight * C::get(from + v * C::kCount);
  }
}

// line = the first n elements of output `row` of the axis, from the rows of x.
template <class T>
KCORE_INLINE void combine_rows(const AxisTerms<T>& axis, std::int64_t row, const T* x, std::int64_t size,
                               std::int64_t n, T* line) {
  using C = Chunk<T, kLaneBytes>;
  const std::int64_t begin = axis.begin[row], end = axis.begin[row + 1];
  std::int64_t i = 0;
  for (; i + 4 * C::kCount <= n; i += 4 * C::kCount) {
    typename C::Value sum[4];
    sum_terms<C, 4>(axis, begin, end, x + i, size, sum);
    for (int v = 0; v < 4; ++v) C::put(line + i + v * C::kCount, sum[v]);
  }
  for (; i + C::kCount <= n; i += C::kCount) {
    typename C::Value sum[1];
    sum_terms<C, 1>(axis, begin, end, x + i, size, sum);
    C::put(line + i, sum[0]);
  }
  for (; i < n; ++i) {
    T sum = T(0);
    for (std::int64_t t = begin; t < end; ++t) sum += axis.weight[t] * x[axis.index[t] * size + i];
    line[i] = sum;
  }
}

// One output of few channels, as V chunks of C that reach over the channels: into what follows in y, which is computed
// later, and into the slack of the line.
template <class C, int V, class T>
KCORE_INLINE void combine_few(const AxisTerms<T>& axis, std::int64_t channels, const T* line, T* y) {
  const std::int64_t last = axis.size - 1;
  for (std::int64_t j = 0; j < last; ++j) {
    typename C::Value sum[V];
    sum_terms<C, V>(axis, axis.begin[j], axis.begin[j + 1], line, channels, sum);
    for (int v = 0; v < V; ++v) C::put(y + j * channels + v * C::kCount, sum[v]);
  }
  typename C::Value sum[V];
  sum_terms<C, V>(axis, axis.begin[last], axis.begin[last + 1], line, channels, sum);
  __builtin_memcpy(y + last * channels, sum, static_cast<std::size_t>(channels) * sizeof(T));
}

template <class T>
KCORE_INLINE void combine_single(const AxisTerms<T>& axis, const T* line, T* y) {
  for (std::int64_t j = 0; j < axis.size; ++j) {
    T sum = T(0);
    for (std::int64_t t = axis.begin[j]; t < axis.begin[j + 1]; ++t) sum += axis.weight[t] * line[axis.index[t]];
    y[j] = sum;
  }
}

template <class T>
KCORE_INLINE void combine_many(const AxisTerms<T>& axis, std::int64_t channels, const T* line, T* y, bool stream) {
  using C = Chunk<T, kLaneBytes>;
  for (std::int64_t j = 0; j < axis.size; ++j) {
    const std::int64_t begin = axis.begin[j], end = axis.begin[j + 1];
    T* to = y + j * channels;
    std::int64_t c = 0;
    for (; c + 4 * C::kCount <= channels; c += 4 * C::kCount) {
      typename C::Value sum[4];
      sum_terms<C, 4>(axis, begin, end, line + c, channels, sum);
      for (int v = 0; v < 4; ++v)
        stream ? store_around(to + c + v * C::kCount, sum[v]) : C::put(to + c + v * C::kCount, sum[v]);
    }
    for (; c < channels; c += C::kCount) {  // the last one reaches over
      typename C::Value sum[1];
      sum_terms<C, 1>(axis, begin, end, line + c, channels, sum);
      if (c + C::kCount > channels && j + 1 == axis.size)
        __builtin_memcpy(to + c, sum, static_cast<std::size_t>(channels - c) * sizeof(T));
      else
        stream ? store_around(to + c, sum[0]) : C::put(to + c, sum[0]);
    }
  }
}

template <class T>
KCORE_INLINE void combine_columns(const AxisTerms<T>& axis, std::int64_t channels, const T* line, T* y, bool stream) {
  using C = Chunk<T, 16>;
  const std::int64_t chunks = (channels + C::kCount - 1) / C::kCount;
  if (channels == 1) return combine_single(axis, line, y);
  if (chunks == 1) return combine_few<C, 1>(axis, channels, line, y);
  if (chunks == 2) return combine_few<C, 2>(axis, channels, line, y);
  if (chunks == 3) return combine_few<C, 3>(axis, channels, line, y);
  combine_many(axis, channels, line, y, stream);
}

// Whether two outputs of an axis are the same.
template <class T>
KCORE_INLINE bool same_terms(const AxisTerms<T>& axis, std::int64_t a, std::int64_t b) {
  const std::int64_t n = axis.begin[a + 1] - axis.begin[a];
  if (axis.begin[b + 1] - axis.begin[b] != n) return false;
  for (std::int64_t t = 0; t < n; ++t)
    if (axis.index[axis.begin[a] + t] != axis.index[axis.begin[b] + t] ||
        axis.weight[axis.begin[a] + t] != axis.weight[axis.begin[b] + t])
      return false;
  return true;
}

// Outputs [begin, end) of an axis, and the inputs [low, high) they are made of.
struct AxisBlock {
  std::int64_t begin, end, low, high;
};
// From `begin` on: as many outputs as are made of at most `most` inputs, at least one.
template <class T>
KCORE_INLINE AxisBlock block_from(const AxisTerms<T>& axis, std::int64_t begin, std::int64_t most) {
  AxisBlock block{begin, begin, INT64_MAX, 0};
  for (; block.end < axis.size; ++block.end) {
    std::int64_t low = block.low, high = block.high;
    for (std::int64_t t = axis.begin[block.end]; t < axis.begin[block.end + 1]; ++t) {
      low = axis.index[t] < low ? axis.index[t] : low;
      high = axis.index[t] + 1 > high ? axis.index[t] + 1 : high;
    }
    if (block.end > begin && high - low > most) break;
    block.low = low;
    block.high = high;
  }
  return block;
}

template <class T>
void resize_rows(const AxisTerms<T>& rows, const AxisTerms<T>& columns, std::int64_t width, std::int64_t channels,
                 const T* x, std::int64_t begin, std::int64_t end, T* y, bool stream, T* line) {
  constexpr std::int64_t kLine = 4096;  // elements of a line: with what they are made of, they stay in L1
  const std::int64_t size = columns.size * channels;
  stream = stream && channels * static_cast<int>(sizeof(T)) % 64 == 0 && reinterpret_cast<std::uintptr_t>(y) % 64 == 0;
  for (std::int64_t column = 0; column < columns.size;) {
    const AxisBlock block = block_from(columns, column, kLine / channels);
    const AxisTerms<T> part{block.end - block.begin, columns.begin + block.begin, columns.index, columns.weight};
    const std::int64_t from = block.high > 0 ? block.low * channels : 0, inputs = block.high * channels - from;
    for (std::int64_t row = begin; row < end; ++row) {
      if (row == begin || !same_terms(rows, row - 1, row))
        combine_rows(rows, row, x + from, width * channels, inputs, line);
      combine_columns(part, channels, line - from, y + row * size + column * channels, stream);
    }
    column = block.end;
  }
  if (stream) stream_end();
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
