// Rows of P times B: the forward pass and the input gradient.
//
// The micro-tile is the GEMM's, but it reads A in place: element (r, k) is rows[r][displacement of k's run + k], with a
// pointer for each row. An A read by 14 rows x 32 columns would be packed at the cost of one multiply-add in 32; one
// read for 16 columns only, one in 4.
#pragma once

#include "kernels/conv/lane_tile.h"
#include "kernels/conv/patches.h"
#include "kernels/conv/slab.h"
#include "kernels/gemm/epilogue.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Rows of a tile. More pointers than 12 do not fit into registers: 14 rows were 4 % slower. Of a tile of one vector of
// columns: as many accumulators as the GEMM's tile has.
constexpr int kWideRows = kTileRows < 12 ? kTileRows : 12, kNarrowRows = kTileRows * kTileVectors;

// Not by an initializer: the compiler would clear an array in memory as well. Inlined, both: a tile passed on by its
// address would be kept in memory.
template <class T, int R, int V>
KCORE_INLINE void clear_tile(Vector<T> (&sum)[R][V]) {
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[r][v] = Vector<T>{};
}

// What is done to sums in registers when the last have been added: y = relu(sum + bias), either of them optional.
template <class T>
struct Finish {
  const T* bias = nullptr;  // of the tile's first column
  bool relu = false;
};

template <class T, int R, int V>
KCORE_INLINE void store_tile(Vector<T> (&sum)[R][V], T* const* c, std::int64_t n, int columns, bool add,
                             const Finish<T>& last = {}) {
  constexpr int L = kLanes<T>;
  if (columns == V * L) {
    if (add) {
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sum[r][v] += *reinterpret_cast<const Vector<T>*>(c[r] + n + v * L);
    }
    if (last.bias) {
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        const Vector<T> bias = *reinterpret_cast<const Vector<T>*>(last.bias + v * L);
#pragma GCC unroll 32
        for (int r = 0; r < R; ++r) sum[r][v] += bias;
      }
    }
    if (last.relu) {
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sum[r][v] = activated<T, Activation::relu>(sum[r][v]);
    }
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) *reinterpret_cast<Vector<T>*>(c[r] + n + v * L) = sum[r][v];
    return;
  }
  T rows[R][V * L];
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) *reinterpret_cast<Vector<T>*>(rows[r] + v * L) = sum[r][v];
#pragma GCC unroll 1
  for (int r = 0; r < R; ++r) {
    T* const y = c[r] + n;
#pragma GCC unroll 1
    for (int j = 0; j < columns; ++j) {
      T value = add ? y[j] + rows[r][j] : rows[r][j];
      if (last.bias) value += last.bias[j];
      y[j] = last.relu && value < 0 ? 0 : value;
    }
  }
}

// c[r][n + j] = or += sum over runs i and k of rows[r][displacements[i * step] + k] b[(i * length + k) * V * lanes +
// j], finished.
template <class X, int R, int V>
void product_tile(const Runs& runs, const X* const* rows, const X* b, SumOf<X>* const* c, std::int64_t n, int columns,
                  bool add, const Finish<SumOf<X>>& last) {
  constexpr int L = kLanes<X>, U = V == 1 ? 2 : 1;  // a pointer loaded serves U columns of P
  Vector<SumOf<X>> sum[R][V];
  clear_tile<SumOf<X>, R, V>(sum);
  const std::int64_t* displacement = runs.displacements;
  for (std::int64_t i = 0; i < runs.count; ++i, displacement += runs.step) {
    std::int64_t k = *displacement;
    const std::int64_t end = k + runs.length;
    for (; k + U <= end; k += U, b += U * V * L) {
      Vector<X> bv[U][V];
#pragma GCC unroll 2
      for (int u = 0; u < U; ++u)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) bv[u][v] = *reinterpret_cast<const Vector<X>*>(b + (u * V + v) * L);
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r) {
        const X* const a = rows[r] + k;
#pragma GCC unroll 2
        for (int u = 0; u < U; ++u)
#pragma GCC unroll 2
          for (int v = 0; v < V; ++v) Element<X>::add(sum[r][v], a[u], bv[u][v]);
      }
    }
    if constexpr (U > 1)
      for (; k < end; ++k, b += V * L) {
        const Vector<X> bv = *reinterpret_cast<const Vector<X>*>(b);
#pragma GCC unroll 32
        for (int r = 0; r < R; ++r) Element<X>::add(sum[r][0], rows[r][k], bv);
      }
  }
  store_tile<SumOf<X>, R, V>(sum, c, n, columns, add, last);
}

