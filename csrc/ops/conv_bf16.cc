// Convolutions of bfloat16 arrays: the direct way over pairs of channels. Sums are float32, rounded once.
#include "ops/conv_bf16.h"

#include "ops/bfloat16.h"
#include "ops/conv_direct.h"
#include "ops/conv_operands.h"

namespace kcore::ops {
namespace {

using kernels::Pair;
using Kernels = kernels::DirectConvKernels<Pair, float, bfloat16>;

// The kernels for a product (m x k by k x n), nullptr where others suit it: AMX wants its operands packed, groups of
// few channels and tiles that would be nearly empty want fused multiply-adds.
const Kernels* kernels_for(const ConvShape& s, Run& c, std::int64_t m, std::int64_t n, std::int64_t k) {
  if (s.depthwise() || m * n * k == 0) return nullptr;
  c.allow(Precision::medium);  // products of bfloat16 are exact
  const kernels::GemmKernel& gemm = choose_gemm<float>(c, m, n, k);
  return gemm.isa == Isa::avx512_bf16 ? &kernels::conv(gemm.isa).bf16 : nullptr;
}

// Patches whose elements are pairs of channels.
Patches<Pair> paired(const Patches<bfloat16>& p) {
  Patches<Pair> pairs{reinterpret_cast<const Pair*>(p.image), p.pixel_stride / 2, p.channels / 2, {}};
  std::copy(p.axis, p.axis + 3, pairs.axis);
  return pairs;
}

}  // namespace

bool forward_bf16(const ConvShape& s, Run& c, kernels::Activation activation) {
  const std::int64_t gc = s.group_channels(), gf = s.group_filters();
  const Kernels* const kernels = kernels_for(s, c, s.positions(), gf, s.taps() * gc);
  if (!kernels || gc % 2 != 0) return false;
  const auto* const kernel = c.input<bfloat16>(1);
  const TapOffsets offsets(s);
  const kernels::Epilogue<float> epilogue{.bias = widened(c, 2),
                                          .residual = widened(c, 3),
                                          .ld_residual = s.filters,
                                          .activation = activation,
                                          .stream = streams<bfloat16>(s, gf)};
  const auto pack = [&](std::int64_t g, const kernels::Slab& slab, std::int64_t k0, std::int64_t k1, Pair* to) {
    kernels->pack({kernel + g * gf, s.filters, false}, slab, k0, k1, gf, to);
  };
  run_tasks({direct_product(c, *kernels, paired(input_patches(s, c.input<bfloat16>(0), offsets)), s.batch, s.groups, gf,
                            output_positions(s, c.output<bfloat16>(0)), epilogue, pack)});
  return true;
}

bool input_grad_bf16(const ConvShape& s, Run& c) {
  const std::int64_t gc = s.group_channels(), gf = s.group_filters();
  const std::int64_t pixels = s.batch * s.axis[0].in * s.axis[1].in * s.axis[2].in;
  const Kernels* const kernels = kernels_for(s, c, pixels, gc, s.taps() * gf);
  if (!kernels || gf % 2 != 0) return false;
  run_phases(s, [&](const Phase* const(&phase)[3], RecycledVector<ConvTasks>& tasks) {
    const PhaseProduct<bfloat16> p(s, phase, c.input<bfloat16>(0), c.input<bfloat16>(1), c.output<bfloat16>(0));
    tasks.push_back(direct_product(c, *kernels, paired(p.patches), s.batch, s.groups, gc, p.dx,
                                   kernels::Epilogue<float>{}, p.packer(*kernels)));
  });
  return true;
}

bool kernel_grad_bf16(const ConvShape& s, Run& c) {
  const std::int64_t gc = s.group_channels(), gf = s.group_filters(), size = s.taps() * gc * s.filters;
  const Kernels* const kernels = kernels_for(s, c, s.taps() * gc, gf, s.positions());
  if (!kernels) return false;
  const TapOffsets offsets(s);
  float* const sums = c.scratch<float>(size);
  direct_kernel_grad(c, *kernels, input_patches(s, c.input<bfloat16>(0), offsets), s.batch, s.groups, gf,
                     output_positions(s, c.input<bfloat16>(1)), sums);
  convert(sums, c.output<bfloat16>(0), size);
  return true;
}

}  // namespace kcore::ops
