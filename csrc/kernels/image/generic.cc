// Affine transforms and separable resizing.
#include "kernels/image/image.h"
#include "kernels/math.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// The pixel that stands for index i of an axis of n, or -1 for the fill value.
std::int64_t resolve(std::int64_t i, std::int64_t n, FillMode mode) {
  if (i >= 0 && i < n) return i;
  if (mode == FillMode::constant) return -1;
  if (mode == FillMode::nearest) return i < 0 ? 0 : n - 1;
  if (mode == FillMode::wrap) return ((i % n) + n) % n;
  if (mode == FillMode::reflect) {  // d c b a | a b c d | d c b a
    const std::int64_t period = 2 * n, j = ((i % period) + period) % period;
    return j < n ? j : period - 1 - j;
  }
  if (n == 1) return 0;  // mirror: d c b | a b c d | c b a
  const std::int64_t period = 2 * n - 2, j = ((i % period) + period) % period;
  return j < n ? j : period - j;
}

// A coordinate no image reaches stays representable as an index, and NaN lies outside.
template <class T>
T bounded(T x) {
  const T limit = T(1e9);
  return x > -limit ? (x < limit ? x : limit) : -limit;
}

// The pixels an output is made of: offsets, -1 for the fill value, and weights.
template <class T, int taps>
struct Samples {
  std::int64_t pixel[taps];
  T weight[taps];
};

// Calls visit(output offset, samples) for each output pixel.
template <class T, int taps, class Visit>
void for_samples(const AffineImage<T>& image, Visit&& visit) {
  const T* t = image.transform;
  const std::int64_t height = image.height, width = image.width;
  auto pixel = [&](std::int64_t row, std::int64_t column) {
    const std::int64_t r = resolve(row, height, image.fill_mode), c = resolve(column, width, image.fill_mode);
    return r < 0 || c < 0 ? std::int64_t{-1} : (r * width + c) * image.channels;
  };
  for (std::int64_t row = image.row0; row < image.row1; ++row) {
    for (std::int64_t column = 0; column < width; ++column) {
      const T px = static_cast<T>(column), py = static_cast<T>(row);
      const T k = t[6] * px + t[7] * py + T(1);
      const T x = bounded((t[0] * px + t[1] * py + t[2]) / k), y = bounded((t[3] * px + t[4] * py + t[5]) / k);
      const std::int64_t at = (row * width + column) * image.channels;
      if constexpr (taps == 1) {
        const auto r = static_cast<std::int64_t>(__builtin_round(y)), c = static_cast<std::int64_t>(__builtin_round(x));
        visit(at, Samples<T, 1>{{pixel(r, c)}, {T(1)}});
      } else {
        const T x0 = floor_of(x), y0 = floor_of(y), fx = x - x0, fy = y - y0;
        const auto r = static_cast<std::int64_t>(y0), c = static_cast<std::int64_t>(x0);
        visit(at, Samples<T, 4>{{pixel(r, c), pixel(r, c + 1), pixel(r + 1, c), pixel(r + 1, c + 1)},
                                {(T(1) - fy) * (T(1) - fx), (T(1) - fy) * fx, fy * (T(1) - fx), fy * fx}});
      }
    }
  }
}

template <class T, int taps>
void affine_of(const AffineImage<T>& image, const T* x, T* y) {
  for_samples<T, taps>(image, [&](std::int64_t at, const Samples<T, taps>& s) {
    for (std::int64_t c = 0; c < image.channels; ++c) {
      T sum = T(0);
      for (int i = 0; i < taps; ++i) sum += s.weight[i] * (s.pixel[i] < 0 ? image.fill_value : x[s.pixel[i] + c]);
      y[at + c] = sum;
    }
  });
}

template <class T>
void affine(const AffineImage<T>& image, const T* x, T* y) {
  image.bilinear ? affine_of<T, 4>(image, x, y) : affine_of<T, 1>(image, x, y);
}

template <class T, int taps>
void affine_grad_of(const AffineImage<T>& image, const T* dy, T* dx) {
  for_samples<T, taps>(image, [&](std::int64_t at, const Samples<T, taps>& s) {
    for (int i = 0; i < taps; ++i) {
      if (s.pixel[i] < 0) continue;
      for (std::int64_t c = 0; c < image.channels; ++c) dx[s.pixel[i] + c] += s.weight[i] * dy[at + c];
    }
  });
}

template <class T>
void affine_grad(const AffineImage<T>& image, const T* dy, T* dx) {
  image.bilinear ? affine_grad_of<T, 4>(image, dy, dx) : affine_grad_of<T, 1>(image, dy, dx);
}

template <class T>
void along_axis(const AxisWeights<T>& axis, std::int64_t inner, const T* x, T* y) {
  for (std::int64_t j = 0; j < axis.size_out; ++j) {
    T* to = y + j * inner;
    for (std::int64_t i = 0; i < inner; ++i) to[i] = T(0);
    for (std::int64_t t = 0; t < axis.taps; ++t) {
      const T weight = axis.weights[j * axis.taps + t];
      if (weight == T(0)) continue;  // a tap outside the image
      const T* from = x + (axis.first[j] + t) * inner;
      for (std::int64_t i = 0; i < inner; ++i) to[i] += weight * from[i];
    }
  }
}

template <class T>
void along_axis_grad(const AxisWeights<T>& axis, std::int64_t inner, const T* dy, T* dx) {
  for (std::int64_t i = 0; i < axis.size_in * inner; ++i) dx[i] = T(0);
  for (std::int64_t j = 0; j < axis.size_out; ++j) {
    const T* from = dy + j * inner;
    for (std::int64_t t = 0; t < axis.taps; ++t) {
      const T weight = axis.weights[j * axis.taps + t];
      if (weight == T(0)) continue;
      T* to = dx + (axis.first[j] + t) * inner;
      for (std::int64_t i = 0; i < inner; ++i) to[i] += weight * from[i];
    }
  }
}

}  // namespace

const ImageKernels image_table = {{affine<float>, affine_grad<float>, along_axis<float>, along_axis_grad<float>},
                                  {affine<double>, affine_grad<double>, along_axis<double>, along_axis_grad<double>}};

}  // namespace kcore::kernels::KCORE_ISA
