// Affine transforms and separable resizing.
#include "kernels/image/image.h"
#include "kernels/image/resize.h"
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

// To the nearest integer, halves away from zero.
template <class T>
KCORE_INLINE T round_of(T x) {
  const T whole = trunc_of(x), rest = x - whole;
  return whole + (rest >= T(0.5) ? T(1) : T(0)) - (rest <= T(-0.5) ? T(1) : T(0));
}

// Where a few neighbouring outputs look: the upper left pixel of each, and how far beyond it.
template <class T>
struct Places {
  static constexpr std::int64_t kMost = 64;
  std::int32_t row[kMost], column[kMost];
  T fx[kMost], fy[kMost];
};

// Of outputs [column, column + count) of a row; nearest pixels if not `bilinear`.
template <bool bilinear, class T>
KCORE_INLINE void find_places(const AffineImage<T>& image, std::int64_t row, std::int64_t column, std::int64_t count,
                              Places<T>& places) {
  const T *t = image.transform, a0 = t[0], a1 = t[1], a2 = t[2], b0 = t[3], b1 = t[4], b2 = t[5], c0 = t[6], c1 = t[7];
  const T py = static_cast<T>(row);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const T px = static_cast<T>(static_cast<std::int32_t>(column + i));
    const T k = c0 * px + c1 * py + T(1);
    const T x = bounded((a0 * px + a1 * py + a2) / k), y = bounded((b0 * px + b1 * py + b2) / k);
    const T x0 = bilinear ? floor_of(x) : round_of(x), y0 = bilinear ? floor_of(y) : round_of(y);
    places.column[i] = static_cast<std::int32_t>(x0);
    places.row[i] = static_cast<std::int32_t>(y0);
    places.fx[i] = x - x0;
    places.fy[i] = y - y0;
  }
}

// The pixels an output is made of: offsets, -1 for the fill value, and weights.
template <class T, int taps>
struct Samples {
  std::int64_t pixel[taps];
  T weight[taps];
};

template <class T>
KCORE_INLINE std::int64_t pixel_of(const AffineImage<T>& image, std::int64_t row, std::int64_t column) {
  const std::int64_t r = resolve(row, image.height, image.fill_mode), c = resolve(column, image.width, image.fill_mode);
  return r < 0 || c < 0 ? std::int64_t{-1} : (r * image.width + c) * image.channels;
}

template <class T, int taps>
KCORE_INLINE Samples<T, taps> samples_of(const AffineImage<T>& image, const Places<T>& places, std::int64_t i) {
  const std::int64_t r = places.row[i], c = places.column[i];
  if constexpr (taps == 1) {
    return {{pixel_of(image, r, c)}, {T(1)}};
  } else {
    const T fx = places.fx[i], fy = places.fy[i];
    Samples<T, 4> s{{}, {(T(1) - fy) * (T(1) - fx), (T(1) - fy) * fx, fy * (T(1) - fx), fy * fx}};
    if (r >= 0 && c >= 0 && r + 1 < image.height && c + 1 < image.width) {  // most of them
      const std::int64_t at = (r * image.width + c) * image.channels, line = image.width * image.channels;
      s.pixel[0] = at;
      s.pixel[1] = at + image.channels;
      s.pixel[2] = at + line;
      s.pixel[3] = at + line + image.channels;
    } else {
      for (int k = 0; k < 4; ++k) s.pixel[k] = pixel_of(image, r + k / 2, c + k % 2);
    }
    return s;
  }
}

// y = the samples' sum over `channels`, which is a constant where it is small.
template <class T, int taps>
KCORE_INLINE void add_samples(const Samples<T, taps>& s, std::int64_t channels, T fill, const T* x, T* y) {
  bool inside = true;
  for (int i = 0; i < taps; ++i) inside = inside && s.pixel[i] >= 0;
  if (inside) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      T sum = s.weight[0] * x[s.pixel[0] + c];
      for (int i = 1; i < taps; ++i) sum += s.weight[i] * x[s.pixel[i] + c];
      y[c] = sum;
    }
    return;
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    T sum = T(0);
    for (int i = 0; i < taps; ++i) sum += s.weight[i] * (s.pixel[i] < 0 ? fill : x[s.pixel[i] + c]);
    y[c] = sum;
  }
}

// dx += the samples' shares of dy.
template <class T, int taps>
KCORE_INLINE void spread_samples(const Samples<T, taps>& s, std::int64_t channels, const T* dy, T* dx) {
  for (int i = 0; i < taps; ++i) {
    if (s.pixel[i] < 0) continue;
    T* to = dx + s.pixel[i];
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) to[c] += s.weight[i] * dy[c];
  }
}

template <class T, int taps, bool gradient>
KCORE_INLINE void resample(const AffineImage<T>& image, std::int64_t channels, const T* from, T* to) {
  Places<T> places;
  for (std::int64_t row = image.row0; row < image.row1; ++row)
    for (std::int64_t column = 0; column < image.width; column += Places<T>::kMost) {
      const std::int64_t left = image.width - column, count = left < Places<T>::kMost ? left : Places<T>::kMost;
      find_places<(taps > 1)>(image, row, column, count, places);
      for (std::int64_t i = 0; i < count; ++i) {
        const Samples<T, taps> s = samples_of<T, taps>(image, places, i);
        const std::int64_t at = (row * image.width + column + i) * channels;
        if constexpr (gradient)
          spread_samples(s, channels, from + at, to);
        else
          add_samples(s, channels, image.fill_value, from, to + at);
      }
    }
}

template <class T, int taps, bool gradient>
void resample_channels(const AffineImage<T>& image, const T* from, T* to) {
  if (image.channels == 1) return resample<T, taps, gradient>(image, 1, from, to);
  if (image.channels == 3) return resample<T, taps, gradient>(image, 3, from, to);
  if (image.channels == 4) return resample<T, taps, gradient>(image, 4, from, to);
  resample<T, taps, gradient>(image, image.channels, from, to);
}

template <class T>
void affine(const AffineImage<T>& image, const T* x, T* y) {
  image.bilinear ? resample_channels<T, 4, false>(image, x, y) : resample_channels<T, 1, false>(image, x, y);
}

template <class T>
void affine_grad(const AffineImage<T>& image, const T* dy, T* dx) {
  image.bilinear ? resample_channels<T, 4, true>(image, dy, dx) : resample_channels<T, 1, true>(image, dy, dx);
}

}  // namespace

const ImageKernels image_table = {{affine<float>, affine_grad<float>, resize_rows<float>},
                                  {affine<double>, affine_grad<double>, resize_rows<double>}};

}  // namespace kcore::kernels::KCORE_ISA
