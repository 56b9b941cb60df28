// Positions in windows: in memory bytes or int32, in vectors integers of the size of what is pooled.
#pragma once

#include "kernels/pool/taps.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

using Byte = std::uint8_t;
using Int = std::int32_t;

template <class T>
using Position = typename LaneTypes<T>::Mask;
template <class T>
KCORE_INLINE Position<T> position_of(std::int64_t id) {
  return Position<T>{} + static_cast<decltype(Position<T>{}[0] + 0)>(id);
}

// As many of P as a vector of T has lanes.
template <class T, class P>
struct StoredTypes {
  typedef P Value __attribute__((vector_size(kLaneCount<T> * sizeof(P))));
  typedef P Memory __attribute__((vector_size(kLaneCount<T> * sizeof(P)), aligned(sizeof(P)), may_alias));
};

// Conversions of vectors. GCC 12 makes one instruction for each lane of __builtin_convertvector to and from bytes, and
// of the intrinsics that are not masked warnings.
template <class T, class P>
KCORE_INLINE Position<T> widen(typename StoredTypes<T, P>::Value stored) {
#if defined(__AVX512F__)
  if constexpr (sizeof(P) == 1 && sizeof(T) == 4)
    return reinterpret_cast<Position<T>>(_mm512_maskz_cvtepu8_epi32(0xffff, reinterpret_cast<__m128i>(stored)));
#elif defined(__AVX2__)
  if constexpr (sizeof(P) == 1 && sizeof(T) == 4)
    return reinterpret_cast<Position<T>>(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(reinterpret_cast<long long>(stored))));
#endif
  return __builtin_convertvector(stored, Position<T>);
}
template <class T, class P>
KCORE_INLINE typename StoredTypes<T, P>::Value narrow(Position<T> position) {
  using Stored = typename StoredTypes<T, P>::Value;
#if defined(__AVX512F__)
  if constexpr (sizeof(P) == 1 && sizeof(T) == 4)
    return reinterpret_cast<Stored>(_mm512_maskz_cvtepi32_epi8(0xffff, reinterpret_cast<__m512i>(position)));
#elif defined(__AVX2__)
  if constexpr (sizeof(P) == 1 && sizeof(T) == 4) {
    const auto lanes = reinterpret_cast<__m256i>(position);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    return reinterpret_cast<Stored>(_mm_cvtsi128_si64(_mm_packus_epi16(words, words)));
  }
#endif
  return __builtin_convertvector(position, Stored);
}

template <class T, class P, int V>
KCORE_INLINE Position<T> get_positions(const Whole<T, V>&, const P* from, int v) {
  using Memory = typename StoredTypes<T, P>::Memory;
  return widen<T, P>(*reinterpret_cast<const Memory*>(from + v * kLaneCount<T>));
}
template <class T, class P, int V>
KCORE_INLINE void put_positions(const Whole<T, V>&, P* to, int v, Position<T> position) {
  *reinterpret_cast<typename StoredTypes<T, P>::Memory*>(to + v * kLaneCount<T>) = narrow<T, P>(position);
}
template <class T, class P>
KCORE_INLINE Position<T> get_positions(const Part<T>& at, const P* from, int) {
  typename StoredTypes<T, P>::Value stored = {};
#if defined(__AVX512F__)
  if constexpr (sizeof stored == 16 && sizeof(P) == 1) {
    stored =
        reinterpret_cast<decltype(stored)>(_mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << at.left) - 1), from));
    return widen<T, P>(stored);
  }
#endif
  for (int l = 0; l < at.left; ++l) stored[l] = from[l];
  return widen<T, P>(stored);
}
template <class T, class P>
KCORE_INLINE void put_positions(const Part<T>& at, P* to, int, Position<T> position) {
  const auto stored = narrow<T, P>(position);
#if defined(__AVX512F__)
  if constexpr (sizeof stored == 16 && sizeof(P) == 1)
    return _mm_mask_storeu_epi8(to, static_cast<__mmask16>((1u << at.left) - 1), reinterpret_cast<__m128i>(stored));
#endif
  for (int l = 0; l < at.left; ++l) to[l] = stored[l];
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
