// Convolution and its two gradients: which kernel runs, and how the work is split.
#include "kernels/conv/conv.h"

#include <algorithm>

#include "base/cache.h"
#include "ops/activation.h"
#include "ops/column_moments.h"
#include "ops/conv_bf16.h"
#include "ops/conv_depthwise.h"
#include "ops/conv_direct.h"
#include "ops/conv_operands.h"

namespace kcore::ops {
namespace {

using kernels::Arithmetic;
using kernels::Epilogue;
using kernels::GemmRange;
using kernels::Matrix;

// From here on, packing both operands of a pointwise product pays: columns of y or dx; elements of a kernel.
constexpr std::int64_t kPackedColumns = 1024, kPackedKernel = 1 << 16;

// Whether the direct way computes columns [0, n) of a product.
bool direct(const ConvShape& s, const kernels::GemmKernel& gemm, std::int64_t n) {
  return gemm.arithmetic == Arithmetic::fma && (!s.pointwise() || n < kPackedColumns);
}

// The kernels of the packed way for one that select_gemm chose; float32 only.
const kernels::PackedConvKernels<float>& packed_conv_kernels(const kernels::GemmKernel& kernel) {
  return kernels::conv(kernel.isa).packed[static_cast<int>(kernel.arithmetic)];
}

template <class T>
void forward(const ConvShape& s, Run& c, const Epilogue<T>& epilogue) {
  const T *const x = c.input<T>(0), *const kernel = c.input<T>(1);
  T* const y = c.output<T>(0);
  const TapOffsets offsets(s);
  const std::int64_t gc = s.group_channels(), gf = s.group_filters();
  if (s.depthwise())
    return run_tasks({depthwise_product(input_patches(s, x, offsets), s.batch, s.groups, gf, kernel,
                                        output_positions(s, y), epilogue)});
  const kernels::GemmKernel& gemm = choose_gemm<T>(c, s.positions(), gf, s.taps() * gc);
  if (direct(s, gemm, gf)) {
    const auto pack = [&](std::int64_t g, const kernels::Slab& slab, std::int64_t k0, std::int64_t k1, T* to) {
      conv_kernels<T>().pack({kernel + g * gf, s.filters, false}, slab, k0, k1, gf, to);
    };
    auto streamed = epilogue;
    streamed.stream = streams<T>(s, gf);
    return run_tasks({direct_product(c, conv_kernels<T>(), input_patches(s, x, offsets), s.batch, s.groups, gf,
                                     output_positions(s, y), streamed, pack)});
  }
  const auto epilogue_of = [&](std::int64_t g) {
    auto of_group = epilogue;
    if (epilogue.bias) of_group.bias += g * gf;
    if (epilogue.residual) of_group.residual += g * gf;
    of_group.stream = s.pointwise() && streams<T>(s, gf);
    return of_group;
  };
  const GemmPlan plan(s.positions(), gf, s.taps() * gc, s.groups);
  run_gemm(c, plan, y, gf, s.filters, epilogue_of,
           [&](std::int64_t g, const GemmRange& range, T* out, std::int64_t ldout, const Epilogue<T>& of_block,
               void* scratch) {
             const Matrix<T> b{kernel + g * gf, s.filters, false};
             if (s.pointwise()) {
               gemm_kernels<T>(gemm).block({x + g * gc, s.channels, false}, b, out, ldout, range, of_block, scratch);
             } else if constexpr (std::is_same_v<T, float>) {
               packed_conv_kernels(gemm).forward(input_patches(s, x + g * gc, offsets), b, out, ldout, range, of_block,
                                                 scratch);
             }
           });
}

// The kernel of a phase's gradient in the order of a depthwise product: rows are (tap, filter of a group), columns the
// channels of all groups.
template <class T>
const T* flipped_groups(const ConvShape& s, const Phase* const (&phase)[3], const T* kernel, Run& c) {
  const std::int64_t gc = s.group_channels(), gf = s.group_filters();
  const std::size_t taps = phase[0]->taps.size() * phase[1]->taps.size() * phase[2]->taps.size();
  T* const flipped = c.scratch<T>(static_cast<std::int64_t>(taps) * gf * s.channels + 1);
  T* to = flipped;
  for (std::int64_t d : phase[0]->taps)
    for (std::int64_t h : phase[1]->taps)
      for (std::int64_t w : phase[2]->taps) {
        const T* const tap = kernel + ((d * s.axis[1].kernel + h) * s.axis[2].kernel + w) * gc * s.filters;
        for (std::int64_t j = 0; j < gf; ++j)
          for (std::int64_t g = 0; g < s.groups; ++g)
            for (std::int64_t i = 0; i < gc; ++i) *to++ = tap[i * s.filters + g * gf + j];
      }
  return flipped;
}

// Adds the tasks of a phase, or runs it at once.
template <class T>
void input_grad_of_phase(const ConvShape& s, const Phase* const (&phase)[3], Run& c, RecycledVector<ConvTasks>& tasks) {
  const T* const kernel = c.input<T>(1);
  const std::int64_t gc = s.group_channels(), gf = s.group_filters();
  const PhaseProduct<T> p(s, phase, c.input<T>(0), kernel, c.output<T>(0));
  if (s.depthwise())
    return tasks.push_back(
        depthwise_product(p.patches, s.batch, s.groups, gc, flipped_groups(s, phase, kernel, c), p.dx, {}));
  const kernels::GemmKernel& gemm = choose_gemm<T>(c, p.rows, gc, p.taps * gf);
  if (gemm.arithmetic == Arithmetic::fma) {
    const auto& kernels = conv_kernels<T>();
    return tasks.push_back(direct_product(c, kernels, p.patches, s.batch, s.groups, gc, p.dx, {}, p.packer(kernels)));
  }
  const GemmPlan plan(p.rows, gc, p.taps * gf, s.groups, false);
  run_gemm(
      c, plan, p.dx.data, gc, s.channels,
      [&](std::int64_t g, const GemmRange& range, T* out, std::int64_t, const Epilogue<T>& epilogue, void* scratch) {
        auto dy_g = p.patches;
        auto kernel_g = p.kernel;
        auto dx_g = p.dx;
        dy_g.image += g * gf, kernel_g.kernel += g * gf, dx_g.data = out;
        if constexpr (std::is_same_v<T, float>)
          packed_conv_kernels(gemm).input_grad(dy_g, kernel_g, dx_g, range, epilogue, scratch);
      });
}

template <class T>
void input_grad(const ConvShape& s, Run& c) {
  const T *const dy = c.input<T>(0), *const kernel = c.input<T>(1);
  if (s.pointwise() && !s.depthwise()) {
    const std::int64_t gc = s.group_channels(), gf = s.group_filters();
    const kernels::GemmKernel& gemm = choose_gemm<T>(c, s.positions(), gc, gf);
    const Epilogue<T> streamed{.stream = streams<T>(s, gc)};
    if (!direct(s, gemm, gc))
      return run_gemm(
          c, GemmPlan(s.positions(), gc, gf, s.groups), c.output<T>(0), gc, s.channels,
          [&](std::int64_t) { return streamed; },
          [&](std::int64_t g, const GemmRange& range, T* out, std::int64_t ldout, const Epilogue<T>& epilogue,
              void* scratch) {
            gemm_kernels<T>(gemm).block({dy + g * gf, s.filters, false}, {kernel + g * gf, s.filters, true}, out, ldout,
                                        range, epilogue, scratch);
          });
  }
  run_phases(s, [&](const Phase* const(&phase)[3], RecycledVector<ConvTasks>& tasks) {
    input_grad_of_phase<T>(s, phase, c, tasks);
  });
}

template <class T>
void kernel_grad(const ConvShape& s, Run& c) {
  const T *const x = c.input<T>(0), *const dy = c.input<T>(1);
  const TapOffsets offsets(s);
  const std::int64_t gc = s.group_channels(), gf = s.group_filters();
  if (s.depthwise())
    return depthwise_kernel_grad(c, input_patches(s, x, offsets), s.batch, s.groups, gf, output_positions(s, dy),
                                 c.output<T>(0));
  const kernels::GemmKernel& gemm = choose_gemm<T>(c, s.taps() * gc, gf, s.positions());
  if (gemm.arithmetic == Arithmetic::fma && (!s.pointwise() || gc * gf < kPackedKernel))
    return direct_kernel_grad(c, conv_kernels<T>(), input_patches(s, x, offsets), s.batch, s.groups, gf,
                              output_positions(s, dy), c.output<T>(0));
  const GemmPlan plan(s.taps() * gc, gf, s.positions(), s.groups);
  run_gemm(c, plan, c.output<T>(0), gf, s.filters,
           [&](std::int64_t g, const GemmRange& range, T* out, std::int64_t ldout, const Epilogue<T>& epilogue,
               void* scratch) {
             const Matrix<T> b{dy + g * gf, s.filters, false};
             if (s.pointwise()) {
               gemm_kernels<T>(gemm).block({x + g * gc, s.channels, true}, b, out, ldout, range, epilogue, scratch);
             } else if constexpr (std::is_same_v<T, float>) {
               packed_conv_kernels(gemm).kernel_grad(input_patches(s, x + g * gc, offsets), b, out, ldout, range,
                                                     epilogue, scratch);
             }
           });
}

}  // namespace

void run(const conv& op, Run& c) {
  c.require_apart();
  const ConvShape s = shape_of(op, c.shape(0), c.shape(1));
  if (c.dtype(0) == DType::bfloat16) {
    if (op.statistics || !forward_bf16(s, c, activation_of(op.activation))) c.run_widened(op);
    return;
  }
  for_floating(c.dtype(0), [&](auto t) {
    using T = decltype(t);
    forward<T>(s, c, {c.input<T>(2), c.input<T>(3), s.filters, activation_of(op.activation)});
    if (!op.statistics) return;
    const ColumnMoments<T> moments(c, s.positions(), s.filters);
    moments.take(c.output<T>(0));
    moments.finish(c.output<T>(1), c.output<T>(2));
  });
}

void run(const conv_input_grad& op, Run& c) {
  c.require_apart();
  const ConvShape s = shape_of(op, c.shape(0), c.shape(1));
  if (c.dtype(0) == DType::bfloat16) {
    if (!input_grad_bf16(s, c)) c.run_widened(op);
    return;
  }
  for_floating(c.dtype(0), [&](auto t) { input_grad<decltype(t)>(s, c); });
}

void run(const conv_kernel_grad& op, Run& c) {
  c.require_apart();
  const ConvShape s = shape_of(op, c.shape(0), c.shape(1));
  if (c.dtype(0) == DType::bfloat16) {
    if (!kernel_grad_bf16(s, c)) c.run_widened(op);
    return;
  }
  for_floating(c.dtype(0), [&](auto t) { kernel_grad<decltype(t)>(s, c); });
}

}  // namespace kcore::ops
