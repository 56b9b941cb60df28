// The convolution family compiled for one ISA: the GEMM's loops with packers that gather.
#include <type_traits>

#include "kernels/conv/kernel_grad.h"
#include "kernels/conv/patches.h"
#include "kernels/conv/product.h"
#include "kernels/gemm/tiles.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class Tile, class T>
void forward(const Patches<T>& x, const Matrix<T>& kernel, T* y, std::int64_t ldy, const GemmRange& range,
             const Epilogue<T>& epilogue, void* scratch) {
  gemm_block<Tile>(PatchRows<T>(x), MatrixColumns<T>{kernel}, MatrixOut<T>{y, ldy}, range, epilogue, scratch);
}

template <class Tile, class T>
void input_grad(const Patches<T>& dy, const FlippedKernel<T>& kernel, const Positions<T>& dx, const GemmRange& range,
                const Epilogue<T>& epilogue, void* scratch) {
  gemm_block<Tile>(PatchRows<T>(dy), FlippedColumns<T>{kernel}, PositionsOut<T>{dx}, range, epilogue, scratch);
}

template <class Tile, class T>
void kernel_grad(const Patches<T>& x, const Matrix<T>& dy, T* dkernel, std::int64_t ld, const GemmRange& range,
                 const Epilogue<T>& epilogue, void* scratch) {
  gemm_block<Tile>(PatchColumns<T>{x}, MatrixColumns<T>{dy}, MatrixOut<T>{dkernel, ld}, range, epilogue, scratch);
}

// The kernels of a tile; none where the ISA has no such tile, or where there is nothing to gain by packing.
template <Arithmetic arithmetic>
constexpr PackedConvKernels<float> packed() {
  using Tile = typename TileOf<float, arithmetic>::type;
  if constexpr (std::is_void_v<Tile> || arithmetic == Arithmetic::fma) {
    return {};
  } else {
    return {forward<Tile, float>, input_grad<Tile, float>, kernel_grad<Tile, float>};
  }
}

template <class X, class T = X, class Stored = X>
constexpr DirectConvKernels<X, T, Stored> direct() {
#if defined(KCORE_ISA_IS_AVX512_BF16)
  constexpr bool has = std::is_same_v<X, Pair>;
#else
  constexpr bool has = !std::is_same_v<X, Pair> && !std::is_void_v<typename TileOf<T, Arithmetic::fma>::type>;
#endif
  if constexpr (has) {
    return {pack<X, Stored>, pack_flipped<X, Stored>, product<X, Stored>, direct_kernel_grad<X, Stored>};
  } else {
    return {};
  }
}

}  // namespace

const Conv conv_table = {direct<float>(),
                         direct<double>(),
                         direct<Pair, float, bfloat16>(),
                         {packed<Arithmetic::fma>(), packed<Arithmetic::bf16>(), packed<Arithmetic::bf16x3>(),
                          packed<Arithmetic::bf16x6>()}};

}  // namespace kcore::kernels::KCORE_ISA
