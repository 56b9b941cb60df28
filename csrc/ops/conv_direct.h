// The direct way of a convolution (kernels/conv/conv.h): how its work is split.
#pragma once

#include <memory>

#include "base/cache.h"
#include "ops/conv_boxes.h"
#include "ops/conv_shape.h"
#include "ops/conv_tasks.h"
#include "ops/gemm.h"

namespace kcore::ops {

template <class T>
const kernels::DirectConvKernels<T>& conv_kernels() {
  if constexpr (sizeof(T) == sizeof(double)) {
    return kernels::conv().f64;
  } else {
    return kernels::conv().f32;
  }
}

// Tasks that keep many cores busy; the least positions of a box that pay for reading a panel of B from L2, and the
// most.
inline constexpr std::int64_t kConvTasks = 16, kLeastPositions = 256, kMostPositions = 1024;

// Parts in which a kernel is packed.
inline constexpr std::int64_t kPackParts = 8;

inline std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }

// Whether a product had better be written around the cache: only whole lines can be.
template <class T>
bool streams(const ConvShape& s, std::int64_t columns) {
  const std::int64_t pixels = s.batch * s.axis[0].in * s.axis[1].in * s.axis[2].in;
  const std::int64_t size = sizeof(T);
  return columns * size % 64 == 0 && exceeds_cache((pixels * s.channels + s.positions() * s.filters) * size);
}

// Multiply-adds per nanosecond of a core, roughly.
inline double product_cost(std::int64_t m, std::int64_t n, std::int64_t k) {
  return 0.02 * static_cast<double>(m) * static_cast<double>(round_up(n, 16)) * static_cast<double>(k + 4);
}

// y = epilogue(P B) for each group, whose patches are x.channels and whose columns n elements further on.
// pack(g, slab, k0, k1, to) packs rows of a group's B (k x n), at once; the rest is left to the tasks.
template <class X, class T, class Stored, class Pack>
ConvTasks direct_product(Run& c, const kernels::DirectConvKernels<X, T, Stored>& kernels, const kernels::Patches<X>& x,
                         std::int64_t images, std::int64_t groups, std::int64_t n, const kernels::Positions<Stored>& y,
                         const kernels::Epilogue<T>& epilogue, Pack&& pack) {
  const std::int64_t positions = images * x.axis[0].positions * x.axis[1].positions * x.axis[2].positions;
  const auto boxes =
      make_recycled<ConvBoxes>(x.axis, images, x.channels, x.pixel_stride,
                               std::clamp(positions * groups / kConvTasks, kLeastPositions, kMostPositions));
  const std::int64_t k = boxes->slab.runs * boxes->slab.run;

  // B of a group is packed once, for all boxes, in parts of whole rows.
  const std::int64_t panels = round_up(n, kernels::kConvPanel) / kernels::kConvPanel;
  const std::int64_t b_size = k * panels * kernels::kConvPanel, pack_rows = round_up(k, kPackParts) / kPackParts;
  X* const packed = c.scratch<X>(groups * b_size + 1);
  parallel_ranges(groups * kPackParts, grain_for(0.3 * static_cast<double>(pack_rows * n + 1)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i) {
                      const std::int64_t g = i / kPackParts, k0 = std::min(k, i % kPackParts * pack_rows);
                      pack(g, boxes->slab, k0, std::min(k, k0 + pack_rows), packed + g * b_size);
                    }
                  });

  std::int64_t columns = panels;  // of a task, in panels
  while (columns > 1 && groups * boxes->size() * ((panels + columns - 1) / columns) < kConvTasks)
    columns = (columns + 1) / 2;
  columns *= kernels::kConvPanel;
  const std::int64_t cuts = (n + columns - 1) / columns;
  const auto run = [=, &kernels](std::int64_t i, void* scratch) {
    const std::int64_t g = i / cuts / boxes->size(), n0 = i % cuts * columns;
    auto x_g = x;
    auto y_g = y;
    auto epilogue_g = epilogue;
    epilogue_g.ld_residual = 1;  // rows of y are named by their distance from its first element
    x_g.image += g * x.channels, y_g.data += g * n;
    if (epilogue.bias) epilogue_g.bias += g * n;
    if (epilogue.residual) epilogue_g.residual += g * n;
    kernels.product(x_g, boxes->slab, packed + g * b_size, y_g, (*boxes)[i / cuts % boxes->size()], n0,
                    std::min(n, n0 + columns), epilogue_g, scratch);
  };
  return {groups * boxes->size() * cuts, product_cost(boxes->positions(), std::min(n, columns), k),
          static_cast<std::size_t>(boxes->slab.elements) * sizeof(X) +
              static_cast<std::size_t>(boxes->positions()) *
                  (3 * sizeof(T*) +
                   (std::is_same_v<T, Stored>
                        ? 0
                        : static_cast<std::size_t>(std::min(round_up(n, kernels::kConvPanel), columns)) * sizeof(T))),
          run};
}

