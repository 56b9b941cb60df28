// The depthwise family compiled for one ISA. A chunk of channels is summed in registers over the taps (or the pixels).
#include "kernels/depthwise/depthwise.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// Channels in a chunk: four AVX-512 vectors of floats, and enough chains of FMAs on every ISA.
constexpr int kChunk = 64;

struct Row {
  std::int64_t n, d, h;
};
Row row_at(std::int64_t row, std::int64_t depth, std::int64_t height) {
  return {row / height / depth, row / height % depth, row % height};
}

bool inside(std::int64_t x, std::int64_t extent) {
  return static_cast<std::uint64_t>(x) < static_cast<std::uint64_t>(extent);
}

// Calls body(c, count) over [0, n) in chunks; whole chunks pass a constant count, which unrolls.
template <class Body>
void for_chunks(std::int64_t n, const Body& body) {
  std::int64_t c = 0;
  for (; c + kChunk <= n; c += kChunk) body(c, kChunk);
  for (; c + 16 <= n; c += 16) body(c, 16);
  if (c < n) body(c, static_cast<int>(n - c));
}

// sum[j] += a[(first + j) / multiplier - first / multiplier] * b[j]: x repeats each channel `multiplier` times.
template <class T>
void add_products(T* sum, const T* x, std::int64_t first, std::int64_t multiplier, const T* b, int count) {
  if (multiplier == 1) {
    const T* const a = x + first;
#pragma omp simd
    for (int j = 0; j < count; ++j) sum[j] += a[j] * b[j];
  } else {
    std::int64_t c = first / multiplier, m = first % multiplier;
    for (int j = 0; j < count; ++j) {
      sum[j] += x[c] * b[j];
      if (++m == multiplier) m = 0, ++c;
    }
  }
}

template <class T>
void forward(const DepthwiseShape& s, const T* x, const T* kernel, T* y, std::int64_t begin, std::int64_t end) {
  const DepthwiseAxis &D = s.axis[0], &H = s.axis[1], &W = s.axis[2];
  const std::int64_t filters = s.channels * s.multiplier;
  for (std::int64_t row = begin; row < end; ++row) {
    const Row r = row_at(row, D.out, H.out);
    for (std::int64_t w = 0; w < W.out; ++w) {
      T* const out = y + (row * W.out + w) * filters;
      for_chunks(filters, [&](std::int64_t first, int count) {
        T sum[kChunk] = {};
        for (std::int64_t td = 0; td < D.kernel; ++td) {
          const std::int64_t id = r.d * D.stride + td * D.dilation - D.pad;
          if (!inside(id, D.in)) continue;
          for (std::int64_t th = 0; th < H.kernel; ++th) {
            const std::int64_t ih = r.h * H.stride + th * H.dilation - H.pad;
            if (!inside(ih, H.in)) continue;
            const T* const image = x + ((r.n * D.in + id) * H.in + ih) * W.in * s.channels;
            const T* const taps = kernel + (td * H.kernel + th) * W.kernel * filters + first;
            for (std::int64_t tw = 0; tw < W.kernel; ++tw) {
              const std::int64_t iw = w * W.stride + tw * W.dilation - W.pad;
              if (inside(iw, W.in))
                add_products(sum, image + iw * s.channels, first, s.multiplier, taps + tw * filters, count);
            }
          }
        }
        for (int j = 0; j < count; ++j) out[first + j] = sum[j];
      });
    }
  }
}

// The output position that meets input pixel i in tap t, or -1.
std::int64_t position(const DepthwiseAxis& a, std::int64_t i, std::int64_t t) {
  const std::int64_t p = i + a.pad - t * a.dilation;
  return p >= 0 && p % a.stride == 0 && p / a.stride < a.out ? p / a.stride : -1;
}

template <class T>
void input_grad(const DepthwiseShape& s, const T* dy, const T* kernel, T* dx, std::int64_t begin, std::int64_t end) {
  const DepthwiseAxis &D = s.axis[0], &H = s.axis[1], &W = s.axis[2];
  const std::int64_t filters = s.channels * s.multiplier;
  for (std::int64_t row = begin; row < end; ++row) {
    const Row r = row_at(row, D.in, H.in);
    for (std::int64_t w = 0; w < W.in; ++w) {
      T* const out = dx + (row * W.in + w) * s.channels;
      for_chunks(s.channels, [&](std::int64_t first, int count) {
        T sum[kChunk] = {};
        for (std::int64_t td = 0; td < D.kernel; ++td) {
          const std::int64_t od = position(D, r.d, td);
          if (od < 0) continue;
          for (std::int64_t th = 0; th < H.kernel; ++th) {
            const std::int64_t oh = position(H, r.h, th);
            if (oh < 0) continue;
            for (std::int64_t tw = 0; tw < W.kernel; ++tw) {
              const std::int64_t ow = position(W, w, tw);
              if (ow < 0) continue;
              const T* const g = dy + (((r.n * D.out + od) * H.out + oh) * W.out + ow) * filters + first * s.multiplier;
              const T* const k = kernel + ((td * H.kernel + th) * W.kernel + tw) * filters + first * s.multiplier;
              if (s.multiplier == 1) {
#pragma omp simd
                for (int j = 0; j < count; ++j) sum[j] += g[j] * k[j];
              } else {
                for (int j = 0; j < count; ++j)
                  for (std::int64_t m = 0; m < s.multiplier; ++m)
                    sum[j] += g[j * s.multiplier + m] * k[j * s.multiplier + m];
              }
            }
          }
        }
        for (int j = 0; j < count; ++j) out[first + j] = sum[j];
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
          for_chunks(filters, [&](std::int64_t first, int count) {
            T sum[kChunk] = {};
            for (std::int64_t w = 0; w < W.out; ++w) {
              const std::int64_t iw = w * W.stride + tw * W.dilation - W.pad;
              if (inside(iw, W.in))
                add_products(sum, image + iw * s.channels, first, s.multiplier, g + w * filters + first, count);
            }
            for (int j = 0; j < count; ++j) out[first + j] += sum[j];
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
