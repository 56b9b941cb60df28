// Attention of a few queries, as when a decoder takes one step: bound by reading k and v, which are not packed.
#pragma once

#include "kernels/attention/forward.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
KCORE_INLINE T dot(const T* a, const T* b, std::int64_t n) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
void few(const AttentionHead<T>& head, T* y, T* maxima, T* sums, T* scratch_memory) {
  const std::int64_t rows = head.group * head.queries;
  const std::int64_t k_step = head.kv_heads * head.size, v_step = head.kv_heads * head.value_size;
  const Block<T> scores = Scratch<T>{scratch_memory}.block(kAttentionPanel, head.key_block);

  begin_rows(head, y, maxima, sums, std::int64_t{0}, rows);
  for (std::int64_t j0 = 0; j0 < head.keys; j0 += head.key_block) {
    const std::int64_t n = head.keys - j0 < head.key_block ? head.keys - j0 : head.key_block;
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t g = row / head.queries, t = row % head.queries;
      const T* const q = head.q + (t * head.heads + g) * head.size;
      T *const s = scores.row(row), *const y_row = y + (t * head.heads + g) * head.value_size;
      for (std::int64_t j = 0; j < n; ++j) s[j] = dot(q, head.k + (j0 + j) * k_step, head.size) * head.scale;
      finish_scores(head, g, t, j0, n, s);
      soften(s, whole_vectors(n), maxima[row], sums[row], y_row, head.value_size);
      for (std::int64_t j = 0; j < n; ++j) {
        const T* const v = head.v + (j0 + j) * v_step;
#pragma omp simd
        for (std::int64_t h = 0; h < head.value_size; ++h) y_row[h] += s[j] * v[h];
      }
    }
  }
  end_rows(head, y, maxima, sums, std::int64_t{0}, rows);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
