// The depthwise family compiled for one ISA. A vector of channels of several positions is summed over the taps in
// registers, or all taps of a vector of channels over the positions.
#include <utility>

#include "kernels/conv/slab.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/epilogue.h"
#include "kernels/gemm/tile.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
Vector<T> load(const T* from) {
  return *reinterpret_cast<const Vector<T>*>(from);
}

template <class T>
Vector<T> load_some(const T* from, std::int64_t count) {
  T lanes[kLanes<T>] = {};
  for (std::int64_t j = 0; j < count; ++j) lanes[j] = from[j];
  return load(lanes);
}

template <class T>
void store_some(T* to, Vector<T> value, std::int64_t count) {
  T lanes[kLanes<T>];
  *reinterpret_cast<Vector<T>*>(lanes) = value;
  for (std::int64_t j = 0; j < count; ++j) to[j] = lanes[j];
}

std::int64_t round_up(std::int64_t n) { return (n + kDepthwiseRound - 1) / kDepthwiseRound * kDepthwiseRound; }

// A position of the slab and the taps to sum.
template <class T>
struct Sum {
  const T* x;
  std::int64_t x_step;
  const T* kernel;  // rows of `width` filters
  std::int64_t width;
  const std::int64_t* displacements;
  std::int64_t taps;
};

// y[q * y_step + c] for q < Q neighbouring positions and c < n.
template <class T, int Q>
void sum_taps(const Sum<T>& s, T* y, std::int64_t y_step, std::int64_t n) {
  for (std::int64_t c = 0; c < n; c += kLanes<T>) {
    Vector<T> sum[Q];
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) sum[q] = Vector<T>{};
    const T* kernel = s.kernel + c;
    for (std::int64_t t = 0; t < s.taps; ++t, kernel += s.width) {
      const Vector<T> k = *reinterpret_cast<const Vector<T>*>(kernel);
      const T* x = s.x + s.displacements[t] + c;
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) sum[q] += *reinterpret_cast<const Vector<T>*>(x + q * s.x_step) * k;
    }
    if (c + kLanes<T> <= n) {
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) *reinterpret_cast<Vector<T>*>(y + q * y_step + c) = sum[q];
    } else {
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) store_some(y + q * y_step + c, sum[q], n - c);
    }
  }
}

// 8 accumulators: 2 FMA ports x 4 cycles of latency.
constexpr int kPositions = 8;
template <class T>
using SumTaps = void (*)(const Sum<T>& s, T* y, std::int64_t y_step, std::int64_t n);
template <class T>
constexpr SumTaps<T> kSumTaps[kPositions] = {sum_taps<T, 1>, sum_taps<T, 2>, sum_taps<T, 3>, sum_taps<T, 4>,
                                             sum_taps<T, 5>, sum_taps<T, 6>, sum_taps<T, 7>, sum_taps<T, 8>};

template <class T>
void product(const Patches<T>& x, const Slab& slab, const Spread& spread, const T* kernel, std::int64_t filter_stride,
             const Positions<T>& y, const Box& box, const Epilogue<T>& epilogue, void* scratch) {
  const std::int64_t n = x.channels / spread.channels * spread.filters, width = round_up(n);
  T* const memory = static_cast<T*>(scratch);
  T* const packed = memory + slab.elements + kDepthwiseRound;
  for (std::int64_t t = 0; t < slab.runs; ++t)
    for (std::int64_t j = 0; j < n; ++j) packed[t * width + j] = kernel[t * filter_stride + j];
  const T* const origin = slab.runs > 0 ? fill_slab(x, slab, box, memory, spread) : memory;
  T* const to = position_at(y, box);
  const std::int64_t parts = (box.count[3] + kPositions - 1) / kPositions;  // of a row, of nearly equal length
  for_rows(box, [&](std::int64_t image, std::int64_t d, std::int64_t h) {
    const T* const from =
        origin + image * slab.image_stride + d * slab.position_stride[0] + h * slab.position_stride[1];
    T* const row = to + image * y.image_stride + d * y.steps[0] + h * y.steps[1];
    for (std::int64_t i = 0; i < parts; ++i) {
      const std::int64_t w = i * box.count[3] / parts, count = (i + 1) * box.count[3] / parts - w;
      const Sum<T> sum{
          from + w * slab.position_stride[2], slab.position_stride[2], packed, width, slab.taps, slab.runs};
      T* const at = row + w * y.steps[2];
      kSumTaps<T>[count - 1](sum, at, y.steps[2], n);
      if (epilogue.empty()) continue;
      T* rows[kPositions];
      for (std::int64_t q = 0; q < count; ++q) rows[q] = at + q * y.steps[2];
      finish_rows(epilogue, rows, count, 0, n, [&](std::int64_t q) { return rows[q] - y.data; });
    }
  });
}

