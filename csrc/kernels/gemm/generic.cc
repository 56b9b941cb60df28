// The GEMM family compiled for one ISA.
#include "kernels/gemm/block.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/vector.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
void block(const Matrix<T>& a, const Matrix<T>& b, T* c, std::int64_t ldc, const GemmRange& range, void* scratch) {
  gemm_block<T>(MatrixRows<T>{a}, MatrixColumns<T>{b}, MatrixOut<T>{c, ldc}, range, scratch);
}

template <class T>
void combine(const T* parts, std::int64_t count, std::int64_t rows, std::int64_t columns, T* y, std::int64_t ldy,
             std::int64_t i0, std::int64_t i1) {
  for (std::int64_t i = i0; i < i1; ++i) {
    T* row = y + i * ldy;
    for (std::int64_t j = 0; j < columns; ++j) row[j] = parts[i * columns + j];
    for (std::int64_t s = 1; s < count; ++s) {
      const T* part = parts + (s * rows + i) * columns;
      for (std::int64_t j = 0; j < columns; ++j) row[j] += part[j];
    }
  }
}

template <class T>
void integer_product(const Matrix<T>& a, const Matrix<T>& b, T* c, std::int64_t n, std::int64_t k, std::int64_t m0,
                     std::int64_t m1) {
  for (std::int64_t i = m0; i < m1; ++i) {
    T* row = c + i * n;
    for (std::int64_t j = 0; j < n; ++j) row[j] = 0;
    for (std::int64_t kk = 0; kk < k; ++kk) {
      const T x = a.transposed ? a.data[kk * a.ld + i] : a.data[i * a.ld + kk];
      const T* from = b.transposed ? b.data + kk : b.data + kk * b.ld;
      const std::int64_t step = b.transposed ? b.ld : 1;
      for (std::int64_t j = 0; j < n; ++j) row[j] += x * from[j * step];
    }
  }
}

template <class T>
constexpr GemmKernels<T> kKernels = {block<T>, vector_product<T>, combine<T>};

}  // namespace

const Gemm gemm_table = {kKernels<float>, kKernels<double>, integer_product<std::uint32_t>,
                         integer_product<std::uint64_t>};

}  // namespace kcore::kernels::KCORE_ISA
