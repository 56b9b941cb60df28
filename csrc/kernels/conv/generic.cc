// The convolution family compiled for one ISA: the GEMM's loops with packers that gather.
#include "kernels/conv/patches.h"
#include "kernels/gemm/block.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
void forward(const Patches<T>& x, const Matrix<T>& kernel, T* y, std::int64_t ldy, const GemmRange& range,
             void* scratch) {
  gemm_block<T>(PatchRows<T>(x), MatrixColumns<T>{kernel}, MatrixOut<T>{y, ldy}, range, scratch);
}

template <class T>
void input_grad(const Patches<T>& dy, const FlippedKernel<T>& kernel, const Positions<T>& dx, const GemmRange& range,
                void* scratch) {
  gemm_block<T>(PatchRows<T>(dy), FlippedColumns<T>{kernel}, PositionsOut<T>{dx}, range, scratch);
}

template <class T>
void kernel_grad(const Patches<T>& x, const Matrix<T>& dy, T* dkernel, std::int64_t ld, const GemmRange& range,
                 void* scratch) {
  gemm_block<T>(PatchColumns<T>{x}, MatrixColumns<T>{dy}, MatrixOut<T>{dkernel, ld}, range, scratch);
}

template <class T>
constexpr ConvKernels<T> kKernels = {forward<T>, input_grad<T>, kernel_grad<T>};

}  // namespace

const Conv conv_table = {kKernels<float>, kKernels<double>};

}  // namespace kcore::kernels::KCORE_ISA
