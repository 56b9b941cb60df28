// The GEMM family compiled for one ISA.
#include <type_traits>

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/tiles.h"
#include "kernels/gemm/vector.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class Tile, class Stored, class T>
void block(const Matrix<Stored>& a, const Matrix<Stored>& b, T* c, std::int64_t ldc, const GemmRange& range,
           const Epilogue<T>& epilogue, void* scratch) {
  gemm_block<Tile>(MatrixRows<Stored>{a}, MatrixColumns<Stored>{b}, MatrixOut<T>{c, ldc}, range, epilogue, scratch);
}

template <class T>
void finish(T* c, std::int64_t ldc, const GemmRange& range, const Epilogue<T>& epilogue) {
  constexpr std::int64_t kRows = 32;
  for (std::int64_t i = range.m0; i < range.m1; i += kRows) {
    const std::int64_t count = range.m1 - i < kRows ? range.m1 - i : kRows;
    T* rows[kRows];
    for (std::int64_t r = 0; r < count; ++r) rows[r] = c + (i + r) * ldc;
    finish_rows(epilogue, rows, count, range.n0, range.n1, [i](std::int64_t r) { return i + r; });
  }
}

template <class T>
void combine(const T* parts, std::int64_t count, std::int64_t size, std::int64_t columns, T* c, std::int64_t ldc,
             const GemmRange& range, const Epilogue<T>& epilogue) {
  for (std::int64_t i = range.m0; i < range.m1; ++i) {
    T* row = c + i * ldc;
    for (std::int64_t j = range.n0; j < range.n1; ++j) row[j] = parts[i * columns + j];
    for (std::int64_t s = 1; s < count; ++s) {
      const T* part = parts + s * size + i * columns;
      for (std::int64_t j = range.n0; j < range.n1; ++j) row[j] += part[j];
    }
    if (!epilogue.empty()) finish_row(epilogue, row, i, range.n0, range.n1);
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

// The kernels of a tile; none where the ISA has no such tile.
template <class T, Arithmetic arithmetic, Operands operands = Operands::packed>
constexpr GemmKernels<T> kernels_of() {
  using Tile = typename TileOf<T, arithmetic, operands>::type;
  if constexpr (std::is_void_v<Tile>) {
    return {};
  } else {
    GemmKernels<T> kernels = {block<Tile, T>, nullptr, vector_product<T>, nullptr, combine<T>, finish<T>};
    if constexpr (std::is_same_v<T, float>) {
      kernels.block_bf16 = block<Tile, bfloat16>;
      kernels.vector_bf16 = vector_product<T>;
    }
    return kernels;
  }
}

constexpr bool kHasFma = !std::is_void_v<TileOf<double, Arithmetic::fma>::type>;

}  // namespace

const Gemm gemm_table = {{kernels_of<float, Arithmetic::fma>(), kernels_of<float, Arithmetic::bf16>(),
                          kernels_of<float, Arithmetic::bf16x3>(), kernels_of<float, Arithmetic::bf16x6>()},
                         kernels_of<double, Arithmetic::fma>(),
                         kernels_of<float, Arithmetic::fma, Operands::in_place>(),
                         kernels_of<double, Arithmetic::fma, Operands::in_place>(),
                         kHasFma ? integer_product<std::uint32_t> : nullptr,
                         kHasFma ? integer_product<std::uint64_t> : nullptr};

}  // namespace kcore::kernels::KCORE_ISA
