// The convolution family compiled for one ISA: the GEMM's loops with packers that gather.
#include "kernels/conv/kernel_grad.h"
#include "kernels/conv/patches.h"
#include "kernels/conv/product.h"
#include "kernels/gemm/block.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class Tile, class T>
void forward(const Patches<T>& x, const Matrix<T>& kernel, T* y, std::int64_t ldy, const GemmRange& range,
             const Epilogue<T>& epilogue, void* scratch) {
  const MatrixColumns<T> columns{kernel};
  gemm_block<Tile>(PatchRows<T>(x), PackEachSpan<Tile, MatrixColumns<T>>{columns}, MatrixOut<T>{y, ldy}, range,
                   epilogue, scratch);
}

template <class Tile, class T>
void input_grad(const Patches<T>& dy, const FlippedKernel<T>& kernel, const Positions<T>& dx, const GemmRange& range,
                const Epilogue<T>& epilogue, void* scratch) {
  const FlippedColumns<T> columns{kernel};
  gemm_block<Tile>(PatchRows<T>(dy), PackEachSpan<Tile, FlippedColumns<T>>{columns}, PositionsOut<T>{dx}, range,
                   epilogue, scratch);
}

template <class Tile, class T>
void kernel_grad(const Patches<T>& x, const Matrix<T>& dy, T* dkernel, std::int64_t ld, const GemmRange& range,
                 const Epilogue<T>& epilogue, void* scratch) {
  const MatrixColumns<T> columns{dy};
  gemm_block<Tile>(PatchColumns<T>{x}, PackEachSpan<Tile, MatrixColumns<T>>{columns}, MatrixOut<T>{dkernel, ld}, range,
                   epilogue, scratch);
}

// FMAs never gain by packing. The scalar kernels pack all the same, so that every machine can test that way.
constexpr std::int64_t kPackedFrom = kVectorBytes > 16 ? std::int64_t{1} << 62 : 0;

template <class T>
constexpr DirectConvKernels<T> kDirect = {pack<T>, pack_flipped<T>, product<T>, direct_kernel_grad<T>};
template <class T>
constexpr ConvKernels<T> kKernels = {kPackedFrom,
                                     kPackedFrom,
                                     kDirect<T>,
                                     forward<FmaTile<T>, T>,
                                     input_grad<FmaTile<T>, T>,
                                     kernel_grad<FmaTile<T>, T>};

}  // namespace

const Conv conv_table = {kKernels<float>, kKernels<double>};

}  // namespace kcore::kernels::KCORE_ISA
