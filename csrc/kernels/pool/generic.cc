// Pooling: the innermost loops run over channels, with the running maxima or sums of one output position in L1.
#include "kernels/pool/pool.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// The part of a window that is inside the image, along one dimension.
struct Span {
  std::int64_t begin, end;
};
inline Span span_of(const PoolShape& s, int dim, std::int64_t out) {
  const std::int64_t start = out * s.stride[dim] - s.before[dim], stop = start + s.window[dim];
  return {start < 0 ? 0 : start, stop < s.in[dim] ? stop : s.in[dim]};
}

// Calls body(offset of y, spans) for each position of rows [begin, end); offsets count positions, not elements.
template <class Body>
inline void for_positions(const PoolShape& s, std::int64_t begin, std::int64_t end, const Body& body) {
  for (std::int64_t row = begin; row < end; ++row) {
    const Span a = span_of(s, 0, row / s.out[1]), b = span_of(s, 1, row % s.out[1]);
    for (std::int64_t o = 0; o < s.out[2]; ++o) body(row * s.out[2] + o, a, b, span_of(s, 2, o));
  }
}

// Calls body(offset of x) for each position of a window, in row-major order.
template <class Body>
inline void for_window(const PoolShape& s, Span a, Span b, Span c, const Body& body) {
  for (std::int64_t i = a.begin; i < a.end; ++i)
    for (std::int64_t j = b.begin; j < b.end; ++j)
      for (std::int64_t k = c.begin; k < c.end; ++k) body((i * s.in[1] + j) * s.in[2] + k);
}

template <class T>
void max_rows(const PoolShape& s, const void* x_, std::int64_t begin, std::int64_t end, void* y_) {
  auto* x = static_cast<const T*>(x_);
  for_positions(s, begin, end, [&](std::int64_t at, Span a, Span b, Span c) {
    T* y = static_cast<T*>(y_) + at * s.channels;
    for (std::int64_t l = 0; l < s.channels; ++l) y[l] = static_cast<T>(-__builtin_inf());
    for_window(s, a, b, c, [&](std::int64_t from) {
      const T* in = x + from * s.channels;
#pragma omp simd
      for (std::int64_t l = 0; l < s.channels; ++l) y[l] = (in[l] > y[l] || in[l] != in[l]) ? in[l] : y[l];
    });
  });
}

template <class T>
void average_rows(const PoolShape& s, const void* x_, std::int64_t begin, std::int64_t end, void* y_) {
  auto* x = static_cast<const T*>(x_);
  for_positions(s, begin, end, [&](std::int64_t at, Span a, Span b, Span c) {
    T* y = static_cast<T*>(y_) + at * s.channels;
    for (std::int64_t l = 0; l < s.channels; ++l) y[l] = T(0);
    for_window(s, a, b, c, [&](std::int64_t from) {
      const T* in = x + from * s.channels;
#pragma omp simd
      for (std::int64_t l = 0; l < s.channels; ++l) y[l] += in[l];
    });
    const T count = static_cast<T>((a.end - a.begin) * (b.end - b.begin) * (c.end - c.begin));
#pragma omp simd
    for (std::int64_t l = 0; l < s.channels; ++l) y[l] /= count;
  });
}

constexpr int kTile = 64;  // channels whose maxima are looked for together

// Position (in x, without channels) of the first maximum of a window for channels [l, l + width).
template <class T>
inline void find_max(const PoolShape& s, const T* x, Span a, Span b, Span c, int width, std::int64_t* position) {
  T best[kTile];
  bool first = true;
  for_window(s, a, b, c, [&](std::int64_t from) {
    const T* in = x + from * s.channels;
    if (first) {
      for (int l = 0; l < width; ++l) best[l] = in[l], position[l] = from;
      first = false;
      return;
    }
#pragma omp simd
    for (int l = 0; l < width; ++l) {
      const bool replaces = in[l] > best[l] || (in[l] != in[l] && best[l] == best[l]);
      best[l] = replaces ? in[l] : best[l];
      position[l] = replaces ? from : position[l];
    }
  });
}

template <class T>
void take_rows(const PoolShape& s, const void* v_, const void* x_, std::int64_t begin, std::int64_t end, void* y_) {
  auto *v = static_cast<const T*>(v_), *x = static_cast<const T*>(x_);
  for_positions(s, begin, end, [&](std::int64_t at, Span a, Span b, Span c) {
    T* y = static_cast<T*>(y_) + at * s.channels;
    for (std::int64_t l = 0; l < s.channels; l += kTile) {
      const int width = static_cast<int>(s.channels - l < kTile ? s.channels - l : kTile);
      std::int64_t position[kTile];
      find_max(s, x + l, a, b, c, width, position);
      for (int i = 0; i < width; ++i) y[l + i] = v[position[i] * s.channels + l + i];
    }
  });
}

template <class T>
void clear_channels(const PoolShape& s, std::int64_t begin, std::int64_t end, T* dx) {
  const std::int64_t positions = s.in[0] * s.in[1] * s.in[2];
  for (std::int64_t p = 0; p < positions; ++p)
    for (std::int64_t l = begin; l < end; ++l) dx[p * s.channels + l] = T(0);
}

template <class T>
void max_grad(const PoolShape& s, const void* dy_, const void* x_, std::int64_t begin, std::int64_t end, void* dx_) {
  auto *dy = static_cast<const T*>(dy_), *x = static_cast<const T*>(x_);
  auto* dx = static_cast<T*>(dx_);
  clear_channels(s, begin, end, dx);
  for_positions(s, 0, s.out[0] * s.out[1], [&](std::int64_t at, Span a, Span b, Span c) {
    for (std::int64_t l = begin; l < end; l += kTile) {
      const int width = static_cast<int>(end - l < kTile ? end - l : kTile);
      std::int64_t position[kTile];
      find_max(s, x + l, a, b, c, width, position);
      for (int i = 0; i < width; ++i) dx[position[i] * s.channels + l + i] += dy[at * s.channels + l + i];
    }
  });
}

template <class T>
void average_grad(const PoolShape& s, const void* dy_, std::int64_t begin, std::int64_t end, void* dx_) {
  auto* dx = static_cast<T*>(dx_);
  clear_channels(s, begin, end, dx);
  for_positions(s, 0, s.out[0] * s.out[1], [&](std::int64_t at, Span a, Span b, Span c) {
    const T* dy = static_cast<const T*>(dy_) + at * s.channels;
    const T count = static_cast<T>((a.end - a.begin) * (b.end - b.begin) * (c.end - c.begin));
    for_window(s, a, b, c, [&](std::int64_t to) {
      T* out = dx + to * s.channels;
#pragma omp simd
      for (std::int64_t l = begin; l < end; ++l) out[l] += dy[l] / count;
    });
  });
}

}  // namespace

const PoolKernels pool_table = {{max_rows<float>, max_rows<double>},
                                {take_rows<float>, take_rows<double>},
                                {max_grad<float>, max_grad<double>},
                                {average_rows<float>, average_rows<double>},
                                {average_grad<float>, average_grad<double>}};

}  // namespace kcore::kernels::KCORE_ISA
