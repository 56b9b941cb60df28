// The depthwise family compiled for one ISA. A chunk of channels is summed in registers over the taps (or the pixels).
#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/tile.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Sums of V vectors of channels.
template <class T, int V>
struct Sums {
  Vector<T> sum[V] = {};

  void add(const T* a, const T* b, int) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      sum[v] += *reinterpret_cast<const Vector<T>*>(a + v * kLanes<T>) *
                *reinterpret_cast<const Vector<T>*>(b + v * kLanes<T>);
  }
  void store(T* y, bool accumulate, int) const {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      Vector<T>* const to = reinterpret_cast<Vector<T>*>(y + v * kLanes<T>);
      *to = accumulate ? *to + sum[v] : sum[v];
    }
  }
};

// Sums of a few channels, at most kFew.
constexpr int kFew = 16;
template <class T>
struct Sums<T, 0> {
  T sum[kFew] = {};

  void add(const T* a, const T* b, int count) {
    for (int j = 0; j < count; ++j) sum[j] += a[j] * b[j];
  }
  void store(T* y, bool accumulate, int count) const {
    for (int j = 0; j < count; ++j) y[j] = accumulate ? y[j] + sum[j] : sum[j];
  }
};

// Calls body(Sums, c, count) over n channels in chunks: of vectors, then a few; or a few at a time.
template <class T, class Body>
void for_chunks(std::int64_t n, bool vectors, const Body& body) {
  constexpr int L = kLanes<T>;
  std::int64_t c = 0;
  if (vectors) {
    for (; c + 4 * L <= n; c += 4 * L) body(Sums<T, 4>(), c, 4 * L);
    for (; c + L <= n; c += L) body(Sums<T, 1>(), c, L);
  }
  for (; c < n; c += kFew) body(Sums<T, 0>(), c, static_cast<int>(n - c < kFew ? n - c : kFew));
}

struct Row {
  std::int64_t n, d, h;
};
Row row_at(std::int64_t row, std::int64_t depth, std::int64_t height) {
  return {row / height / depth, row / height % depth, row % height};
}

bool inside(std::int64_t x, std::int64_t extent) {
  return static_cast<std::uint64_t>(x) < static_cast<std::uint64_t>(extent);
}

// Adds x times b for `count` filters from `first` on; each channel of x has `multiplier` filters.
template <class T, int V>
void add_products(Sums<T, V>& sums, const T* x, const T* b, std::int64_t first, std::int64_t multiplier, int count) {
  if constexpr (V == 0) {
    if (multiplier > 1) {
      std::int64_t c = first / multiplier, m = first % multiplier;
      for (int j = 0; j < count; ++j) {
        sums.sum[j] += x[c] * b[first + j];
        if (++m == multiplier) m = 0, ++c;
      }
      return;
    }
  }
  sums.add(x + first, b + first, count);
}

template <class T>
void forward(const DepthwiseShape& s, const T* x, const T* kernel, T* y, std::int64_t begin, std::int64_t end) {
  const DepthwiseAxis &D = s.axis[0], &H = s.axis[1], &W = s.axis[2];
  const std::int64_t filters = s.channels * s.multiplier;
  for (std::int64_t row = begin; row < end; ++row) {
    const Row r = row_at(row, D.out, H.out);
    for (std::int64_t w = 0; w < W.out; ++w) {
      T* const out = y + (row * W.out + w) * filters;
      for_chunks<T>(filters, s.multiplier == 1, [&](auto sums, std::int64_t first, int count) {
        for (std::int64_t td = 0; td < D.kernel; ++td) {
          const std::int64_t id = r.d * D.stride + td * D.dilation - D.pad;
          if (!inside(id, D.in)) continue;
          for (std::int64_t th = 0; th < H.kernel; ++th) {
            const std::int64_t ih = r.h * H.stride + th * H.dilation - H.pad;
            if (!inside(ih, H.in)) continue;
            const T* const image = x + ((r.n * D.in + id) * H.in + ih) * W.in * s.channels;
            const T* const taps = kernel + (td * H.kernel + th) * W.kernel * filters;
            for (std::int64_t tw = 0; tw < W.kernel; ++tw) {
              const std::int64_t iw = w * W.stride + tw * W.dilation - W.pad;
              if (inside(iw, W.in))
                add_products(sums, image + iw * s.channels, taps + tw * filters, first, s.multiplier, count);
            }
          }
        }
        sums.store(out + first, false, count);
      });
    }
  }
}

