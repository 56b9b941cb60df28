// What the scores of attention share between forward and backward: working blocks, which keys a query may see, and
// scores from products.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/attention/product.h"
#include "kernels/gemm/pack.h"
#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// A masked score: added to nothing, smaller than any score that matters, and finite.
template <class T>
constexpr T kMasked =
    static_cast<T>(-0.7) * (sizeof(T) == 4 ? static_cast<T>(__FLT_MAX__) : static_cast<T>(__DBL_MAX__));

// A step between rows that spreads the columns of a block over all sets of a cache.
KCORE_INLINE std::int64_t padded(std::int64_t n) {
  return (n + kAttentionPad - 1) / kAttentionPad * kAttentionPad + kAttentionPad;
}
KCORE_INLINE std::int64_t whole_vectors(std::int64_t n) {
  return (n + kAttentionPad - 1) / kAttentionPad * kAttentionPad;
}

// Takes blocks from the front of the scratch memory.
template <class T>
struct Scratch {
  T* next;
  Block<T> block(std::int64_t rows, std::int64_t columns) {
    const Block<T> taken{next, padded(columns)};
    next += rows * taken.ld;
    return taken;
  }
};

// Heads lie side by side, so what follows a row is that row of the next head, which this thread most likely takes next:
// with a few lines from every row, the hardware does not see it coming.
template <class T>
KCORE_INLINE void prefetch_next_head(const T* row, std::int64_t n) {
  for (std::int64_t j = n; j < 2 * n; j += 64 / static_cast<int>(sizeof(T))) __builtin_prefetch(row + j, 0, 2);
}

// to[i, :] = scale(i) from[i * step, :]
template <class T, class Scale>
KCORE_INLINE void copy_rows(Block<T> to, const T* from, std::int64_t step, std::int64_t rows, std::int64_t n,
                            const Scale& scale) {
  for (std::int64_t i = 0; i < rows; ++i) {
    T* const y = to.row(i);
    const T *const x = from + i * step, factor = scale(i);
    prefetch_next_head(x, n);
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) y[j] = factor * x[j];
  }
}

// to[j, i] = from[i * step + j] for i < rows and j < n. Sixteen rows at a time: their lines stay in L1.
template <class T>
void transpose(Block<T> to, const T* from, std::int64_t step, std::int64_t rows, std::int64_t n) {
  for (std::int64_t i = 0; i < rows; i += 16) {
    const T* pointers[16];
    const int count = static_cast<int>(rows - i < 16 ? rows - i : 16);
    for (int r = 0; r < count; ++r) prefetch_next_head(pointers[r] = from + (i + r) * step, n);
    transpose_rows(to.data + i, to.ld, pointers, count, n);
  }
}

template <class T>
bool all_finite(const T* x, std::int64_t step, std::int64_t rows, std::int64_t n) {
  for (std::int64_t i = 0; i < rows; ++i) {
    T zero = 0;  // stays 0 as long as all are finite
#pragma omp simd reduction(+ : zero)
    for (std::int64_t j = 0; j < n; ++j) zero += x[i * step + j] * T(0);
    if (zero != zero) return false;
  }
  return true;
}

// Whether the mask lets any query of [t0, t1) of a head see a key of [j0, j1).
template <class T>
bool any_allowed(const AttentionHead<T>& head, std::int64_t g, std::int64_t t0, std::int64_t t1, std::int64_t j0,
                 std::int64_t j1) {
  const auto& mask = head.mask;
  if (!mask.data) return true;
  if (mask.query_step == 0) t1 = t0 + 1;
  if (mask.key_step == 0) j1 = j0 + 1;
  for (std::int64_t t = t0; t < t1; ++t) {
    const unsigned char* const row = mask.row(g, t);
    unsigned char any = 0;
    for (std::int64_t j = j0; j < j1; ++j) any |= row[j];
    if (any) return true;
  }
  return false;
}

// Keys of [j0, j1) from the first up to the last that a query of [t0, t1) may see.
template <class T>
std::int64_t visible_keys(const AttentionHead<T>& head, std::int64_t g, std::int64_t t0, std::int64_t t1,
                          std::int64_t j0, std::int64_t j1) {
  if (head.causal && t1 < j1) j1 = t1;
  return j0 < j1 && any_allowed(head, g, t0, t1, j0, j1) ? j1 - j0 : 0;
}

// The products of a row with keys [j0, j0 + n) become its scores: bias added, masked ones replaced, and -inf in what
// fills up the last vector.
template <class T>
KCORE_INLINE void finish_scores(const AttentionHead<T>& head, std::int64_t g, std::int64_t t, std::int64_t j0,
                                std::int64_t n, T* s) {
  if (head.bias.data) {
    const T* const bias = head.bias.row(g, t) + j0 * head.bias.key_step;
    if (head.bias.key_step) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) s[j] += bias[j];
    } else {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) s[j] += bias[0];
    }
  }
  if (head.mask.data) {
    const unsigned char* const mask = head.mask.row(g, t) + j0 * head.mask.key_step;
    if (head.mask.key_step) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) s[j] = mask[j] ? s[j] : kMasked<T>;
    } else if (!mask[0]) {
      for (std::int64_t j = 0; j < n; ++j) s[j] = kMasked<T>;
    }
  }
  if (head.causal)
    for (std::int64_t j = t + 1 > j0 ? t + 1 - j0 : 0; j < n; ++j) s[j] = kMasked<T>;
  for (std::int64_t j = n; j < whole_vectors(n); ++j) s[j] = static_cast<T>(-__builtin_inf());
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
