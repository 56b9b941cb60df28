// The convolution family compiled for one ISA: the GEMM's loops with packers that gather.
#include "kernels/conv/patches.h"
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

template <class T>
constexpr ConvKernels<T> kKernels = {forward<FmaTile<T>, T>, input_grad<FmaTile<T>, T>, kernel_grad<FmaTile<T>, T>};

}  // namespace

const Conv conv_table = {kKernels<float>, kKernels<double>};

}  // namespace kcore::kernels::KCORE_ISA
