// Attention forward: panels of queries over blocks of keys.
#pragma once

#include "kernels/attention/scores.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
KCORE_INLINE void scale_row(T* x, std::int64_t n, T factor) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) x[i] *= factor;
}

// Scores become exp(s - maximum so far), and what the row has summed up is brought to the new maximum.
template <class T>
KCORE_INLINE void soften(T* s, std::int64_t n, T& maximum, T& sum, T* y, std::int64_t value_size) {
  const T lowest = static_cast<T>(-__builtin_inf()), old = maximum;
  T top = old;
#pragma omp simd reduction(max : top)
  for (std::int64_t j = 0; j < n; ++j) top = s[j] > top ? s[j] : top;
  const T shift = top == lowest ? T(0) : top;  // nothing but -inf so far: -inf - -inf would be NaN
  T total = 0;
#pragma omp simd reduction(+ : total)
  for (std::int64_t j = 0; j < n; ++j) {
    const T e = exp_of_negative(s[j] - shift);
    s[j] = e;
    total += e;
  }
  maximum = top;
  if (top == old || old == lowest) {
    sum += total;
  } else {
    const T correction = exp_of_negative(old - shift);
    sum = sum * correction + total;
    scale_row(y, value_size, correction);
  }
}

// The row of a query all of whose allowed keys score below any masked one: the masked keys weigh alike.
template <class T>
void average_masked(const AttentionHead<T>& head, std::int64_t g, std::int64_t t, T& maximum, T& sum, T* y) {
  const auto masked = [&](std::int64_t j) {
    return (head.causal && j > t) || (head.mask.data && !head.mask.row(g, t)[j * head.mask.key_step]);
  };
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < head.keys; ++j) count += masked(j);
  if (count == 0) return;
  maximum = kMasked<T>;
  sum = static_cast<T>(count);
  for (std::int64_t h = 0; h < head.value_size; ++h) y[h] = 0;
  for (std::int64_t j = 0; j < head.keys; ++j) {
    const T* const v = head.v + j * head.kv_heads * head.value_size;
    const T weight = masked(j) ? T(1) : T(0);  // 0 times a NaN is one
#pragma omp simd
    for (std::int64_t h = 0; h < head.value_size; ++h) y[h] += weight * v[h];
  }
}

template <class T>
void begin_rows(const AttentionHead<T>& head, T* y, T* maxima, T* sums, std::int64_t row0, std::int64_t row1) {
  for (std::int64_t row = row0; row < row1; ++row) {
    T* const to = y + (row % head.queries * head.heads + row / head.queries) * head.value_size;
    for (std::int64_t h = 0; h < head.value_size; ++h) to[h] = 0;
    maxima[row] = static_cast<T>(-__builtin_inf());
    sums[row] = 0;
  }
}

template <class T>
void end_rows(const AttentionHead<T>& head, T* y, T* maxima, T* sums, std::int64_t row0, std::int64_t row1) {
  for (std::int64_t row = row0; row < row1; ++row) {
    const std::int64_t g = row / head.queries, t = row % head.queries;
    T* const to = y + (t * head.heads + g) * head.value_size;
    const bool seen_nan = sums[row] != sums[row];
    if (maxima[row] <= kMasked<T> && !seen_nan) average_masked(head, g, t, maxima[row], sums[row], to);
    scale_row(to, head.value_size, T(1) / sums[row]);
  }
}

// body(head of the group, its first query, one past its last) for the heads that rows [row0, row1) belong to.
template <class Body>
KCORE_INLINE void for_heads(std::int64_t queries, std::int64_t row0, std::int64_t row1, const Body& body) {
  for (std::int64_t row = row0; row < row1;) {
    const std::int64_t g = row / queries, end = (g + 1) * queries < row1 ? (g + 1) * queries : row1;
    body(g, row - g * queries, end - g * queries);
    row = end;
  }
}

template <class T>
void forward(const AttentionHead<T>& head, T* y, T* maxima, T* sums, std::int64_t row0, std::int64_t row1,
             T* scratch_memory) {
  const std::int64_t q_step = head.heads * head.size, y_step = head.heads * head.value_size;
  const std::int64_t k_step = head.kv_heads * head.size, v_step = head.kv_heads * head.value_size;
  Scratch<T> scratch{scratch_memory};
  const Block<T> k = scratch.block(head.size, head.key_block);  // transposed
  const Block<T> scores = scratch.block(kAttentionPanel, head.key_block);
  const Block<T> v = scratch.block(head.key_block, head.value_size);
  const Block<T> q = scratch.block(kAttentionPanel, head.size);

  begin_rows(head, y, maxima, sums, row0, row1);
  for (std::int64_t j0 = 0; j0 < head.keys; j0 += head.key_block) {
    const std::int64_t j1 = j0 + head.key_block < head.keys ? j0 + head.key_block : head.keys;
    const T* const v_rows = head.v + j0 * v_step;
    const bool may_skip = (head.causal || head.mask.data) && all_finite(v_rows, v_step, j1 - j0, head.value_size);
    bool packed = false;
    for_heads(head.queries, row0, row1, [&](std::int64_t g, std::int64_t first, std::int64_t last) {
      for_panels(first, last, [&](std::int64_t t, int rows) {
        const std::int64_t n = may_skip ? visible_keys(head, g, t, t + rows, j0, j1) : j1 - j0;
        if (n == 0) return;
        if (!packed) {
          transpose(k, head.k + j0 * k_step, k_step, j1 - j0, head.size);
          copy_rows(v, v_rows, v_step, j1 - j0, head.value_size, [](std::int64_t) { return T(1); });
          packed = true;
        }
        copy_rows(q, head.q + t * q_step + g * head.size, q_step, rows, head.size,
                  [&](std::int64_t) { return head.scale; });
        product_panel<T, false>(rows, whole_vectors(n), head.size, q.data, q.ld, k, scores.data, scores.ld, false);
        T* const y_rows = y + t * y_step + g * head.value_size;
        for (int r = 0; r < rows; ++r) {
          T* const s = scores.row(r);
          const std::int64_t row = g * head.queries + t + r;
          finish_scores(head, g, t + r, j0, n, s);
          soften(s, whole_vectors(n), maxima[row], sums[row], y_rows + r * y_step, head.value_size);
        }
        product_panel<T, false>(rows, head.value_size, n, scores.data, scores.ld, v, y_rows, y_step, true);
      });
    });
  }
  end_rows(head, y, maxima, sums, row0, row1);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
