// The micro-tile of operands rounded to bfloat16: VDPBF16PS, two products of each lane in one instruction, at twice the
// rate of fused multiply-adds. Denormals are flushed to zero by the instruction.
#pragma once

#include <immintrin.h>

#include "kernels/gemm/pack.h"
#include "kernels/gemm/split.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Packed: pairs of steps. a[(k / 2) * R + r] and b[(k / 2) * 32 + j] are words of two bfloat16.
template <int R>
void micro_tile_bf16(std::int64_t pairs, const std::uint32_t* a, const std::uint32_t* b, float* const* c,
                     std::int64_t n, int columns, bool add) {
  __m512 sum[R][2] = {};
  for (; pairs > 0; --pairs, a += R, b += 32) {
    const __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + 16);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512bh x = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r]));
      sum[r][0] = _mm512_dpbf16_ps(sum[r][0], x, b0);
      sum[r][1] = _mm512_dpbf16_ps(sum[r][1], x, b1);
    }
  }
  const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << columns) - 1);
  const auto low = static_cast<__mmask16>(mask), high = static_cast<__mmask16>(mask >> 16);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    float* const y = c[r] + n;
    const __m512 y0 = add ? _mm512_maskz_loadu_ps(low, y) : _mm512_setzero_ps();
    const __m512 y1 = add ? _mm512_maskz_loadu_ps(high, y + 16) : _mm512_setzero_ps();
    _mm512_mask_storeu_ps(y, low, _mm512_add_ps(y0, sum[r][0]));
    _mm512_mask_storeu_ps(y + 16, high, _mm512_add_ps(y1, sum[r][1]));
  }
}

template <int... R>
constexpr auto micro_tiles_bf16(std::integer_sequence<int, R...>) {
  struct {
    decltype(&micro_tile_bf16<1>) of[sizeof...(R)];
  } tiles = {{micro_tile_bf16<R + 1>...}};
  return tiles;
}

struct Bf16Tile {
  using Value = float;
  static void begin() {}
  static void end() {}
  static constexpr std::int64_t kRows = 14, kColumns = 32, kSpan = kGemmSpanK;
  static constexpr std::size_t bytes(std::int64_t k, std::int64_t width) {
    return static_cast<std::size_t>((k + 1) / 2 * width) * 4;
  }
  static constexpr std::size_t a_bytes(std::int64_t k) { return bytes(k, 16); }
  static constexpr std::size_t b_bytes(std::int64_t k) { return bytes(k, kColumns); }

  // steps[k * width + i] (zeros from `count` on) -> pairs. Whole vectors of a panel, the last one may reach beyond it.
  static void pair_up(const float* steps, std::int64_t count, std::int64_t width, std::uint32_t* to) {
    for (std::int64_t k = 0; k < count; k += 2, steps += 2 * width, to += width)
      for (std::int64_t i = 0; i < width; i += 16)
        *reinterpret_cast<Word16*>(to + i) = pair(rounded(*reinterpret_cast<const Float16*>(steps + i)),
                                                  rounded(*reinterpret_cast<const Float16*>(steps + width + i)));
  }

  template <class Packer>
  static void pack_a(const Packer& pack, void* to, std::int64_t at, std::int64_t i, int rows, std::int64_t k,
                     std::int64_t count) {
    alignas(64) float steps[(kSpan + 2) * 16];
    pack(steps, i, rows, k, count);
    for (int r = 0; r < rows; ++r) steps[count * rows + r] = 0;
    pair_up(steps, count, rows, static_cast<std::uint32_t*>(to) + at / 2 * rows);
  }
  template <class Packer>
  static void pack_b(const Packer& pack, void* to, std::int64_t at, std::int64_t k, std::int64_t count, std::int64_t j,
                     int columns) {
    alignas(64) float steps[(kSpan + 2) * kColumns];
    pack(steps, k, count, j, columns, kColumns);
    for (std::int64_t c = 0; c < kColumns; ++c) steps[count * kColumns + c] = 0;
    pair_up(steps, count, kColumns, static_cast<std::uint32_t*>(to) + at / 2 * kColumns);
  }
  static void multiply(std::int64_t count, const void* a, int rows, const void* b, int columns, float* const* c,
                       std::int64_t n, bool add) {
    static constexpr auto tiles = micro_tiles_bf16(std::make_integer_sequence<int, kRows>());
    tiles.of[rows - 1]((count + 1) / 2, static_cast<const std::uint32_t*>(a), static_cast<const std::uint32_t*>(b), c,
                       n, columns, add);
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
