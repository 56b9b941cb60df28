// A convolution as products of a patch matrix (kernels/conv/conv.h): the operands of each of its three ops.
#pragma once

#include "base/scratch.h"
#include "kernels/conv/conv.h"
#include "ops/conv_shape.h"
#include "ops/conv_tasks.h"

namespace kcore::ops {

using kernels::Patches;
using kernels::Positions;

// Offsets of the taps from the first pixel that a position sees.
struct TapOffsets {
  RecycledVector<std::int64_t> of[3];

  explicit TapOffsets(const ConvShape& s) {
    for (int i = 0; i < 3; ++i)
      for (std::int64_t t = 0; t < s.axis[i].kernel; ++t) of[i].push_back(t * s.axis[i].dilation - s.axis[i].before);
  }
};

// The patches of x that positions of y see.
template <class T>
Patches<T> input_patches(const ConvShape& s, const T* x, const TapOffsets& offsets) {
  Patches<T> p{x, s.channels, s.group_channels(), {}};
  for (int i = 0; i < 3; ++i)
    p.axis[i] = {s.axis[i].in, s.axis[i].out, s.axis[i].stride, s.axis[i].kernel, offsets.of[i].data()};
  return p;
}

// Where positions of y lie.
template <class T>
Positions<T> output_positions(const ConvShape& s, T* y) {
  const ConvAxis &D = s.axis[0], &H = s.axis[1], &W = s.axis[2];
  return {y,
          D.out * H.out * W.out * s.filters,
          {D.out, H.out, W.out},
          {H.out * W.out * s.filters, W.out * s.filters, s.filters}};
}

// Input pixels of one residue modulo the stride (a phase) along one axis, and the taps that reach them: those t for
// which pixel + before - t * dilation is a multiple of the stride. Within a phase the gradient is a convolution of
// stride one.
struct Phase {
  std::int64_t first = 0, count = 0;
  RecycledVector<std::int64_t> offsets, taps;  // offsets ascending

  Phase(const ConvAxis& a, std::int64_t first) : first(first), count((a.in - first + a.stride - 1) / a.stride) {
    for (std::int64_t t = a.kernel - 1; t >= 0; --t) {
      const std::int64_t distance = first + a.before - t * a.dilation;
      if (distance % a.stride != 0) continue;
      offsets.push_back(distance / a.stride);
      taps.push_back(t);
    }
  }
};

inline RecycledVector<Phase> phases_of(const ConvAxis& a) {
  RecycledVector<Phase> phases;
  for (std::int64_t first = 0; first < std::min(a.stride, a.in); ++first) phases.emplace_back(a, first);
  return phases;
}

// The operands of a phase: patches of dy, its part of the kernel, and where its pixels lie.
template <class T>
struct PhaseProduct {
  Patches<T> patches;
  kernels::FlippedKernel<T> kernel;
  Positions<T> dx;
  std::int64_t taps = 1, rows;

  PhaseProduct(const ConvShape& s, const Phase* const (&phase)[3], const T* dy, const T* kernel_data, T* dx_data)
      : patches{dy, s.filters, s.group_filters(), {}},
        kernel{kernel_data, s.filters, s.group_channels(), s.group_filters(), {}, {}, {}},
        dx{dx_data, s.axis[0].in * s.axis[1].in * s.axis[2].in * s.channels, {}, {}},
        rows(s.batch) {
    std::int64_t step = s.channels;
    for (int i = 2; i >= 0; --i) {
      const Phase& p = *phase[i];
      const std::int64_t count = static_cast<std::int64_t>(p.taps.size());
      patches.axis[i] = {s.axis[i].out, p.count, 1, count, p.offsets.data()};
      kernel.indices[i] = p.taps.data();
      kernel.taps[i] = count;
      kernel.size[i] = s.axis[i].kernel;
      dx.data += p.first * step;
      dx.count[i] = p.count;
      dx.steps[i] = step * s.axis[i].stride;
      step *= s.axis[i].in;
      taps *= count;
      rows *= p.count;
    }
  }

  // A packer of B for direct_product.
  template <class Kernels>
  auto packer(const Kernels& kernels) const {
    return [this, &kernels](std::int64_t g, const kernels::Slab& slab, std::int64_t k0, std::int64_t k1, auto* to) {
      auto of_group = kernel;
      of_group.kernel += g * kernel.filters;
      kernels.pack_flipped(of_group, slab, k0, k1, kernel.channels, to);
    };
  }
};

// Calls body(phase, tasks) for the phases of all axes, which adds tasks, and runs these.
template <class Body>
void run_phases(const ConvShape& s, Body&& body) {
  const auto depth = phases_of(s.axis[0]), height = phases_of(s.axis[1]), width = phases_of(s.axis[2]);
  RecycledVector<ConvTasks> tasks;
  for (const Phase& d : depth)
    for (const Phase& h : height)
      for (const Phase& w : width) body({&d, &h, &w}, tasks);
  run_tasks(tasks);
}

}  // namespace kcore::ops
