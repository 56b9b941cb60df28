// Attention of a few queries, as when a decoder takes one step: bound by reading k and v, once and in place. Tiles of
// keys go through all heads, so that memory is read in its order. The part of the next tile is fetched meanwhile: rows
// of a head are a few lines, too short for the hardware to see it coming.
#pragma once

#include "kernels/attention/forward.h"
#include "kernels/lanes.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Lane l of v[0] becomes the sum of v[l]: a transposition whose halves are added at each stage.
template <int S, class V, int L>
KCORE_INLINE void sum_each(V (&v)[L]) {
#pragma GCC unroll 8
  for (int i = 0; i < S; ++i) {
    exchange_blocks<S>(v[i], v[i + S], std::make_integer_sequence<int, L>());
    v[i] += v[i + S];
  }
  if constexpr (S > 1) sum_each<S / 2>(v);
}

// The last n % lanes elements of x, and zero in the other lanes.
template <class T>
KCORE_INLINE Lanes<T> rest_of(const T* x, std::int64_t n) {
  constexpr int L = kLaneCount<T>;
  if (n >= L) return keep_from<T>(load(x, Start{n - L}), L - n % L);
  Lanes<T> v = {};
  for (std::int64_t i = 0; i < n; ++i) v[i] = x[i];
  return v;
}

// Lane l: the sum over i < n of q[i] keys[l][i].
template <class T>
KCORE_INLINE Lanes<T> products_with(const T* q, const T* const (&keys)[kLaneCount<T>], std::int64_t n) {
  constexpr int L = kLaneCount<T>;
  Lanes<T> sums[L] = {};
  for (std::int64_t i = 0; i + L <= n; i += L) {
    const Lanes<T> x = load(q, Start{i});
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) sums[l] += x * load(keys[l], Start{i});
  }
  if (n % L) {
    const Lanes<T> x = rest_of(q, n);
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) sums[l] += x * rest_of(keys[l], n);
  }
  sum_each<L / 2>(sums);
  return sums[0];
}

// y[i] += the sum over j < keys of weights[j] v[j * step + i], for i < n.
template <class T>
KCORE_INLINE void add_weighted(T* y, const T* weights, const T* v, std::int64_t step, std::int64_t keys,
                               std::int64_t n) {
  for_tiles<T>(n, [&]<int V>(std::int64_t i) {
    using Columns = Tile<T, V>;
    typename Columns::Value sums[Columns::kCount];
#pragma GCC unroll 4
    for (int c = 0; c < Columns::kCount; ++c) sums[c] = Columns::get(y + i, c);
    for (std::int64_t j = 0; j < keys; ++j)
#pragma GCC unroll 4
      for (int c = 0; c < Columns::kCount; ++c) sums[c] += weights[j] * Columns::get(v + j * step + i, c);
#pragma GCC unroll 4
    for (int c = 0; c < Columns::kCount; ++c) Columns::put(y + i, c, sums[c], false);
  });
}

// Into L2: a tile of all heads is more than an L1 holds.
template <class T>
KCORE_INLINE void fetch_run(const T* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += 64 / static_cast<int>(sizeof(T))) __builtin_prefetch(x + i, 0, 2);
}

template <class T>
void few(const AttentionHead<T>& first, std::int64_t key0, std::int64_t key1, T* y, T* maxima, T* sums,
         T* scratch_memory) {
  constexpr int L = kLaneCount<T>;
  const std::int64_t size = first.size, value_size = first.value_size, n = key1 - key0;
  const std::int64_t rows = first.heads * first.queries, shared = first.group * first.queries;
  const std::int64_t k_step = first.kv_heads * size, v_step = first.kv_heads * value_size;
  const T *const k = first.k + key0 * k_step, *const v = first.v + key0 * v_step;
  const Block<T> scores = Scratch<T>{scratch_memory}.block(rows, first.key_block);
  const auto place = [&](std::int64_t row) { return row % first.queries * first.heads + row / first.queries; };

  for (std::int64_t j = 0; j < n; j += L) {
    std::int64_t at[L];  // past the end: the last key again
    for (int l = 0; l < L; ++l) at[l] = (j + l < n ? j + l : n - 1) * k_step;
    for (std::int64_t h = 0; h < first.kv_heads; ++h) {
      if (j + L < n)
        fetch_run(k + (j + L) * k_step + h * L * size, L * size);
      else
        fetch_run(v + h * L * value_size, L * value_size);
      const T* keys[L];
      for (int l = 0; l < L; ++l) keys[l] = k + at[l] + h * size;
      for (std::int64_t row = h * shared; row < (h + 1) * shared; ++row)
        store(scores.row(row) + j, products_with(first.q + place(row) * size, keys, size) * first.scale);
    }
  }
  begin_rows(first, y, maxima, sums, std::int64_t{0}, rows);
  for (std::int64_t row = 0; row < rows; ++row) {
    finish_scores(first, row / first.queries, row % first.queries, key0, n, scores.row(row));
    soften(scores.row(row), whole_vectors(n), maxima[row], sums[row], y + place(row) * value_size, value_size);
  }
  for (std::int64_t j = 0; j < n; j += L) {
    const std::int64_t count = n - j < L ? n - j : L;
    for (std::int64_t h = 0; h < first.kv_heads; ++h) {
      const T* const values = v + j * v_step + h * value_size;
      fetch_run(v + (j + L) * v_step + h * L * value_size, L * value_size);
      for (std::int64_t row = h * shared; row < (h + 1) * shared; ++row)
        add_weighted(y + place(row) * value_size, scores.row(row) + j, values, v_step, count, value_size);
    }
  }
}

template <class T>
void merge(const AttentionHead<T>& first, const AttentionParts<T>& parts, T* y, T* maxima, T* sums) {
  const std::int64_t rows = first.heads * first.queries, shared = first.group * first.queries;
  const T lowest = static_cast<T>(-__builtin_inf());
  begin_rows(first, y, maxima, sums, std::int64_t{0}, rows);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t at = (row % first.queries * first.heads + row / first.queries) * first.value_size;
    T top = lowest;
    for (std::int64_t p = 0; p < parts.count; ++p)
      top = parts.maxima[p * rows + row] > top ? parts.maxima[p * rows + row] : top;
    const T shift = top == lowest ? T(0) : top;
    for (std::int64_t p = 0; p < parts.count; ++p) {
      const T weight = exp_of_negative(parts.maxima[p * rows + row] - shift);
      const T* const from = parts.y + p * rows * first.value_size + at;
#pragma omp simd
      for (std::int64_t i = 0; i < first.value_size; ++i) y[at + i] += weight * from[i];
      sums[row] += weight * parts.sums[p * rows + row];
    }
    maxima[row] = top;
  }
  AttentionHead<T> head = first;
  for (std::int64_t h = 0; h < first.kv_heads; ++h, head.v += first.value_size)
    end_rows(head, y, maxima, sums, h * shared, (h + 1) * shared);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
