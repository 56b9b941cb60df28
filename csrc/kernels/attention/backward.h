// Attention backward: blocks of keys over blocks of queries. With e = exp(s - maximum), p = e / sum, and dy' = dy /
// sum:
//
//   dv = e^T dy',   ds = e (dy' v^T - dots / sum),   dq = scale ds k,   dk = ds^T (scale q)
//
// A block of keys goes through all queries in order, so every sum has one order.
#pragma once

#include "kernels/attention/forward.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
void dots(const AttentionHead<T>& head, const T* y, const T* dy, T* to) {
  for (std::int64_t row = 0; row < head.group * head.queries; ++row) {
    const std::int64_t at = (row % head.queries * head.heads + row / head.queries) * head.value_size;
    T sum = 0, zero = 0;  // zero: NaN if dy holds an Inf, whose products with v are of both signs
#pragma omp simd reduction(+ : sum, zero)
    for (std::int64_t h = 0; h < head.value_size; ++h) {
      sum += dy[at + h] * y[at + h];
      zero += dy[at + h] * T(0);
    }
    to[row] = sum + zero;
  }
}

// s becomes e and ds, the products dy' v^T, becomes the gradient of the scores; none flows to a masked one.
template <class T>
KCORE_INLINE void score_gradients(T* s, T* ds, std::int64_t n, T maximum, T dot) {
  const T shift = maximum == static_cast<T>(-__builtin_inf()) ? T(0) : maximum;
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) {
    const T e = exp_of_negative(s[j] - shift), gradient = e * (ds[j] - dot);
    ds[j] = s[j] == kMasked<T> ? T(0) : gradient;
    s[j] = e;
  }
}

// A block of queries [t0, t1) of one head.
struct QueryBlock {
  std::int64_t g, t0, t1;
};

// Working memory of a block of keys: k, v transposed for the scores, k for dq; of a block of queries: q and dy scaled.
template <class T>
struct BackwardBlocks {
  Block<T> k_transposed, v_transposed, k, e, ds, q, dy;
};

// Whether what is passed over could hold an Inf or NaN that Keras would have multiplied with 0.
template <class T>
bool all_operands_finite(const AttentionHead<T>& head, const T* dy) {
  const std::int64_t q_step = head.heads * head.size, k_step = head.kv_heads * head.size;
  const std::int64_t dy_step = head.heads * head.value_size, v_step = head.kv_heads * head.value_size;
  return all_finite(head.k, k_step, head.keys, head.size) && all_finite(head.v, v_step, head.keys, head.value_size) &&
         all_finite(head.q, q_step, head.queries, head.group * head.size) &&
         all_finite(dy, dy_step, head.queries, head.group * head.value_size);
}

// A query without any allowed key weighs the masked ones: they must be looked at.
template <class T>
bool any_weighs_masked(const T* maxima, std::int64_t count) {
  bool any = false;
  for (std::int64_t i = 0; i < count; ++i) any |= maxima[i] <= kMasked<T>;
  return any;
}

// Scores of the block, e and ds: those that a causal query does not see are 0, whatever may be skipped is.
template <class T>
void block_scores(const AttentionHead<T>& head, const AttentionGrad<T>& grad, const QueryBlock& block, std::int64_t j0,
                  std::int64_t keys, bool may_skip, const BackwardBlocks<T>& work) {
  for_panels(block.t0, block.t1, [&](std::int64_t t, int rows) {
    const std::int64_t at = t - block.t0, row = block.g * head.queries + t;
    const std::int64_t n = may_skip && head.causal && t + rows < j0 + keys ? t + rows - j0 : keys;
    const std::int64_t width = n > 0 ? whole_vectors(n) : 0;
    if (n > 0) {
      product_panel<T, false>(rows, width, head.size, work.q.row(at), work.q.ld, work.k_transposed, work.e.row(at),
                              work.e.ld, false);
      product_panel<T, false>(rows, width, head.value_size, work.dy.row(at), work.dy.ld, work.v_transposed,
                              work.ds.row(at), work.ds.ld, false);
    }
    for (int r = 0; r < rows; ++r) {
      T *const s = work.e.row(at + r), *const ds = work.ds.row(at + r);
      if (n > 0) {
        finish_scores(head, block.g, t + r, j0, n, s);
        score_gradients(s, ds, width, grad.maxima[row + r], grad.dots[row + r] / grad.sums[row + r]);
      }
      for (std::int64_t j = width; j < keys; ++j) s[j] = ds[j] = 0;
    }
  });
}

