// Convolution and its two gradients: which kernel runs, and how the work is split.
#include "kernels/conv/conv.h"

#include <algorithm>
#include <vector>

#include "base/cache.h"
#include "ops/activation.h"
#include "ops/conv_depthwise.h"
#include "ops/conv_direct.h"
#include "ops/conv_shape.h"

namespace kcore::ops {
namespace {

using kernels::Arithmetic;
using kernels::Epilogue;
using kernels::GemmRange;
using kernels::Matrix;
using kernels::Patches;
using kernels::Positions;

// Offsets of the taps from the first pixel that a position sees.
struct TapOffsets {
  std::vector<std::int64_t> of[3];

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

// From here on, packing both operands of a pointwise product pays: columns of y or dx; elements of a kernel.
constexpr std::int64_t kPackedColumns = 1024, kPackedKernel = 1 << 16;

// Whether the direct way computes columns [0, n) of a product.
bool direct(const ConvShape& s, const kernels::GemmKernel& gemm, std::int64_t n) {
  return gemm.arithmetic == Arithmetic::fma && (!s.pointwise() || n < kPackedColumns);
}

// Whether a product had better be written around the cache: only whole lines can be.
template <class T>
bool streams(const ConvShape& s, std::int64_t columns) {
  const std::int64_t pixels = s.batch * s.axis[0].in * s.axis[1].in * s.axis[2].in;
  const std::int64_t size = sizeof(T);
  return columns * size % 64 == 0 && exceeds_cache((pixels * s.channels + s.positions() * s.filters) * size);
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
    return run_tasks({direct_product<T>(c, input_patches(s, x, offsets), s.batch, s.groups, gf, output_positions(s, y),
                                        streamed, pack)});
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

// Input pixels of one residue modulo the stride (a phase) along one axis, and the taps that reach them: those t for
// which pixel + before - t * dilation is a multiple of the stride. Within a phase the gradient is a convolution of
// stride one.
struct Phase {
  std::int64_t first = 0, count = 0;
  std::vector<std::int64_t> offsets, taps;  // offsets ascending

  Phase(const ConvAxis& a, std::int64_t first) : first(first), count((a.in - first + a.stride - 1) / a.stride) {
    for (std::int64_t t = a.kernel - 1; t >= 0; --t) {
      const std::int64_t distance = first + a.before - t * a.dilation;
      if (distance % a.stride != 0) continue;
      offsets.push_back(distance / a.stride);
      taps.push_back(t);
    }
  }
};

std::vector<Phase> phases_of(const ConvAxis& a) {
  std::vector<Phase> phases;
  for (std::int64_t first = 0; first < std::min(a.stride, a.in); ++first) phases.emplace_back(a, first);
  return phases;
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
void input_grad_of_phase(const ConvShape& s, const Phase* const (&phase)[3], Run& c, std::vector<ConvTasks>& tasks) {
  const T *const dy = c.input<T>(0), *const kernel = c.input<T>(1);
  const std::int64_t gc = s.group_channels(), gf = s.group_filters();
  Patches<T> patches{dy, s.filters, gf, {}};
  kernels::FlippedKernel<T> flipped{kernel, s.filters, gc, gf, {}, {}, {}};
  Positions<T> dx{c.output<T>(0), s.axis[0].in * s.axis[1].in * s.axis[2].in * s.channels, {}, {}};
  std::int64_t taps = 1, rows = s.batch, step = s.channels;
  for (int i = 2; i >= 0; --i) {
    const Phase& p = *phase[i];
    const std::int64_t count = static_cast<std::int64_t>(p.taps.size());
    patches.axis[i] = {s.axis[i].out, p.count, 1, count, p.offsets.data()};
    flipped.indices[i] = p.taps.data();
    flipped.taps[i] = count;
    flipped.size[i] = s.axis[i].kernel;
    dx.data += p.first * step;
    dx.count[i] = p.count;
    dx.steps[i] = step * s.axis[i].stride;
    step *= s.axis[i].in;
    taps *= count;
    rows *= p.count;
  }
  if (s.depthwise())
    return tasks.push_back(
        depthwise_product(patches, s.batch, s.groups, gc, flipped_groups(s, phase, kernel, c), dx, {}));
  const kernels::GemmKernel& gemm = choose_gemm<T>(c, rows, gc, taps * gf);
  if (gemm.arithmetic == Arithmetic::fma) {
    const auto pack = [&](std::int64_t g, const kernels::Slab& slab, std::int64_t k0, std::int64_t k1, T* to) {
      auto kernel_g = flipped;
      kernel_g.kernel += g * gf;
      conv_kernels<T>().pack_flipped(kernel_g, slab, k0, k1, gc, to);
    };
    return tasks.push_back(direct_product<T>(c, patches, s.batch, s.groups, gc, dx, {}, pack));
  }
  const GemmPlan plan(rows, gc, taps * gf, s.groups, false);
  run_gemm(
      c, plan, dx.data, gc, s.channels,
      [&](std::int64_t g, const GemmRange& range, T* out, std::int64_t, const Epilogue<T>& epilogue, void* scratch) {
        auto dy_g = patches;
        auto kernel_g = flipped;
        auto dx_g = dx;
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
  const auto depth = phases_of(s.axis[0]), height = phases_of(s.axis[1]), width = phases_of(s.axis[2]);
  std::vector<ConvTasks> tasks;
  for (const Phase& d : depth)
    for (const Phase& h : height)
      for (const Phase& w : width) input_grad_of_phase<T>(s, {&d, &h, &w}, c, tasks);
  run_tasks(tasks);
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
    return direct_kernel_grad<T>(c, input_patches(s, x, offsets), s.batch, s.groups, gf, output_positions(s, dy),
                                 c.output<T>(0));
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
  const ConvShape s = shape_of(op, c.shape(0), c.shape(1));
  for_floating(c.dtype(0), [&](auto t) {
    using T = decltype(t);
    forward<T>(s, c, {c.input<T>(2), c.input<T>(3), s.filters, activation_of(op.activation)});
  });
}

void run(const conv_input_grad& op, Run& c) {
  const ConvShape s = shape_of(op, c.shape(0), c.shape(1));
  for_floating(c.dtype(0), [&](auto t) { input_grad<decltype(t)>(s, c); });
}

void run(const conv_kernel_grad& op, Run& c) {
  const ConvShape s = shape_of(op, c.shape(0), c.shape(1));
  for_floating(c.dtype(0), [&](auto t) { kernel_grad<decltype(t)>(s, c); });
}

}  // namespace kcore::ops
