// Slabs of pairs of positions, for sums over positions of products of bfloat16.
#pragma once

#include "kernels/conv/slab.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// to[i] = (first[i], second[i]), zero in place of one that is not there.
inline void pair_up(Pair* to, const bfloat16* first, const bfloat16* second, std::int64_t n) {
  if (first && second) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) to[i] = first[i].bits | static_cast<Pair>(second[i].bits) << 16;
  } else if (first) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = first[i].bits;
  } else if (second) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<Pair>(second[i].bits) << 16;
  } else {
    for (std::int64_t i = 0; i < n; ++i) to[i] = 0;
  }
}

// As fill_slab, of a slab that is copied: beside each pixel the one that the next position along the row sees.
inline const Pair* fill_pairs(const Patches<bfloat16>& x, const Slab& slab, const Box& box, Pair* memory) {
  const PatchAxis& axis = x.axis[2];
  const SlabWindow window(x.axis, slab, box);
  const std::int64_t next = slab.position_stride[2] / slab.pixel_stride[2] * slab.source_step[2];
  window.for_rows(x, slab, memory, [&](Pair* to, const bfloat16* row) {
    if (!row) return clear(to, window.pixels[2] * slab.pixel_stride[2]);
    const auto pixel = [&](std::int64_t w) { return inside(w, axis.extent) ? row + w * x.pixel_stride : nullptr; };
    for (std::int64_t i = 0; i < window.pixels[2]; ++i, to += slab.pixel_stride[2]) {
      const std::int64_t w = window.first[2] + i * slab.source_step[2];
      pair_up(to, pixel(w), pixel(w + next), x.channels);
    }
  });
  return memory;
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
