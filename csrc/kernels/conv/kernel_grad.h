// P transposed times dy: the kernel's gradient.
//
// Neither operand is packed. A row (t, c) of the result reads one element of each position, at a fixed displacement
// from it; a column reads dy, whose filters are neighbours. The tile stays in registers over all positions of a box.
// Of bfloat16, both are copied as pairs of neighbouring positions of a row.
#pragma once

#include "kernels/conv/pairs.h"
#include "kernels/conv/product.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Rows of positions: `count` rows of `width` each, or of so many pairs and, if `odd`, one more position.
template <class X>
struct PositionRows {
  const X* const* x;
  const X* const* dy;
  std::int64_t count, width, x_step, dy_step;
  bool odd;
};

// c[r][n + j] = or += sum over positions p of x[p + displacements[r]] dy[p + n + j].
template <class X, int R, int V>
void grad_tile(const PositionRows<X>& p, const std::int64_t* displacements, SumOf<X>* const* c, std::int64_t n,
               int columns, bool add) {
  constexpr int L = kLanes<X>;
  Vector<SumOf<X>> sum[R][V];
  clear_tile<SumOf<X>, R, V>(sum);
  for (std::int64_t i = 0; i < p.count; ++i) {
    const X* x = p.x[i];
    const X* dy = p.dy[i] + n;
    for (std::int64_t w = p.width; w > 0; --w, x += p.x_step, dy += p.dy_step) {
      Vector<X> bv[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) bv[v] = *reinterpret_cast<const Vector<X>*>(dy + v * L);
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) Element<X>::add(sum[r][v], x[displacements[r]], bv[v]);
    }
    if constexpr (Element<X>::kNumbers == 2)
      if (p.odd)  // the second of the pair is no position of this row, and may be Inf
#pragma GCC unroll 32
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
          for (int v = 0; v < V; ++v)
            Element<X>::add(sum[r][v], x[displacements[r]] & 0xffff, *reinterpret_cast<const Vector<X>*>(dy + v * L));
  }
  store_tile<SumOf<X>, R, V>(sum, c, n, columns, add);
}

template <class X>
using GradTile = void (*)(const PositionRows<X>& p, const std::int64_t* displacements, SumOf<X>* const* c,
                          std::int64_t n, int columns, bool add);

template <class X>
struct GradTiles {
  GradTile<X> narrow[kNarrowRows], wide[kTileRows];
};
template <class X, int... R, int... S>
constexpr GradTiles<X> grad_tiles(std::integer_sequence<int, R...>, std::integer_sequence<int, S...>) {
  return {{grad_tile<X, R + 1, 1>...}, {grad_tile<X, S + 1, kTileVectors>...}};
}
template <class X>
constexpr GradTiles<X> kGradTiles =
    grad_tiles<X>(std::make_integer_sequence<int, kNarrowRows>(), std::make_integer_sequence<int, kTileRows>());

template <class X, class Stored>
void direct_kernel_grad(const Patches<Stored>& x, const Slab& slab, const Positions<const Stored>& dy, std::int64_t n,
                        const KernelShare<SumOf<X>>& dkernel, const Box& box, bool add, void* scratch) {
  using T = SumOf<X>;
  constexpr int L = kLanes<X>, W = kTileColumns<X>;
  constexpr bool pairs = Element<X>::kNumbers == 2;
  X* const memory = static_cast<X*>(scratch);
  const std::int64_t width = box.count[3], count = box.count[0] * box.count[1] * box.count[2];
  const std::int64_t steps = pairs ? (width + 1) / 2 : width;
  // Positions that many filters apart would compete for a few sets of L1: a copy has a vector between them.
  const bool apart = !pairs && dy.steps[2] * static_cast<std::int64_t>(sizeof(X)) % 1024 == 0;
  const std::int64_t padded = (n + L - 1) / L * L + (apart ? L : 0);
  // Pairs have to be made. Otherwise dy is read where it lies, in whole vectors: where the last would reach beyond the
  // filters, from a copy with room behind.
  const bool copied = pairs || n % L != 0 || apart;
  const X* origin;
  if constexpr (pairs) {
    origin = fill_pairs(x, slab, box, memory);
  } else {
    origin = fill_slab(x, slab, box, memory);
  }
  X* copy = memory + slab.elements;
  const X** const x_rows = reinterpret_cast<const X**>(copy + (copied ? count * steps * padded : 0));
  const X** const dy_rows = x_rows + count;
  const Stored* const first = position_at(dy, box);
  std::int64_t i = 0;
  for_rows(box, [&](std::int64_t image, std::int64_t d, std::int64_t h) {
    x_rows[i] = origin + image * slab.image_stride + d * slab.position_stride[0] + h * slab.position_stride[1];
    const Stored* const from = first + image * dy.image_stride + d * dy.steps[0] + h * dy.steps[1];
    if constexpr (!pairs) dy_rows[i] = from;
    if (copied) {
      dy_rows[i] = copy;
      for (std::int64_t w = 0; w < width; w += pairs ? 2 : 1, copy += padded) {
        const Stored* const at = from + w * dy.steps[2];
        if constexpr (pairs) {
          pair_up(copy, at, w + 1 < width ? at + dy.steps[2] : nullptr, n);
        } else {
          for (std::int64_t j = 0; j < n; ++j) copy[j] = at[j];
        }
        for (std::int64_t j = n; j < padded; ++j) copy[j] = 0;
      }
    }
    ++i;
  });
  const PositionRows<X> rows{x_rows,
                             dy_rows,
                             count,
                             pairs ? width / 2 : width,
                             slab.position_stride[2] * (pairs ? 2 : 1),
                             copied ? padded : dy.steps[2],
                             pairs && width % 2 != 0};

  std::int64_t taps = 1;
  for (const PatchAxis& axis : x.axis) taps *= axis.taps;
  const std::int64_t m = taps * x.channels;
  const bool narrow = n <= L;
  const std::int64_t panel_rows = narrow ? kNarrowRows : kTileRows, panels = (m + panel_rows - 1) / panel_rows;
  for (std::int64_t p = 0; p < panels; ++p) {
    std::int64_t displacements[kNarrowRows];
    T* out[kNarrowRows];
    const std::int64_t row = p * m / panels, rows_here = (p + 1) * m / panels - row;
    for (std::int64_t r = 0; r < rows_here; ++r) {
      const std::int64_t tap = (row + r) / x.channels, channel = (row + r) % x.channels;
      displacements[r] = slab.taps[tap] + channel;
      out[r] = dkernel.data + tap * dkernel.tap_stride + channel * dkernel.channel_stride;
    }
    for (std::int64_t j = 0; j < n; j += W) {
      const int columns = static_cast<int>(n - j < W ? n - j : W);
      const GradTile<X> tile = (columns <= L ? kGradTiles<X>.narrow : kGradTiles<X>.wide)[rows_here - 1];
      tile(rows, displacements, out, j, columns, add);
    }
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
