// P transposed times dy: the kernel's gradient.
//
// Neither operand is packed. A row (t, c) of the result reads one element of each position, at a fixed displacement
// from it; a column reads dy, whose filters are neighbours. The tile stays in registers over all positions of a box.
#pragma once

#include "kernels/conv/product.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Rows of positions: `count` rows of `width` each.
template <class T>
struct PositionRows {
  const T* const* x;
  const T* const* dy;
  std::int64_t count, width, x_step, dy_step;
};

// c[r][n + j] = or += sum over positions p of x[p + displacements[r]] dy[p + n + j].
template <class T, int R, int V>
void grad_tile(const PositionRows<T>& p, const std::int64_t* displacements, T* const* c, std::int64_t n, int columns,
               bool add) {
  constexpr int L = kLanes<T>;
  Vector<T> sum[R][V];
  clear_tile<T, R, V>(sum);
  for (std::int64_t i = 0; i < p.count; ++i) {
    const T* x = p.x[i];
    const T* dy = p.dy[i] + n;
    for (std::int64_t w = p.width; w > 0; --w, x += p.x_step, dy += p.dy_step) {
      Vector<T> bv[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) bv[v] = *reinterpret_cast<const Vector<T>*>(dy + v * L);
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sum[r][v] += x[displacements[r]] * bv[v];
    }
  }
  store_tile<T, R, V>(sum, c, n, columns, add);
}

template <class T>
using GradTile = void (*)(const PositionRows<T>& p, const std::int64_t* displacements, T* const* c, std::int64_t n,
                          int columns, bool add);

template <class T>
struct GradTiles {
  GradTile<T> narrow[kNarrowRows], wide[kTileRows];
};
template <class T, int... R, int... S>
constexpr GradTiles<T> grad_tiles(std::integer_sequence<int, R...>, std::integer_sequence<int, S...>) {
  return {{grad_tile<T, R + 1, 1>...}, {grad_tile<T, S + 1, kTileVectors>...}};
}
template <class T>
constexpr GradTiles<T> kGradTiles =
    grad_tiles<T>(std::make_integer_sequence<int, kNarrowRows>(), std::make_integer_sequence<int, kTileRows>());

template <class T>
void direct_kernel_grad(const Patches<T>& x, const Slab& slab, const Positions<const T>& dy, std::int64_t n,
                        const KernelShare<T>& dkernel, const Box& box, bool add, void* scratch) {
  constexpr int L = kLanes<T>, W = kTileColumns<T>;
  T* const memory = static_cast<T*>(scratch);
  const T* const origin = fill_slab(x, slab, box, memory);
  const std::int64_t width = box.count[3], count = box.count[0] * box.count[1] * box.count[2];
  // Whole vectors of dy: where the last would reach beyond the filters, a copy with room behind.
  const bool copied = n % L != 0;
  const std::int64_t padded = (n + L - 1) / L * L;
  T* copy = memory + slab.elements;
  const T** const x_rows = reinterpret_cast<const T**>(copy + (copied ? count * width * padded : 0));
  const T** const dy_rows = x_rows + count;
  const T* const first = position_at(dy, box);
  std::int64_t i = 0;
  for_rows(box, [&](std::int64_t image, std::int64_t d, std::int64_t h) {
    x_rows[i] = origin + image * slab.image_stride + d * slab.position_stride[0] + h * slab.position_stride[1];
    const T* from = first + image * dy.image_stride + d * dy.steps[0] + h * dy.steps[1];
    dy_rows[i] = from;
    if (copied) {
      dy_rows[i] = copy;
      for (std::int64_t w = 0; w < width; ++w, copy += padded, from += dy.steps[2]) {
        for (std::int64_t j = 0; j < n; ++j) copy[j] = from[j];
        for (std::int64_t j = n; j < padded; ++j) copy[j] = 0;
      }
    }
    ++i;
  });
  const PositionRows<T> rows{x_rows, dy_rows, count, width, slab.position_stride[2], copied ? padded : dy.steps[2]};

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
      const GradTile<T> tile = (columns <= L ? kGradTiles<T>.narrow : kGradTiles<T>.wide)[rows_here - 1];
      tile(rows, displacements, out, j, columns, add);
    }
  }
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