template <class T>
void add_block(const AttentionHead<T>& head, const AttentionGrad<T>& grad, const QueryBlock& block, std::int64_t j0,
               std::int64_t keys, bool may_skip, const BackwardBlocks<T>& work) {
  const std::int64_t q_step = head.heads * head.size, y_step = head.heads * head.value_size;
  const std::int64_t k_step = head.kv_heads * head.size, v_step = head.kv_heads * head.value_size;
  const std::int64_t queries = block.t1 - block.t0, row = block.g * head.queries + block.t0;
  copy_rows(work.q, head.q + block.t0 * q_step + block.g * head.size, q_step, queries, head.size,
            [&](std::int64_t) { return head.scale; });
  copy_rows(work.dy, grad.dy + block.t0 * y_step + block.g * head.value_size, y_step, queries, head.value_size,
            [&](std::int64_t t) { return T(1) / grad.sums[row + t]; });
  block_scores(head, grad, block, j0, keys, may_skip, work);

  const bool triangular = may_skip && head.causal;
  for_panels(0, keys, [&](std::int64_t j, int rows) {
    // Queries before the first key of a panel see none of it.
    const std::int64_t before = triangular && j0 + j > block.t0 ? j0 + j - block.t0 : 0;
    if (before >= queries) return;
    product_panel<T, true>(rows, head.value_size, queries - before, work.e.row(before) + j, work.e.ld,
                           Block<T>{work.dy.row(before), work.dy.ld}, grad.dv + (j0 + j) * v_step, v_step, true);
    product_panel<T, true>(rows, head.size, queries - before, work.ds.row(before) + j, work.ds.ld,
                           Block<T>{work.q.row(before), work.q.ld}, grad.dk + (j0 + j) * k_step, k_step, true);
  });
  for_panels(0, queries, [&](std::int64_t t, int rows) {
    const std::int64_t last = block.t0 + t + rows;  // one past the last query, and past the last key it sees
    const std::int64_t n = triangular && last < j0 + keys ? last - j0 : keys;
    if (n <= 0) return;
    product_panel<T, false>(rows, head.size, n, work.ds.row(t), work.ds.ld, work.k,
                            grad.dq + (block.t0 + t) * q_step + block.g * head.size, q_step, true);
  });
}

template <class T>
void clear_rows(T* x, std::int64_t step, std::int64_t rows, std::int64_t n) {
  for (std::int64_t i = 0; i < rows; ++i) __builtin_memset(x + i * step, 0, static_cast<std::size_t>(n) * sizeof(T));
}

template <class T>
void backward(const AttentionHead<T>& head, const AttentionGrad<T>& grad, std::int64_t key0, std::int64_t key1,
              T* scratch_memory) {
  const std::int64_t k_step = head.kv_heads * head.size, v_step = head.kv_heads * head.value_size;
  Scratch<T> scratch{scratch_memory};
  BackwardBlocks<T> work;
  work.k_transposed = scratch.block(head.size, head.key_block);
  work.v_transposed = scratch.block(head.value_size, head.key_block);
  work.e = scratch.block(kAttentionQueryBlock, head.key_block);
  work.ds = scratch.block(kAttentionQueryBlock, head.key_block);
  work.k = scratch.block(head.key_block, head.size);
  work.q = scratch.block(kAttentionQueryBlock, head.size);
  work.dy = scratch.block(kAttentionQueryBlock, head.value_size);

  clear_rows(grad.dq, head.heads * head.size, head.queries, head.group * head.size);
  clear_rows(grad.dk + key0 * k_step, k_step, key1 - key0, head.size);
  clear_rows(grad.dv + key0 * v_step, v_step, key1 - key0, head.value_size);
  const bool finite = (head.causal || head.mask.data) && all_operands_finite(head, grad.dy);

  for (std::int64_t j0 = key0; j0 < key1; j0 += head.key_block) {
    const std::int64_t keys = j0 + head.key_block < key1 ? head.key_block : key1 - j0;
    bool packed = false;
    for (std::int64_t g = 0; g < head.group; ++g)
      for (std::int64_t t0 = 0; t0 < head.queries; t0 += kAttentionQueryBlock) {
        const std::int64_t t1 = t0 + kAttentionQueryBlock < head.queries ? t0 + kAttentionQueryBlock : head.queries;
        const bool may_skip = finite && !any_weighs_masked(grad.maxima + g * head.queries + t0, t1 - t0);
        if (may_skip && visible_keys(head, g, t0, t1, j0, j0 + keys) == 0) continue;
        if (!packed) {
          transpose(work.k_transposed, head.k + j0 * k_step, k_step, keys, head.size);
          transpose(work.v_transposed, head.v + j0 * v_step, v_step, keys, head.value_size);
          copy_rows(work.k, head.k + j0 * k_step, k_step, keys, head.size, [&](std::int64_t) { return head.scale; });
          packed = true;
        }
        add_block(head, grad, QueryBlock{g, t0, t1}, j0, keys, may_skip, work);
      }
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