template <class X>
using ProductTile = void (*)(const Runs& runs, const X* const* rows, const X* b, SumOf<X>* const* c, std::int64_t n,
                             int columns, bool add, const Finish<SumOf<X>>& last);

// One instance for each number of rows, so that a box's positions divide evenly into panels.
template <class X>
struct ProductTiles {
  ProductTile<X> narrow[kNarrowRows], wide[kWideRows];
};
template <class X, int... R, int... S>
constexpr ProductTiles<X> product_tiles(std::integer_sequence<int, R...>, std::integer_sequence<int, S...>) {
  return {{product_tile<X, R + 1, 1>...}, {product_tile<X, S + 1, kTileVectors>...}};
}
template <class X>
constexpr ProductTiles<X> kProductTiles =
    product_tiles<X>(std::make_integer_sequence<int, kNarrowRows>(), std::make_integer_sequence<int, kWideRows>());

// Short rows that are finished together: they are still in L1.
constexpr std::int64_t kFinishedRows = 32;
// Columns of P summed at a time: their part of a panel of B stays in L2 while the rows of the box pass.
constexpr std::int64_t kSpan = 768;
// A B of so many elements stays in the nearer caches as a whole: a few rows at a time meet all of it, and are written
// as a whole.
constexpr std::int64_t kSmallB = 1 << 15;
// Columns of y that a few rows have ready in L1 before they are written around the cache.
constexpr std::int64_t kRowColumns = 64;

// Panels of kTileColumns columns, each over all of K; one of a single vector where no more columns are left. A few rows
// at a time go to all panels, so that memory is read nearly in order. Of few columns, each is a row.
template <class X, class Packer>
void pack_panels(const Packer& packer, const Slab& slab, std::int64_t k0, std::int64_t k1, std::int64_t n, X* to) {
  constexpr int L = kLanes<X>, W = kTileColumns<X>, kRows = 32;
  static_assert(kConvPanel % W == 0);
  const std::int64_t k = slab.runs * slab.run;
  const bool few = few_columns<X>(slab, n);
  for (std::int64_t row = k0; row < k1; row += kRows) {
    const std::int64_t count = k1 - row < kRows ? k1 - row : kRows;
    for (std::int64_t j = 0; j < n; j += W) {
      const int columns = static_cast<int>(n - j < W ? n - j : W), width = columns <= L ? L : W;
      if (few) {
        X rows[kRows * L];
        pack_elements(packer, rows, row, count, j, columns, L);
        for (int c = 0; c < columns; ++c)
          for (std::int64_t i = 0; i < count; ++i) to[c * k + row + i] = rows[i * L + c];
      } else {
        pack_elements(packer, to + j * k + row * width, row, count, j, columns, width);
      }
    }
  }
}

template <class X, class Stored>
void pack(const Matrix<Stored>& b, const Slab& slab, std::int64_t k0, std::int64_t k1, std::int64_t n, X* to) {
  pack_panels(MatrixColumns<Stored>{b}, slab, k0, k1, n, to);
}

template <class X, class Stored>
void pack_flipped(const FlippedKernel<Stored>& b, const Slab& slab, std::int64_t k0, std::int64_t k1, std::int64_t n,
                  X* to) {
  pack_panels(FlippedColumns<Stored>{b}, slab, k0, k1, n, to);
}

