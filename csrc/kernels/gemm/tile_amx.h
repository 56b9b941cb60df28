// The micro-tile of AMX: 32 x 32 of C as 2 x 2 tile registers, from operands split into 1, 2 or 3 bfloat16 parts.
//
// With parts h, m, l of A and B, C is the sum of the products of order up to Parts - 1: h h; h m, m h; h l, l h, m m.
// What is dropped with three parts is at most 2^-23 of |a b|, two roundings of float32. A tile product adds up 32 steps
// in two chains before it meets C, so that even 32 steps have fewer roundings, 16 + 1 + 6 + these two, than a chain of
// fused multiply-adds.
//
// Packed: for each 32 steps of K a block of Parts x 2 tiles and a line that says in which rows or columns is Inf or
// NaN. Those have no parts (Inf times the zero that is left of the other operand would be NaN): what such rows and
// columns give is multiplied in float32, which the parts add up to.
#pragma once

#include "kernels/gemm/amx.h"
#include "kernels/gemm/pack.h"
#include "kernels/gemm/split.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <int Parts>
struct AmxTile {
  using Value = float;
  static void begin() { tiles_begin(); }
  static void end() { tiles_end(); }
  static constexpr std::int64_t kRows = 32, kColumns = 32, kSpan = 128, kSteps = 32;
  static constexpr std::size_t kBlock = Parts * 2 * kTileBytes + 64;
  static constexpr std::size_t a_bytes(std::int64_t k) {
    return static_cast<std::size_t>((k + kSteps - 1) / kSteps) * kBlock;
  }
  static constexpr std::size_t b_bytes(std::int64_t k) { return a_bytes(k); }

  template <class Packer>
  static void pack_a(const Packer& pack, void* to, std::int64_t at, std::int64_t i, int rows, std::int64_t k,
                     std::int64_t count) {
    alignas(64) float steps[(kSpan + 2) * kRows];
    pack(steps, i, rows, k, count);
    split<true>(steps, count, rows, rows, static_cast<char*>(to) + a_bytes(at));
  }
  template <class Packer>
  static void pack_b(const Packer& pack, void* to, std::int64_t at, std::int64_t k, std::int64_t count, std::int64_t j,
                     int columns) {
    alignas(64) float steps[(kSpan + 2) * kColumns];
    pack(steps, k, count, j, columns, kColumns);
    split<false>(steps, count, kColumns, columns, static_cast<char*>(to) + b_bytes(at));
  }

  static void multiply(std::int64_t count, const void* a, int rows, const void* b, int columns, float* const* c,
                       std::int64_t n, bool add) {
    const std::int64_t blocks = (count + kSteps - 1) / kSteps;
    alignas(64) float sum[kRows][kColumns];
    if (rows <= kTileSide) {
      columns <= kTileSide ? multiply_tiles<1, 1>(blocks, a, b, sum) : multiply_tiles<1, 2>(blocks, a, b, sum);
    } else {
      columns <= kTileSide ? multiply_tiles<2, 1>(blocks, a, b, sum) : multiply_tiles<2, 2>(blocks, a, b, sum);
    }
    const std::uint32_t special_a = special(a, blocks), special_b = special(b, blocks);
    if (special_a | special_b) multiply_special(blocks, a, rows, special_a, b, columns, special_b, sum);
    for (int r = 0; r < rows; ++r) {
      float* const y = c[r] + n;
      if (columns == kColumns) {
        for (int j = 0; j < kColumns; j += kTileSide) {
          const Float16 x = *reinterpret_cast<const Float16*>(sum[r] + j);
          *reinterpret_cast<Float16*>(y + j) = add ? *reinterpret_cast<const Float16*>(y + j) + x : x;
        }
      } else {
        for (int j = 0; j < columns; ++j) y[j] = add ? y[j] + sum[r][j] : sum[r][j];
      }
    }
  }

 private:
  // steps[k * stride + i] for i < size -> blocks. Rows of tiles of B are pairs of steps; those of A are rows of A.
  template <bool IsA>
  static void split(float* steps, std::int64_t count, std::int64_t stride, int size, char* to) {
    static constexpr Int16 kLane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (std::int64_t k0 = 0; k0 < count; k0 += kSteps, to += kBlock) {
      const std::int64_t used = count - k0 < kSteps ? count - k0 : kSteps;
      Word16 special = {};
      for (int side = 0; side < 2; ++side) {
        alignas(64) Float16 x[kSteps] = {};
        const Word16 inside = (Word16)(kLane < size - side * kTileSide);
        for (std::int64_t k = 0; k < used; ++k) {
          x[k] = (Float16)((Word16)(*reinterpret_cast<const Float16*>(steps + (k0 + k) * stride + side * kTileSide)) &
                           inside);
          special |= not_finite(x[k]) & (1u << side);
        }
        for (int part = 0; part < Parts; ++part) {
          Word16 rows[kTileSide];
#pragma GCC unroll 16
          for (int p = 0; p < kTileSide; ++p) {
            const Word16 first = take_part(x[2 * p]);
            rows[p] = pair(first, take_part(x[2 * p + 1]));
          }
          if constexpr (IsA) exchange_stage<1>(rows);
#pragma GCC unroll 16
          for (int p = 0; p < kTileSide; ++p) *reinterpret_cast<Word16*>(tile(to, part, side) + p * 64) = rows[p];
        }
      }
      *reinterpret_cast<Word16*>(to + Parts * 2 * kTileBytes) = special;
    }
  }

  static char* tile(char* block, int part, int side) { return block + (part * 2 + side) * kTileBytes; }
  static const char* tile(const char* block, int part, int side) { return block + (part * 2 + side) * kTileBytes; }

