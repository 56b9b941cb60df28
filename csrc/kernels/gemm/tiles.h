// The tiles that the ISA at hand adds, one for each arithmetic and form of operands; void where it has none.
#pragma once

#include "kernels/gemm/arithmetic.h"
#include "kernels/gemm/block.h"
#if defined(KCORE_ISA_IS_AMX)
#include "kernels/gemm/tile_amx.h"
#elif defined(KCORE_ISA_IS_AVX512_BF16)
#include "kernels/gemm/tile_bf16.h"
#else
#include "kernels/gemm/tile_in_place.h"
#endif

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T, Arithmetic, Operands = Operands::packed>
struct TileOf {
  using type = void;
};
#if defined(KCORE_ISA_IS_AMX)
template <>
struct TileOf<float, Arithmetic::bf16> {
  using type = AmxTile<1>;
};
template <>
struct TileOf<float, Arithmetic::bf16x3> {
  using type = AmxTile<2>;
};
template <>
struct TileOf<float, Arithmetic::bf16x6> {
  using type = AmxTile<3>;
};
#elif defined(KCORE_ISA_IS_AVX512_BF16)
template <>
struct TileOf<float, Arithmetic::bf16> {
  using type = Bf16Tile;
};
#else
template <class T>
struct TileOf<T, Arithmetic::fma> {
  using type = FmaTile<T>;
};
template <class T>
struct TileOf<T, Arithmetic::fma, Operands::in_place> {
  using type = InPlaceTile<T>;
};
#endif

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
