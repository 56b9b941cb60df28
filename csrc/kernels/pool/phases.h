// Rows of few channels, taken apart so that vectors read and write neighbours: phase p of a row has its positions p,
// p + stride, p + 2 stride, ... on end.
#pragma once

#include "kernels/pool/windows.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr std::int64_t kPhaseRow = 1024;  // elements of a row that are taken apart at a time, besides the last window
constexpr std::int64_t kPhaseSlack = 16;  // pieces are copied whole, so the last one reaches over
// Room for the phases of a row: `in_phases` bounds the last window, and a row of phases is whole.
constexpr std::int64_t kPhases = kPhaseRow + 64 * 16 + 16 * (16 + kPhaseSlack);

// Outputs that are computed from phases at a time; the positions of their windows, and the elements from one phase to
// the next.
KCORE_INLINE std::int64_t phase_outputs(const PoolShape& s) { return most(1, kPhaseRow / (s.channels * s.stride[2])); }
KCORE_INLINE std::int64_t phase_inputs(const PoolShape& s, std::int64_t outputs) {
  return (outputs - 1) * s.stride[2] + s.window[2];
}
KCORE_INLINE std::int64_t phase_size(const PoolShape& s, std::int64_t positions) {
  return (positions + s.stride[2] - 1) / s.stride[2] * s.channels + kPhaseSlack;
}
// Where position k of the first window begins.
KCORE_INLINE std::int64_t in_phase(const PoolShape& s, std::int64_t k, std::int64_t size) {
  return k % s.stride[2] * size + k / s.stride[2] * s.channels;
}

template <class T>
KCORE_INLINE void copy_piece(T* to, const T* from, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += 16 / static_cast<int>(sizeof(T))) __builtin_memcpy(to + i, from + i, 16);
}

// to[q] = from[q * stride]: vectors, if the compiler knows the stride.
template <int stride, class T>
KCORE_INLINE void take_each(const T* from, std::int64_t n, T* to) {
  for (std::int64_t q = 0; q < n; ++q) to[q] = from[q * stride];
}

// phases[p * size + q * channels] = row[(q * stride + p) * channels] for all positions below n.
template <class T>
KCORE_INLINE void split(const PoolShape& s, const T* row, std::int64_t n, T* phases, std::int64_t size) {
  const std::int64_t c = s.channels, step = s.stride[2] * c;
  for (std::int64_t p = 0; p < least(s.stride[2], n); ++p) {
    const std::int64_t positions = (n - p + s.stride[2] - 1) / s.stride[2];
    const T* from = row + p * c;
    T* to = phases + p * size;
    if (c == 1) {
      if (s.stride[2] == 2)
        take_each<2>(from, positions, to);
      else if (s.stride[2] == 3)
        take_each<3>(from, positions, to);
      else if (s.stride[2] == 4)
        take_each<4>(from, positions, to);
      else
        for (std::int64_t q = 0; q < positions; ++q) to[q] = from[q * step];
      continue;
    }
    const std::int64_t last = positions - 1;  // whole pieces would read past the row there
    if (c * static_cast<int>(sizeof(T)) <= 16)
      for (std::int64_t q = 0; q < last; ++q) __builtin_memcpy(to + q * c, from + q * step, 16);
    else
      for (std::int64_t q = 0; q < last; ++q) copy_piece(to + q * c, from + q * step, c);
    for (std::int64_t i = 0; i < c; ++i) to[last * c + i] = from[last * step + i];
  }
}

// The reverse: row[(q * stride + p) * channels] = phases[p * size + q * channels] for `groups` of stride positions. The
// row has room for a piece more.
template <class T>
KCORE_INLINE void join(const PoolShape& s, const T* phases, std::int64_t size, std::int64_t groups, T* row) {
  const std::int64_t c = s.channels, stride = s.stride[2];
  if (c == 1 && stride == 2) {
    const T* odd = phases + size;
    for (std::int64_t q = 0; q < groups; ++q) row[2 * q] = phases[q], row[2 * q + 1] = odd[q];
    return;
  }
  for (std::int64_t q = 0; q < groups; ++q)
    for (std::int64_t p = 0; p < stride; ++p) copy_piece(row + (q * stride + p) * c, phases + p * size + q * c, c);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
