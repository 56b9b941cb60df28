// Scaled dot-product attention, one key/value head at a time, without the matrix of scores in memory:
//
//   s = scale q k^T + bias;   y = softmax(s) v
//
// Blocks of keys meet panels of queries; each row of scores is softened as it grows (Milakov and Gimelshein, arXiv
// 1805.02867), and what a row needs to compute its weights again is its maximum and the sum of exp(s - maximum). Their
// logarithm in one number would lose the sum where scores are large. Dao et al., arXiv 2205.14135 and 2307.08691.
//
// A masked score is -0.7 times the largest finite number, as in Keras: a row without any allowed key weighs all keys
// alike. Blocks that no query may see are passed over, unless they hold an Inf or NaN that 0 times would turn into NaN.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore::kernels {

// A bias or mask over scores (group, queries, keys); a step of 0 repeats, data is null where there is none.
template <class T>
struct ScoreOperand {
  const T* data;
  std::int64_t head_step, query_step, key_step;
  const T* row(std::int64_t head, std::int64_t query) const { return data + head * head_step + query * query_step; }
};

// A key/value head and the `group` query heads that share it. Positions of q and y lie `heads` rows apart, those of k
// and v `kv_heads` rows. Rows of scores count head by head: row = head * queries + query.
template <class T>
struct AttentionHead {
  std::int64_t queries, keys, group, heads, kv_heads, size, value_size;
  const T *q, *k, *v;                // rows of q and k have `size` elements, rows of v and y `value_size`
  ScoreOperand<T> bias;              // added to the scores
  ScoreOperand<unsigned char> mask;  // 0 where a query must not see a key
  T scale;
  bool causal;             // query t sees keys up to t only
  std::int64_t key_block;  // keys that are packed or scored at a time, a multiple of 16
};

// What `few` leaves of each part of the keys, one after the other, as the outputs of a whole batch lie.
template <class T>
struct AttentionParts {
  std::int64_t count;
  const T *y, *maxima, *sums;
};

// What forward leaves for backward, and the gradients: maxima, sums and dots have an element for each row.
template <class T>
struct AttentionGrad {
  const T *dy, *maxima, *sums;
  const T* dots;  // sum over the elements of a row of dy y
  T *dq, *dk, *dv;
};

inline constexpr std::int64_t kAttentionQueryBlock = 112;  // queries that backward takes at a time
inline constexpr std::int64_t kAttentionPanel = 16;        // at most so many rows are computed side by side
inline constexpr std::int64_t kAttentionPad = 16;  // rows of working blocks: filled up to 16 elements, then 16 more
inline constexpr std::int64_t kAttentionFew = 4;   // rows that `few` is meant for

template <class T>
struct AttentionTable {
  // Rows [row0, row1) of y and their statistics. scratch: (size + panel) padded rows of key_block elements, key_block
  // padded rows of value_size, panel padded rows of size; 64-byte aligned.
  void (*forward)(const AttentionHead<T>& head, T* y, T* maxima, T* sums, std::int64_t row0, std::int64_t row1,
                  T* scratch);
  // For a few queries, as in decoding: all rows of all heads of a batch, of which `first` is the first, over the keys
  // [key0, key1), at most key_block. y is not divided by the sums. scratch: heads * queries padded rows of key_block.
  void (*few)(const AttentionHead<T>& first, std::int64_t key0, std::int64_t key1, T* y, T* maxima, T* sums,
              T* scratch);
  // All rows of a batch from what `few` left of parts of the keys, added in their order.
  void (*merge)(const AttentionHead<T>& first, const AttentionParts<T>& parts, T* y, T* maxima, T* sums);
  // to[g * queries + t] = sum of dy[t, g, :] y[t, g, :]
  void (*dots)(const AttentionHead<T>& head, const T* y, const T* dy, T* to);
  // dk and dv of keys [key0, key1), and what they add to dq, for all rows; dq rows are written, not added to. scratch:
  // (size + value_size + 2 query_block) padded rows of key_block elements, (key_block + query_block) padded rows of
  // size, query_block padded rows of value_size.
  void (*backward)(const AttentionHead<T>& head, const AttentionGrad<T>& grad, std::int64_t key0, std::int64_t key1,
                   T* scratch);
};

struct AttentionKernels {
  AttentionTable<float> f32;
  AttentionTable<double> f64;
};

}  // namespace kcore::kernels

KCORE_KERNELS(AttentionKernels, attention)
