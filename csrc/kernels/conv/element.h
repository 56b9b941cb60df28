// What the direct way multiplies: elements of P and B, each of which is a number, or a pair of bfloat16 whose two
// products are summed at once.
#pragma once

#include "kernels/conv/conv.h"
#include "kernels/gemm/pack.h"
#if defined(KCORE_ISA_IS_AVX512_BF16)
#include <immintrin.h>
#endif

namespace kcore::kernels::KCORE_ISA {
namespace {

template <>
struct Vectors<Pair> {
  typedef Pair Full __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
};

template <class X>
struct Element {
  using Sum = X;  // of products
  static constexpr std::int64_t kNumbers = 1;
  static KCORE_INLINE void add(Vector<X>& sum, X a, const Vector<X>& b) { sum += a * b; }
  static KCORE_INLINE void add(Vector<X>& sum, const Vector<X>& a, const Vector<X>& b) { sum += a * b; }
};

#if defined(KCORE_ISA_IS_AVX512_BF16)
template <>
struct Element<Pair> {
  using Sum = float;
  static constexpr std::int64_t kNumbers = 2;
  static KCORE_INLINE void add(Vector<float>& sum, const Vector<Pair>& a, const Vector<Pair>& b) {
    sum = (Vector<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
  }
  static KCORE_INLINE void add(Vector<float>& sum, Pair a, const Vector<Pair>& b) {
    sum = (Vector<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(static_cast<int>(a)), (__m512bh)b);
  }
};
#endif

template <class X>
using SumOf = typename Element<X>::Sum;

// Steps [k, k + count) of columns [j, j + columns) of B, from a packer of numbers: to[i * width + c].
template <class X, class Packer>
void pack_elements(const Packer& packer, X* to, std::int64_t k, std::int64_t count, std::int64_t j, int columns,
                   int width) {
  if constexpr (Element<X>::kNumbers == 1) {
    packer(to, k, count, j, columns, width);
  } else {
    alignas(64) float steps[64 * kTileColumns<float>];
    packer(steps, 2 * k, 2 * count, j, columns, width);
    for (std::int64_t i = 0; i < count; ++i) {
      const float *const first = steps + 2 * i * width, *const second = first + width;
#pragma omp simd
      for (int c = 0; c < width; ++c)
        to[i * width + c] = float_to_bits(first[c]) >> 16 | (float_to_bits(second[c]) & 0xffff0000u);
    }
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
