// How the work of depthwise convolutions is split: boxes of positions by chunks of channels.
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

// The cut of a depthwise convolution or gradient whose patches have `channels` channels, each widened to `repeat`.
struct DepthwisePlan {
  // Filters of a chunk: a pixel of its slab is four cache lines.
  static constexpr std::int64_t kChunk = 64;

  std::int64_t chunk, chunks;  // channels
  ConvBoxes boxes;
  std::size_t scratch_elements;
  double cost;  // nanoseconds of a task, roughly

  DepthwisePlan(const kernels::PatchAxis (&axis)[3], std::int64_t images, std::int64_t channels, std::int64_t repeat,
                std::int64_t unit, std::int64_t pixel_stride)
      : chunk(std::min(channels, std::max<std::int64_t>(kChunk / repeat / unit, 1) * unit)),
        chunks((channels + chunk - 1) / chunk),
        boxes(axis, images, width(repeat), pixel_stride, 512, repeat > 1 || channels % kernels::kDepthwiseRound != 0) {
    const std::int64_t taps = axis[0].taps * axis[1].taps * axis[2].taps;
    scratch_elements = static_cast<std::size_t>(boxes.slab.elements + kernels::kDepthwiseRound +
                                                (taps + kernels::kDepthwiseRound) * width(repeat));
    cost = 0.01 * static_cast<double>(boxes.positions() * width(repeat) * (taps + 4));
  }

  std::int64_t width(std::int64_t repeat) const {
    return (chunk * repeat + kernels::kDepthwiseRound - 1) / kernels::kDepthwiseRound * kernels::kDepthwiseRound;
  }
  std::int64_t tasks() const { return boxes.size() * chunks; }
};

// Calls body(first channel, channels, box, slab, scratch) in each task.
template <class T, class Body>
ConvTasks chunk_tasks(std::shared_ptr<const DepthwisePlan> plan, std::int64_t channels, const Body& body) {
  return {plan->tasks(), plan->cost, plan->scratch_elements * sizeof(T), [=](std::int64_t i, void* scratch) {
            const std::int64_t c = i % plan->chunks * plan->chunk;
            body(c, std::min(plan->chunk, channels - c), plan->boxes[i / plan->chunks], plan->boxes.slab, scratch);
          }};
}

// y (positions, x.channels * multiplier) = epilogue(x with kernel (taps, channels * multiplier)).
template <class T>
ConvTasks depthwise_forward(const kernels::Patches<T>& x, std::int64_t images, std::int64_t multiplier, const T* kernel,
                            const std::vector<std::int64_t>& rows, const kernels::Positions<T>& y,
                            const kernels::Epilogue<T>& epilogue) {
  const std::int64_t filters = x.channels * multiplier;
  const auto plan = std::make_shared<DepthwisePlan>(x.axis, images, x.channels, multiplier, 1, x.pixel_stride);
  return chunk_tasks<T>(
      plan, x.channels,
      [=](std::int64_t c, std::int64_t count, const kernels::Box& box, const kernels::Slab& slab, void* scratch) {
        auto x_c = x;
        auto y_c = y;
        auto epilogue_c = epilogue;
        epilogue_c.ld_residual = 1;  // rows of y are named by their distance from its first element
        const std::int64_t f = c * multiplier;
        x_c.image += c, x_c.channels = count, y_c.data += f;
        if (epilogue.bias) epilogue_c.bias += f;
        if (epilogue.residual) epilogue_c.residual += f;
        depthwise_kernels<T>().forward(x_c, slab, multiplier, kernel + f, filters, rows.data(), y_c, box, epilogue_c,
                                       scratch);
      });
}

// dx (positions, dy.channels / multiplier) from patches of dy.
template <class T>
ConvTasks depthwise_input_grad(const kernels::Patches<T>& dy, std::int64_t images, std::int64_t multiplier,
                               const T* kernel, const std::vector<std::int64_t>& rows,
                               const kernels::Positions<T>& dx) {
  const std::int64_t filters = dy.channels;
  const auto plan = std::make_shared<DepthwisePlan>(dy.axis, images, filters, 1, multiplier, dy.pixel_stride);
  return chunk_tasks<T>(
      plan, filters,
      [=](std::int64_t f, std::int64_t count, const kernels::Box& box, const kernels::Slab& slab, void* scratch) {
        auto dy_f = dy;
        auto dx_f = dx;
        dy_f.image += f, dy_f.channels = count, dx_f.data += f / multiplier;
        depthwise_kernels<T>().input_grad(dy_f, slab, multiplier, kernel + f, filters, rows.data(), dx_f, box, scratch);
      });
}

// dkernel (taps, x.channels * multiplier).
template <class T>
void depthwise_kernel_grad(Run& c, kernels::Patches<T> x, std::int64_t images, std::int64_t multiplier,
                           const kernels::Positions<const T>& dy, T* dkernel) {
  const std::int64_t channels = x.channels, filters = channels * multiplier;
  const std::int64_t taps = x.axis[0].taps * x.axis[1].taps * x.axis[2].taps, size = taps * filters;
  const DepthwisePlan plan(x.axis, images, channels, multiplier, 1, x.pixel_stride);
  if (plan.boxes.size() == 0) return std::fill(dkernel, dkernel + size, T(0));
  // Boxes in at most 16 parts, whose results are added in order.
  const std::int64_t wanted = std::min<std::int64_t>(std::max<std::int64_t>(16 / plan.chunks, 1), plan.boxes.size());
  const std::int64_t per_part = (plan.boxes.size() + wanted - 1) / wanted;
  const std::int64_t parts = (plan.boxes.size() + per_part - 1) / per_part;
  T* const partial = parts > 1 ? c.scratch<T>(parts * size) : dkernel;
  parallel_ranges(parts * plan.chunks, grain_for(plan.cost * static_cast<double>(per_part)),
                  [&](std::int64_t begin, std::int64_t end) {
                    void* const scratch = thread_scratch(plan.scratch_elements * sizeof(T));
                    for (std::int64_t i = begin; i < end; ++i) {
                      const std::int64_t first = i % plan.chunks * plan.chunk, part = i / plan.chunks;
                      auto x_c = x;
                      auto dy_c = dy;
                      x_c.image += first, x_c.channels = std::min(plan.chunk, channels - first);
                      dy_c.data += first * multiplier;
                      for (std::int64_t b = part * per_part; b < std::min(plan.boxes.size(), (part + 1) * per_part);
                           ++b)
                        depthwise_kernels<T>().kernel_grad(x_c, plan.boxes.slab, multiplier, dy_c,
                                                           partial + part * size + first * multiplier, filters,
                                                           plan.boxes[b], b > part * per_part, scratch);
                    }
                  });
  if (parts > 1)
    gemm_kernels<T>().combine(partial, parts, size, filters, dkernel, filters, {0, taps, 0, filters, 0, 0}, {});
}

}  // namespace kcore::ops