// The output position that meets input pixel i in tap t, or -1.
std::int64_t position(const DepthwiseAxis& a, std::int64_t i, std::int64_t t) {
  const std::int64_t p = i + a.pad - t * a.dilation;
  if (p < 0) return -1;
  if (a.stride == 1) return p < a.out ? p : -1;
  return p % a.stride == 0 && p / a.stride < a.out ? p / a.stride : -1;
}

// sums[c] += sum over j of dy[c, j] kernel[c, j], the filters of each channel.
template <class T, int V>
void add_filters(Sums<T, V>& sums, const T* dy, const T* kernel, std::int64_t first, std::int64_t multiplier,
                 int count) {
  if constexpr (V == 0) {
    if (multiplier > 1) {
      for (int c = 0; c < count; ++c)
        for (std::int64_t j = (first + c) * multiplier; j < (first + c + 1) * multiplier; ++j)
          sums.sum[c] += dy[j] * kernel[j];
      return;
    }
  }
  sums.add(dy + first, kernel + first, count);
}

template <class T>
void input_grad(const DepthwiseShape& s, const T* dy, const T* kernel, T* dx, std::int64_t begin, std::int64_t end) {
  const DepthwiseAxis &D = s.axis[0], &H = s.axis[1], &W = s.axis[2];
  const std::int64_t filters = s.channels * s.multiplier;
  for (std::int64_t row = begin; row < end; ++row) {
    const Row r = row_at(row, D.in, H.in);
    for (std::int64_t w = 0; w < W.in; ++w) {
      T* const out = dx + (row * W.in + w) * s.channels;
      for_chunks<T>(s.channels, s.multiplier == 1, [&](auto sums, std::int64_t first, int count) {
        for (std::int64_t td = 0; td < D.kernel; ++td) {
          const std::int64_t od = position(D, r.d, td);
          if (od < 0) continue;
          for (std::int64_t th = 0; th < H.kernel; ++th) {
            const std::int64_t oh = position(H, r.h, th);
            if (oh < 0) continue;
            const T* const image = dy + ((r.n * D.out + od) * H.out + oh) * W.out * filters;
            const T* const taps = kernel + (td * H.kernel + th) * W.kernel * filters;
            for (std::int64_t tw = 0; tw < W.kernel; ++tw) {
              const std::int64_t ow = position(W, w, tw);
              if (ow >= 0) add_filters(sums, image + ow * filters, taps + tw * filters, first, s.multiplier, count);
            }
          }
        }
        sums.store(out + first, false, count);
      });
    }
  }
}

template <class T>
void kernel_grad(const DepthwiseShape& s, const T* x, const T* dy, T* dkernel, std::int64_t begin, std::int64_t end) {
  const DepthwiseAxis &D = s.axis[0], &H = s.axis[1], &W = s.axis[2];
  const std::int64_t filters = s.channels * s.multiplier;
  for (std::int64_t i = 0; i < D.kernel * H.kernel * W.kernel * filters; ++i) dkernel[i] = 0;
  for (std::int64_t row = begin; row < end; ++row) {
    const Row r = row_at(row, D.out, H.out);
    const T* const g = dy + row * W.out * filters;
    for (std::int64_t td = 0; td < D.kernel; ++td) {
      const std::int64_t id = r.d * D.stride + td * D.dilation - D.pad;
      if (!inside(id, D.in)) continue;
      for (std::int64_t th = 0; th < H.kernel; ++th) {
        const std::int64_t ih = r.h * H.stride + th * H.dilation - H.pad;
        if (!inside(ih, H.in)) continue;
        const T* const image = x + ((r.n * D.in + id) * H.in + ih) * W.in * s.channels;
        for (std::int64_t tw = 0; tw < W.kernel; ++tw) {
          T* const out = dkernel + ((td * H.kernel + th) * W.kernel + tw) * filters;
          for_chunks<T>(filters, s.multiplier == 1, [&](auto sums, std::int64_t first, int count) {
            for (std::int64_t w = 0; w < W.out; ++w) {
              const std::int64_t iw = w * W.stride + tw * W.dilation - W.pad;
              if (inside(iw, W.in))
                add_products(sums, image + iw * s.channels, g + w * filters, first, s.multiplier, count);
            }
            sums.store(out + first, true, count);
          });
        }
      }
    }
  }
}

template <class T>
constexpr DepthwiseKernels<T> kKernels = {forward<T>, input_grad<T>, kernel_grad<T>};

}  // namespace

const Depthwise depthwise_table = {kKernels<float>, kKernels<double>};

}  // namespace kcore::kernels::KCORE_ISA