  // A bit for each row of A, or column of B, that has Inf or NaN somewhere.
  static std::uint32_t special(const void* panel, std::int64_t blocks) {
    if (Parts == 1) return 0;  // which are products of bfloat16 as they come
    Word16 special = {};
    for (std::int64_t i = 0; i < blocks; ++i)
      special |= *reinterpret_cast<const Word16*>(static_cast<const char*>(panel) +
                                                  static_cast<std::size_t>(i + 1) * kBlock - 64);
    std::uint32_t bits = 0;
    for (int lane = 0; lane < kTileSide; ++lane)
      bits |= (special[lane] & 1) << lane | (special[lane] >> 1) << (lane + kTileSide);
    return bits;
  }

  // All of C += the product of one part of A with one of B. Tiles 0 to 3 hold C, 4 and 5 A, 6 and 7 B; each is loaded
  // right before it is first needed.
  template <int Rows, int Columns>
  KCORE_INLINE static void multiply_loaded() {
    tile_multiply<0, 4, 6>();
    if constexpr (Columns > 1) tile_multiply<1, 4, 7>();
    if constexpr (Rows > 1) tile_multiply<2, 5, 6>();
    if constexpr (Rows > 1 && Columns > 1) tile_multiply<3, 5, 7>();
  }
  template <int Rows>
  KCORE_INLINE static void load_a(const char* block, int part) {
    tile_load<4>(tile(block, part, 0));
    if constexpr (Rows > 1) tile_load<5>(tile(block, part, 1));
  }
  template <int Columns>
  KCORE_INLINE static void load_b(const char* block, int part) {
    tile_load<6>(tile(block, part, 0));
    if constexpr (Columns > 1) tile_load<7>(tile(block, part, 1));
  }

  template <int Rows, int Columns>
  static void multiply_tiles(std::int64_t blocks, const void* packed_a, const void* packed_b,
                             float (&sum)[kRows][kColumns]) {
    const char *a = static_cast<const char*>(packed_a), *b = static_cast<const char*>(packed_b);
    tile_zero<0>(), tile_zero<1>(), tile_zero<2>(), tile_zero<3>();
    for (; blocks > 0; --blocks, a += kBlock, b += kBlock) {
      // From the smallest products to the largest; each step changes the part of one operand.
      if constexpr (Parts == 3) {
        load_a<Rows>(a, 0), load_b<Columns>(b, 2), multiply_loaded<Rows, Columns>();  // h l
        load_b<Columns>(b, 1), multiply_loaded<Rows, Columns>();                      // h m
        load_a<Rows>(a, 1), multiply_loaded<Rows, Columns>();                         // m m
        load_b<Columns>(b, 0), multiply_loaded<Rows, Columns>();                      // m h
        load_a<Rows>(a, 2), multiply_loaded<Rows, Columns>();                         // l h
        load_a<Rows>(a, 0), multiply_loaded<Rows, Columns>();                         // h h
      } else if constexpr (Parts == 2) {
        load_a<Rows>(a, 0), load_b<Columns>(b, 1), multiply_loaded<Rows, Columns>();  // h m
        load_b<Columns>(b, 0), load_a<Rows>(a, 1), multiply_loaded<Rows, Columns>();  // m h
        load_a<Rows>(a, 0), multiply_loaded<Rows, Columns>();                         // h h
      } else {
        load_a<Rows>(a, 0), load_b<Columns>(b, 0), multiply_loaded<Rows, Columns>();
      }
    }
    tile_store<0>(&sum[0][0], kColumns);
    if constexpr (Columns > 1) tile_store<1>(&sum[0][kTileSide], kColumns);
    if constexpr (Rows > 1) tile_store<2>(&sum[kTileSide][0], kColumns);
    if constexpr (Rows > 1 && Columns > 1) tile_store<3>(&sum[kTileSide][kTileSide], kColumns);
  }

  // The float32 that the parts of an element add up to: row i of A or column i of B, step k of a block.
  template <bool IsA>
  static float element(const char* block, int i, int k) {
    float x = 0;
    for (int part = Parts - 1; part >= 0; --part) {
      const char* const t = tile(block, part, i / kTileSide);
      const int row = IsA ? i % kTileSide : k / 2, column = IsA ? k / 2 : i % kTileSide;
      std::uint16_t half;
      __builtin_memcpy(&half, t + row * 64 + column * 4 + k % 2 * 2, 2);
      x += __builtin_bit_cast(float, static_cast<std::uint32_t>(half) << 16);
    }
    return x;
  }

  // The elements of C in a row of A or a column of B that has Inf or NaN; the others are what the tiles gave, whatever
  // they share a panel with.
  static void multiply_special(std::int64_t blocks, const void* packed_a, int rows, std::uint32_t special_a,
                               const void* packed_b, int columns, std::uint32_t special_b,
                               float (&sum)[kRows][kColumns]) {
    const char *a = static_cast<const char*>(packed_a), *b = static_cast<const char*>(packed_b);
    float whole[kRows][kColumns] = {};
    for (; blocks > 0; --blocks, a += kBlock, b += kBlock)
      for (int k = 0; k < kSteps; ++k) {
        float row_of_b[kColumns];
        for (int j = 0; j < columns; ++j) row_of_b[j] = element<false>(b, j, k);
        for (int r = 0; r < rows; ++r) {
          if (!special_b && !(special_a >> r & 1)) continue;
          const float x = element<true>(a, r, k);
          for (int j = 0; j < columns; ++j) whole[r][j] += x * row_of_b[j];
        }
      }
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < columns; ++j)
        if ((special_a >> r | special_b >> j) & 1) sum[r][j] = whole[r][j];
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
