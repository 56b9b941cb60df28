// The tile registers of AMX: eight of 16 rows of 64 bytes, and the product of two of them. On x86 with AMX these are
// the instructions; built with KCORE_AMX_MODEL they are a model in plain C++ (Intel's description of TDPBF16PS step by
// step, with denormals flushed), so that everything around them is tested on any machine.
#pragma once

#include <cstdint>

#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr int kTileSide = 16, kTileBytes = 1024;

#if defined(KCORE_AMX_MODEL)

struct TileFile {
  std::uint32_t words[8][kTileSide][kTileSide];
};
inline TileFile& tile_file() {
  static thread_local TileFile file;
  return file;
}

inline void tiles_begin() {}
inline void tiles_end() {}

KCORE_INLINE float flushed(float x) { return __builtin_fabsf(x) < 1.17549435e-38f ? 0.0f : x; }
KCORE_INLINE float half_of(std::uint32_t word, int upper) {
  return flushed(__builtin_bit_cast(float, upper ? word & 0xffff0000u : word << 16));
}

template <int Tile>
void tile_zero() {
  for (auto& row : tile_file().words[Tile])
    for (auto& word : row) word = 0;
}
template <int Tile>
void tile_load(const void* from) {
  __builtin_memcpy(tile_file().words[Tile], from, kTileBytes);
}
template <int Tile>
void tile_store(float* to, std::int64_t ld) {
  for (int r = 0; r < kTileSide; ++r) __builtin_memcpy(to + r * ld, tile_file().words[Tile][r], 64);
}
// C[m][n] += sum over pairs k of A[m][k] B[k][n].
template <int C, int A, int B>
void tile_multiply() {
  TileFile& file = tile_file();
  for (int m = 0; m < kTileSide; ++m)
    for (int n = 0; n < kTileSide; ++n) {
      float sum[2] = {0, 0};
      for (int k = 0; k < kTileSide; ++k)
        for (int half = 0; half < 2; ++half)
          sum[half] = flushed(
              __builtin_fmaf(half_of(file.words[A][m][k], half), half_of(file.words[B][k][n], half), sum[half]));
      const float c = __builtin_bit_cast(float, file.words[C][m][n]);
      file.words[C][m][n] = __builtin_bit_cast(std::uint32_t, flushed(c + flushed(sum[0] + sum[1])));
    }
}

#else

// Configures all eight tiles as 16 x 64 bytes; tiles in use cost every context switch until they are released.
inline void tiles_begin() {
  struct alignas(64) {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  static_assert(sizeof config == 64);
  asm volatile("ldtilecfg %0" : : "m"(config));
}
inline void tiles_end() { asm volatile("tilerelease"); }

template <int Tile>
KCORE_INLINE void tile_zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(Tile));
}
template <int Tile>
KCORE_INLINE void tile_load(const void* from) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(std::int64_t{64}), "i"(Tile) : "memory");
}
template <int Tile>
KCORE_INLINE void tile_store(float* to, std::int64_t ld) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(ld * 4), "i"(Tile) : "memory");
}
// C[m][n] += sum over pairs k of A[m][k] B[k][n].
template <int C, int A, int B>
KCORE_INLINE void tile_multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
}

#endif

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