// A part of a row of y, from sums in L1; around the cache if `stream`.
template <class T>
void write_row(T* y, const T* sums, std::int64_t n, bool stream) {
  if (stream) {
    stream_out(y, sums, n * static_cast<std::int64_t>(sizeof(T)), nullptr, 0);
  } else {
    for (std::int64_t j = 0; j < n; ++j) y[j] = sums[j];
  }
}
#if defined(KCORE_ISA_IS_AVX512_BF16)
// To nearest; denormals are flushed, as those that were multiplied.
inline void write_row(bfloat16* y, const float* sums, std::int64_t n, bool stream) {
  alignas(64) bfloat16 block[kRowColumns];
  for (std::int64_t j = 0; j < n; j += kRowColumns) {
    const std::int64_t count = n - j < kRowColumns ? n - j : kRowColumns;
    bfloat16* const to = stream ? block : y + j;
    for (std::int64_t i = 0; i < count; i += 16) {
      const auto mask = static_cast<__mmask16>(count - i < 16 ? (1 << (count - i)) - 1 : 0xffff);
      const __m256bh rounded_sums = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, sums + j + i));
      _mm256_mask_storeu_epi16(to + i, mask, (__m256i)rounded_sums);
    }
    if (stream) stream_out(y + j, block, count * static_cast<std::int64_t>(sizeof(bfloat16)), nullptr, 0);
  }
}
#endif