// Taps summed at a time: as many as there are registers for.
constexpr int kTaps = kVectorBytes == 64 ? 25 : 9;

template <class T>
struct GradRows {
  const T* x;
  const T* dy;
  std::int64_t count[4], x_stride[4], dy_stride[4];  // images, then spatial axes
};

// dkernel[t * filter_stride + c] = or += sum over positions of x[displacements[t] + c] dy[c], for t < N, c < lanes.
template <class T, int N>
void grad_taps(const GradRows<T>& r, const std::int64_t* displacements, T* dkernel, std::int64_t filter_stride,
               std::int64_t lanes, bool add) {
  Vector<T> sum[N];
#pragma GCC unroll 25
  for (int t = 0; t < N; ++t) sum[t] = Vector<T>{};
  for (std::int64_t n = 0; n < r.count[0]; ++n)
    for (std::int64_t d = 0; d < r.count[1]; ++d)
      for (std::int64_t h = 0; h < r.count[2]; ++h) {
        const T* x = r.x + n * r.x_stride[0] + d * r.x_stride[1] + h * r.x_stride[2];
        const T* dy = r.dy + n * r.dy_stride[0] + d * r.dy_stride[1] + h * r.dy_stride[2];
        for (std::int64_t w = r.count[3]; w > 0; --w, x += r.x_stride[3], dy += r.dy_stride[3]) {
          Vector<T> g;
          if (lanes == kLanes<T>) {
            g = *reinterpret_cast<const Vector<T>*>(dy);
          } else {
            g = load_some(dy, lanes);
          }
#pragma GCC unroll 25
          for (int t = 0; t < N; ++t) sum[t] += *reinterpret_cast<const Vector<T>*>(x + displacements[t]) * g;
        }
      }
  T lane[N][kLanes<T>];
#pragma GCC unroll 25
  for (int t = 0; t < N; ++t) *reinterpret_cast<Vector<T>*>(lane[t]) = sum[t];
#pragma GCC unroll 1
  for (int t = 0; t < N; ++t)
    for (std::int64_t j = 0; j < lanes; ++j)
      dkernel[t * filter_stride + j] = add ? dkernel[t * filter_stride + j] + lane[t][j] : lane[t][j];
}

template <class T>
using GradTaps = void (*)(const GradRows<T>& r, const std::int64_t* displacements, T* dkernel,
                          std::int64_t filter_stride, std::int64_t lanes, bool add);
template <class T>
struct GradTapsOf {
  GradTaps<T> taps[kTaps];
};
template <class T, int... N>
constexpr GradTapsOf<T> grad_taps_of(std::integer_sequence<int, N...>) {
  return {{grad_taps<T, N + 1>...}};
}
template <class T>
constexpr GradTapsOf<T> kGradTaps = grad_taps_of<T>(std::make_integer_sequence<int, kTaps>());

template <class T>
void kernel_grad(const Patches<T>& x, const Slab& slab, const Spread& spread, const Positions<const T>& dy, T* dkernel,
                 std::int64_t filter_stride, const Box& box, bool add, void* scratch) {
  const std::int64_t n = x.channels / spread.channels * spread.filters;
  GradRows<T> rows{fill_slab(x, slab, box, static_cast<T*>(scratch), spread), position_at(dy, box), {}, {}, {}};
  rows.x_stride[0] = slab.image_stride, rows.dy_stride[0] = dy.image_stride, rows.count[0] = box.count[0];
  for (int i = 0; i < 3; ++i)
    rows.x_stride[i + 1] = slab.position_stride[i], rows.dy_stride[i + 1] = dy.steps[i],
                      rows.count[i + 1] = box.count[i + 1];
  for (std::int64_t f = 0; f < n; f += kLanes<T>, rows.x += kLanes<T>, rows.dy += kLanes<T>)
    for (std::int64_t t = 0; t < slab.runs; t += kTaps) {
      const std::int64_t taps = slab.runs - t < kTaps ? slab.runs - t : kTaps,
                         lanes = n - f < kLanes<T> ? n - f : kLanes<T>;
      kGradTaps<T>.taps[taps - 1](rows, slab.taps + t, dkernel + t * filter_stride + f, filter_stride, lanes, add);
    }
}

template <class T>
constexpr DepthwiseKernels<T> kKernels = {product<T>, kernel_grad<T>};

}  // namespace

const Depthwise depthwise_table = {kKernels<float>, kKernels<double>};

}  // namespace kcore::kernels::KCORE_ISA