// dkernel (taps, channels, groups * n) = P transposed dy for each group.
template <class X, class T, class Stored>
void direct_kernel_grad(Run& c, const kernels::DirectConvKernels<X, T, Stored>& kernels,
                        const kernels::Patches<Stored>& x, std::int64_t images, std::int64_t groups, std::int64_t n,
                        const kernels::Positions<const Stored>& dy, T* dkernel) {
  const std::int64_t taps = x.axis[0].taps * x.axis[1].taps * x.axis[2].taps, filters = groups * n;
  const std::int64_t positions = images * x.axis[0].positions * x.axis[1].positions * x.axis[2].positions;
  if (positions == 0) return std::fill(dkernel, dkernel + taps * x.channels * filters, T(0));

  // Blocks of the result, of channels and filters: what a box needs of x and dy stays in L2. Small ones copy the same
  // pixels again, so rather the positions are shared out, in parts whose results are added in order: where these are
  // small beside x and dy.
  std::int64_t channels = std::min<std::int64_t>(x.channels, 128), columns = std::min<std::int64_t>(n, 256);
  const auto blocks = [&] { return groups * ((x.channels + channels - 1) / channels) * ((n + columns - 1) / columns); };
  const std::int64_t size = taps * x.channels * filters, most_parts = std::max<std::int64_t>(1, positions / 512);
  const std::int64_t small_parts = positions * groups * (x.channels + n) / (4 * size + 1);
  while (blocks() * std::clamp<std::int64_t>(small_parts, 1, most_parts) < kConvTasks &&
         (channels > 64 || columns > 64))
    if (columns > channels) {
      columns = round_up(columns / 2, 32);
    } else {
      channels = (channels + 1) / 2;
    }
  const std::int64_t cuts_c = (x.channels + channels - 1) / channels, cuts_n = (n + columns - 1) / columns;
  const ConvBoxes boxes(x.axis, images, channels, x.pixel_stride, 512, !std::is_same_v<X, Stored>);
  const std::int64_t wanted = std::min((kConvTasks + blocks() - 1) / blocks(), most_parts);
  const std::int64_t per_part = (boxes.size() + wanted - 1) / wanted, parts = (boxes.size() + per_part - 1) / per_part;
  T* const partial = parts > 1 ? c.scratch<T>(parts * size) : dkernel;

  const std::size_t scratch_bytes =
      static_cast<std::size_t>(boxes.slab.elements +
                               boxes.positions() * (round_up(columns, kernels::kConvPanel) + kernels::kConvPanel)) *
          sizeof(X) +
      static_cast<std::size_t>(2 * boxes.rows()) * sizeof(X*);
  const double cost = product_cost(boxes.positions() * per_part, columns, taps * channels);
  parallel_ranges(parts * groups * cuts_c * cuts_n, grain_for(cost), [&](std::int64_t begin, std::int64_t end) {
    void* const scratch = thread_scratch(scratch_bytes);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n0 = i % cuts_n * columns, c0 = i / cuts_n % cuts_c * channels;
      const std::int64_t g = i / cuts_n / cuts_c % groups, part = i / cuts_n / cuts_c / groups;
      auto x_g = x;
      auto dy_g = dy;
      x_g.image += g * x.channels + c0, x_g.channels = std::min(channels, x.channels - c0);
      dy_g.data += g * n + n0;
      const kernels::KernelShare<T> share{partial + part * size + c0 * filters + g * n + n0, x.channels * filters,
                                          filters};
      for (std::int64_t b = part * per_part; b < std::min(boxes.size(), (part + 1) * per_part); ++b)
        kernels.kernel_grad(x_g, boxes.slab, dy_g, std::min(columns, n - n0), share, boxes[b], b > part * per_part,
                            scratch);
    }
  });
  if (parts == 1) return;
  const std::int64_t rows = taps * x.channels;
  parallel_ranges(rows, grain_for(0.3 * static_cast<double>(filters * parts)), [&](std::int64_t i0, std::int64_t i1) {
    gemm_kernels<T>().combine(partial, parts, size, filters, dkernel, filters, {i0, i1, 0, filters, 0, 0}, {});
  });
}

}  // namespace kcore::ops