// Sums are made where they will stay; those that are rounded to another type Y, or written around the cache, in memory
// of their own: in L1 where a few rows are finished at once, else (`scratch`) those of the whole box.
template <class X, class Y>
void product(const Patches<X>& x, const Slab& slab, const X* packed_b, const Positions<Y>& y, const Box& box,
             std::int64_t n0, std::int64_t n1, const Epilogue<SumOf<X>>& epilogue, void* scratch) {
  using T = SumOf<X>;
  constexpr int L = kLanes<X>, W = kTileColumns<X>;
  constexpr bool rounds = !std::is_same_v<T, Y>;
  const std::int64_t m = box.count[0] * box.count[1] * box.count[2] * box.count[3], k = slab.runs * slab.run;
  X* const memory = static_cast<X*>(scratch);
  const X** const rows = reinterpret_cast<const X**>(memory + slab.elements);
  Y** const results = reinterpret_cast<Y**>(memory + slab.elements) + m;
  T** const sums = rounds ? reinterpret_cast<T**>(results + m) : reinterpret_cast<T**>(results);

  const std::int64_t runs_at_once = slab.run < kSpan ? kSpan / (slab.run > 0 ? slab.run : 1) : 1;
  const bool stream = epilogue.stream && slab.runs <= runs_at_once;
  const bool few = few_columns<X>(slab, n1), by_rows = stream || k * (n1 - n0) <= kSmallB;
  // The tiles' part of the epilogue, all of it if anything.
  const bool by_tiles = k > 0 && !few && !epilogue.residual &&
                        (epilogue.activation == Activation::linear || epilogue.activation == Activation::relu);
  const bool buffered = k > 0 && !few && (stream || (rounds && by_rows && slab.runs <= runs_at_once));
  if constexpr (rounds) {
    const std::int64_t width = (n1 - n0 + L - 1) / L * L;
    T* const first = reinterpret_cast<T*>(sums + m) - n0;
    for (std::int64_t i = 0; i < m && !buffered; ++i) sums[i] = first + i * width;
  }

  const X* const origin = k > 0 ? fill_slab(x, slab, box, memory) : memory;
  Y* const to = position_at(y, box);
  std::int64_t i = 0;
  for_rows(box, [&](std::int64_t n, std::int64_t d, std::int64_t h) {
    const X* from = origin + n * slab.image_stride + d * slab.position_stride[0] + h * slab.position_stride[1];
    Y* at = to + n * y.image_stride + d * y.steps[0] + h * y.steps[1];
    for (std::int64_t w = 0; w < box.count[3]; ++w, ++i, from += slab.position_stride[2], at += y.steps[2])
      rows[i] = from, results[i] = at;
  });

  const auto finish = [&](std::int64_t first, std::int64_t count) {
    if (!epilogue.empty() && !by_tiles)
      finish_rows(epilogue, sums + first, count, n0, n1, [&](std::int64_t r) { return results[first + r] - y.data; });
    for (std::int64_t r = first; rounds && r < first + count; ++r)
      if constexpr (rounds) write_row(results[r] + n0, sums[r] + n0, n1 - n0, false);
  };
  if (k == 0) {  // a phase of an input gradient that no tap reaches
    for (i = 0; i < m; ++i) clear(sums[i] + n0, n1 - n0);
    return finish(0, m);
  }
  if (few) {
    const Runs all{slab.taps, slab.run_taps, slab.runs, slab.run};
    const LaneTile<X>& tile = kLaneTiles<X>.of[n1 - 1];
    std::int64_t done = 0;
    for (std::int64_t row = 0; row < m;) {
      const int count = static_cast<int>(m - row < tile.rows ? m - row : tile.rows);
      tile.multiply(all, rows + row, count, packed_b, sums + row);
      row += count;
      if (row - done < kFinishedRows && row < m) continue;
      finish(done, row - done);
      done = row;
    }
    return;
  }

  for (std::int64_t run = 0; run < slab.runs; run += runs_at_once) {
    const std::int64_t left = slab.runs - run;
    const bool last = left <= runs_at_once;
    const Runs runs{slab.taps + run * slab.run_taps, slab.run_taps, last ? left : runs_at_once, slab.run};
    // Columns [n, n + W) of some rows, to column `at` of c.
    const auto multiply = [&](std::int64_t row, std::int64_t count, std::int64_t n, T* const* c, std::int64_t at) {
      const int columns = static_cast<int>(n1 - n < W ? n1 - n : W);
      const bool narrow = columns <= L;
      const X* const b = packed_b + n * k + run * slab.run * (narrow ? L : W);
      const ProductTile<X> tile = (narrow ? kProductTiles<X>.narrow : kProductTiles<X>.wide)[count - 1];
      Finish<T> finished;
      if (last && by_tiles)
        finished = {epilogue.bias ? epilogue.bias + n : nullptr, epilogue.activation == Activation::relu};
      tile(runs, rows + row, b, c, at, columns, run > 0, finished);
    };
    // Calls body(row, count) for panels of rows.
    const auto for_panels = [&](std::int64_t columns, auto&& body) {
      const std::int64_t most = columns <= L ? kNarrowRows : kWideRows, panels = (m + most - 1) / most;
      for (std::int64_t p = 0; p < panels; ++p) {
        const std::int64_t row = p * m / panels;
        body(row, (p + 1) * m / panels - row);
      }
    };
    if (buffered) {
      for_panels(n1 - n0, [&](std::int64_t row, std::int64_t count) {
        alignas(64) T block[kNarrowRows][kRowColumns];
        T *c[kNarrowRows], *from_0[kNarrowRows];
        for (std::int64_t r = 0; r < count; ++r) c[r] = block[r];
        for (std::int64_t j = n0; j < n1; j += kRowColumns) {
          const std::int64_t end = n1 - j < kRowColumns ? n1 : j + kRowColumns;
          for (std::int64_t n = j; n < end; n += W) multiply(row, count, n, c, n - j);
          for (std::int64_t r = 0; r < count; ++r) from_0[r] = c[r] - j;
          if (!epilogue.empty() && !by_tiles)
            finish_rows(epilogue, from_0, count, j, end, [&](std::int64_t r) { return results[row + r] - y.data; });
          for (std::int64_t r = 0; r < count; ++r) write_row(results[row + r] + j, c[r], end - j, stream);
        }
      });
    } else if (by_rows) {
      for_panels(n1 - n0, [&](std::int64_t row, std::int64_t count) {
        for (std::int64_t n = n0; n < n1; n += W) multiply(row, count, n, sums + row, n);
        if (last) finish(row, count);
      });
    } else {
      for (std::int64_t n = n0; n < n1; n += W)
        for_panels(n1 - n, [&](std::int64_t row, std::int64_t count) {
          multiply(row, count, n, sums + row, n);
          if (last && n + W >= n1) finish(row, count);
        });
    }
  }
  if (stream) stream_end();
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
