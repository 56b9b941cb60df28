// How the work of depthwise convolutions, and others in groups of few channels, is split: boxes of positions by chunks
// of groups.
#pragma once

#include <memory>

#include "kernels/depthwise/depthwise.h"
#include "ops/conv_boxes.h"
#include "ops/conv_tasks.h"
#include "ops/gemm.h"

namespace kcore::ops {

template <class T>
const kernels::DepthwiseKernels<T>& depthwise_kernels() {
  if constexpr (sizeof(T) == sizeof(double)) {
    return kernels::depthwise().f64;
  } else {
    return kernels::depthwise().f32;
  }
}

// The cut of a convolution in groups of few channels: `in` channels and `out` filters each.
class DepthwisePlan {
 public:
  DepthwisePlan(const kernels::PatchAxis (&axis)[3], std::int64_t images, std::int64_t groups, std::int64_t in,
                std::int64_t out, std::int64_t pixel_stride)
      : groups_(std::min(groups, std::max<std::int64_t>(kChunk / out, 1))),
        chunks_((groups + groups_ - 1) / groups_),
        all_groups_(groups),
        spread_{in, out, kernels::kDepthwiseRound * ((groups_ * out - 1) / kernels::kDepthwiseRound + 1)},
        boxes_(axis, images, in * spread_.width, pixel_stride, 512,
               spread_.any() || groups * out % kernels::kDepthwiseRound != 0),
        slab_(boxes_.slab) {
    const std::int64_t taps = axis[0].taps * axis[1].taps * axis[2].taps;
    for (std::int64_t t = 0; t < taps; ++t)
      for (std::int64_t c = 0; c < in; ++c) taps_.push_back(boxes_.slab.taps[t] + c * spread_.width);
    slab_.taps = taps_.data();
    slab_.runs = taps * in;
  }
  DepthwisePlan(const DepthwisePlan&) = delete;  // the slab points at taps_

  const kernels::Slab& slab() const { return slab_; }
  const kernels::Spread& spread() const { return spread_; }
  const ConvBoxes& boxes() const { return boxes_; }
  std::int64_t chunks() const { return chunks_; }
  std::int64_t first_group(std::int64_t chunk) const { return chunk * groups_; }
  std::int64_t groups(std::int64_t chunk) const { return std::min(groups_, all_groups_ - first_group(chunk)); }

  std::size_t scratch_elements() const {
    return static_cast<std::size_t>(slab_.elements + kernels::kDepthwiseRound + slab_.runs * spread_.width);
  }
  // Nanoseconds of a task, roughly.
  double cost() const {
    return 0.01 * static_cast<double>(boxes_.positions() * spread_.width * (slab_.runs + 4 * spread_.channels));
  }

 private:
  // Filters of a chunk: four cache lines of each channel of a group.
  static constexpr std::int64_t kChunk = 64;

  std::int64_t groups_, chunks_, all_groups_;  // groups of a chunk; chunks
  kernels::Spread spread_;
  ConvBoxes boxes_;
  kernels::Slab slab_;
  RecycledVector<std::int64_t> taps_;
};

// y (positions, groups * out) = epilogue(x with kernel ((taps, in), groups * out)); x.channels are those of a group.
// The kernel must live until the tasks have run.
template <class T>
ConvTasks depthwise_product(const kernels::Patches<T>& x, std::int64_t images, std::int64_t groups, std::int64_t out,
                            const T* kernel, const kernels::Positions<T>& y, const kernels::Epilogue<T>& epilogue) {
  const auto plan = make_recycled<DepthwisePlan>(x.axis, images, groups, x.channels, out, x.pixel_stride);
  const auto run = [=](std::int64_t i, void* scratch) {
    const std::int64_t chunk = i % plan->chunks(), first = plan->first_group(chunk), f = first * out;
    auto x_c = x;
    auto y_c = y;
    auto epilogue_c = epilogue;
    epilogue_c.ld_residual = 1;  // rows of y are named by their distance from its first element
    x_c.image += first * x.channels, x_c.channels = plan->groups(chunk) * x.channels, y_c.data += f;
    if (epilogue.bias) epilogue_c.bias += f;
    if (epilogue.residual) epilogue_c.residual += f;
    depthwise_kernels<T>().product(x_c, plan->slab(), plan->spread(), kernel + f, groups * out, y_c,
                                   plan->boxes()[i / plan->chunks()], epilogue_c, scratch);
  };
  return {plan->boxes().size() * plan->chunks(), plan->cost(), plan->scratch_elements() * sizeof(T), run};
}

// dkernel ((taps, in), groups * out); x.channels are those of a group.
template <class T>
void depthwise_kernel_grad(Run& c, const kernels::Patches<T>& x, std::int64_t images, std::int64_t groups,
                           std::int64_t out, const kernels::Positions<const T>& dy, T* dkernel) {
  const DepthwisePlan plan(x.axis, images, groups, x.channels, out, x.pixel_stride);
  const std::int64_t rows = plan.slab().runs, filters = groups * out, size = rows * filters;
  const std::int64_t boxes = plan.boxes().size();
  if (boxes == 0) return std::fill(dkernel, dkernel + size, T(0));
  // Boxes in at most 16 parts, whose results are added in order.
  const std::int64_t wanted = std::min<std::int64_t>(std::max<std::int64_t>(16 / plan.chunks(), 1), boxes);
  const std::int64_t per_part = (boxes + wanted - 1) / wanted, parts = (boxes + per_part - 1) / per_part;
  T* const partial = parts > 1 ? c.scratch<T>(parts * size) : dkernel;
  const auto run = [&](std::int64_t i, void* scratch) {
    const std::int64_t chunk = i % plan.chunks(), first = plan.first_group(chunk), part = i / plan.chunks();
    auto x_c = x;
    auto dy_c = dy;
    x_c.image += first * x.channels, x_c.channels = plan.groups(chunk) * x.channels, dy_c.data += first * out;
    for (std::int64_t b = part * per_part; b < std::min(boxes, (part + 1) * per_part); ++b)
      depthwise_kernels<T>().kernel_grad(x_c, plan.slab(), plan.spread(), dy_c, partial + part * size + first * out,
                                         filters, plan.boxes()[b], b > part * per_part, scratch);
  };
  run_tasks(
      {{parts * plan.chunks(), plan.cost() * static_cast<double>(per_part), plan.scratch_elements() * sizeof(T), run}});
  if (parts > 1)
    gemm_kernels<T>().combine(partial, parts, size, filters, dkernel, filters, {0, rows, 0, filters, 0, 0}, {});
}

}  // namespace kcore::ops
