// Resampling of images: checks, the weights of a resize, and the split over images and rows.
#include "kernels/image/image.h"

#include <algorithm>
#include <cmath>

#include "base/cache.h"
#include "base/parallel.h"
#include "base/scratch.h"
#include "ops/op.h"

namespace kcore::ops {
namespace {

template <class T>
const ImageResample<T>& resample() {
  if constexpr (std::is_same_v<T, double>)
    return kernels::image().f64;
  else
    return kernels::image().f32;
}

FillMode parse_fill_mode(const std::string& name) {
  if (name == "nearest") return FillMode::nearest;
  if (name == "reflect") return FillMode::reflect;
  if (name == "wrap") return FillMode::wrap;
  if (name == "mirror") return FillMode::mirror;
  return FillMode::constant;
}

void infer_affine(Infer& c, const std::string& interpolation, const std::string& fill_mode) {
  c.require_floating(0);
  c.require_rank(0, 4);
  c.require_dtype(1, c.dtype(0));
  c.require_shape(1, {c.shape(0)[0], 8});
  c.require(interpolation == "nearest" || interpolation == "bilinear",
            "expected interpolation nearest or bilinear, received \"", interpolation, "\"");
  c.require(fill_mode == "constant" || parse_fill_mode(fill_mode) != FillMode::constant,
            "expected fill_mode constant, nearest, reflect, wrap or mirror, received \"", fill_mode, "\"");
  c.out(c.in(0));
}

template <class T>
AffineImage<T> affine_image(const Run& c, std::int64_t image, const std::string& interpolation,
                            const std::string& fill_mode) {
  const Shape& x = c.shape(0);
  return {x[1], x[2], x[3], 0, x[1], c.input<T>(1) + image * 8, interpolation == "bilinear", parse_fill_mode(fill_mode),
          T(0)};
}

// body(image), for images of so many values, each of which takes a few nanoseconds.
template <class Body>
void for_images(std::int64_t images, std::int64_t size, const Body& body) {
  parallel_ranges(images, grain_for(static_cast<double>(4 * size + 1)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) body(n);
  });
}

}  // namespace

void infer(const affine_transform& op, Infer& c) { infer_affine(c, op.interpolation, op.fill_mode); }

void run(const affine_transform& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Shape& x = c.shape(0);
    const std::int64_t size = x.count(1, 4);
    parallel_ranges(x[0] * x[1], grain_for(static_cast<double>(8 * x[2] * x[3])),
                    [&](std::int64_t begin, std::int64_t end) {
                      while (begin < end) {
                        const std::int64_t n = begin / x[1];
                        AffineImage<T> image = affine_image<T>(c, n, op.interpolation, op.fill_mode);
                        image.fill_value = static_cast<T>(op.fill_value);
                        image.row0 = begin % x[1];
                        image.row1 = std::min(x[1], image.row0 + end - begin);
                        resample<T>().affine(image, c.input<T>(0) + n * size, c.output<T>(0) + n * size);
                        begin += image.row1 - image.row0;
                      }
                    });
  });
}

void infer(const affine_transform_grad& op, Infer& c) { infer_affine(c, op.interpolation, op.fill_mode); }

void run(const affine_transform_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t size = c.shape(0).count(1, 4);
    for_images(c.shape(0)[0], size, [&](std::int64_t n) {
      T* dx = c.output<T>(0) + n * size;
      std::fill_n(dx, size, T(0));
      resample<T>().affine_grad(affine_image<T>(c, n, op.interpolation, op.fill_mode), c.input<T>(0) + n * size, dx);
    });
  });
}

namespace {

// The kernels of resizing, for |x| in input pixels; `radius` is where they end.
double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// R. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29, 1981 (a = -1/2).
double cubic(double x) {
  x = std::abs(x);
  if (x >= 2) return 0;
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2;
}

double lanczos(double x, double radius) {
  x = std::abs(x);
  if (x >= radius) return 0;
  if (x < 1e-8) return 1;
  const double a = M_PI * x;
  return radius * std::sin(a) * std::sin(a / radius) / (a * a);
}

struct Filter {
  double radius;
  double (*value)(double x);
};

Filter parse_filter(const std::string& name) {
  if (name == "bicubic") return {2, cubic};
  if (name == "lanczos3") return {3, [](double x) { return lanczos(x, 3); }};
  if (name == "lanczos5") return {5, [](double x) { return lanczos(x, 5); }};
  return {1, triangle};
}

// The terms of an axis that shrinks or grows. Output j has its centre at (j + 1/2) in / out - 1/2 of the input. Weights
// are normalized, over the pixels that exist; with antialiasing a shrinking axis widens the kernel. Pixels without
// weight are no terms: what they are must not show, not even if it is NaN.
template <class T>
AxisTerms<T> axis_terms(Run& c, std::int64_t size_in, std::int64_t size_out, const std::string& interpolation,
                        bool antialias) {
  const double scale = static_cast<double>(size_in) / static_cast<double>(size_out);
  const Filter filter = parse_filter(interpolation);
  const double stretch = antialias ? std::max(1.0, scale) : 1.0, radius = filter.radius * stretch;
  const bool nearest = interpolation == "nearest";
  const std::int64_t taps =
      nearest ? 1 : std::min<std::int64_t>(size_in, 2 * static_cast<std::int64_t>(std::ceil(radius)) + 1);
  auto* begin = c.scratch<std::int64_t>(size_out + 1);
  auto* index = c.scratch<std::int32_t>(size_out * taps);
  T* weight = c.scratch<T>(size_out * taps);
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < size_out; ++j) {
    begin[j] = count;
    if (nearest) {
      const auto at = static_cast<std::int64_t>(std::floor((static_cast<double>(j) + 0.5) * scale));
      index[count] = static_cast<std::int32_t>(std::min(at, size_in - 1));
      weight[count++] = T(1);
      continue;
    }
    const double centre = (static_cast<double>(j) + 0.5) * scale - 0.5;
    const auto lowest = static_cast<std::int64_t>(std::ceil(centre - radius));
    const std::int64_t start = std::clamp<std::int64_t>(lowest, 0, size_in - taps);
    const auto value = [&](std::int64_t t) {
      return filter.value((static_cast<double>(start + t) - centre) / stretch);
    };
    double sum = 0;
    for (std::int64_t t = 0; t < taps; ++t) sum += value(t);
    for (std::int64_t t = 0; t < taps; ++t) {
      const T share = static_cast<T>(value(t) / sum);
      if (share == T(0)) continue;
      index[count] = static_cast<std::int32_t>(start + t);
      weight[count++] = share;
    }
  }
  begin[size_out] = count;
  return {size_out, begin, index, weight};
}

// The adjoint: to each of `size` inputs, the outputs that it is a term of, in their order.
template <class T>
AxisTerms<T> transposed(Run& c, const AxisTerms<T>& axis, std::int64_t size) {
  const std::int64_t count = axis.begin[axis.size];
  auto* begin = c.scratch<std::int64_t>(size + 2) + 1;  // begin[i] counts up to begin[i + 1] while input i is filled
  auto* index = c.scratch<std::int32_t>(count);
  T* weight = c.scratch<T>(count);
  std::fill_n(begin - 1, size + 2, 0);
  for (std::int64_t t = 0; t < count; ++t)
    if (axis.index[t] + 1 < size) ++begin[axis.index[t] + 1];
  for (std::int64_t i = 1; i < size; ++i) begin[i] += begin[i - 1];
  for (std::int64_t j = 0; j < axis.size; ++j)
    for (std::int64_t t = axis.begin[j]; t < axis.begin[j + 1]; ++t) {
      const std::int64_t at = begin[axis.index[t]]++;
      index[at] = static_cast<std::int32_t>(j);
      weight[at] = axis.weight[t];
    }
  return {size, begin - 1, index, weight};
}

// y (images, rows, columns, channels) from x, in blocks of rows.
template <class T>
void resize_images(Run& c, const AxisTerms<T>& rows, const AxisTerms<T>& columns) {
  const Shape &x = c.shape(0), &y = c.out(0).shape;
  const std::int64_t width = x[2], channels = x[3];
  const bool stream = exceeds_cache((x.size() + y.size()) * size_of(c.dtype(0)));
  // The terms of a row: down the line, and along it.
  const std::int64_t terms = rows.begin[rows.size] / rows.size * width + columns.begin[columns.size];
  const double cost = 0.1 * static_cast<double>((terms + columns.size) * channels) + 100;
  parallel_ranges(y[0] * y[1], std::max<std::int64_t>(1, grain_for(cost)), [&](std::int64_t begin, std::int64_t end) {
    T* line = static_cast<T*>(thread_scratch(static_cast<std::size_t>(width * channels + kLineSlack) * sizeof(T)));
    while (begin < end) {
      const std::int64_t n = begin / y[1], row = begin % y[1], stop = std::min(y[1], row + end - begin);
      resample<T>().resize(rows, columns, width, channels, c.input<T>(0) + n * x.count(1, 4), row, stop,
                           c.output<T>(0) + n * y.count(1, 4), stream, line);
      begin += stop - row;
    }
  });
}

void infer_resize(Infer& c, std::int64_t height, std::int64_t width, const std::string& interpolation) {
  c.require_floating(0);
  c.require_rank(0, 4);
  const Shape& x = c.shape(0);
  c.require(height >= 1 && width >= 1 && x[1] >= 1 && x[2] >= 1,
            "expected images and a size of 1 pixel or more each way, received shape ", x, " and size (", height, ", ",
            width, ")");
  c.require(std::max({height, width, x[1], x[2]}) <= INT32_MAX, "expected sizes below 2^31, received shape ", x);
  c.require(interpolation == "nearest" || interpolation == "bilinear" || parse_filter(interpolation).radius > 1,
            "expected interpolation nearest, bilinear, bicubic, lanczos3 or lanczos5, received \"", interpolation,
            "\"");
  c.out(c.dtype(0), {x[0], height, width, x[3]});
}

}  // namespace

void infer(const resize& op, Infer& c) { infer_resize(c, op.height, op.width, op.interpolation); }

void run(const resize& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const auto rows = axis_terms<T>(c, c.shape(0)[1], op.height, op.interpolation, op.antialias);
    const auto columns = axis_terms<T>(c, c.shape(0)[2], op.width, op.interpolation, op.antialias);
    resize_images(c, rows, columns);
  });
}

// height and width are those of the images that were resized.
void infer(const resize_grad& op, Infer& c) { infer_resize(c, op.height, op.width, op.interpolation); }

void run(const resize_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const auto rows = axis_terms<T>(c, op.height, c.shape(0)[1], op.interpolation, op.antialias);
    const auto columns = axis_terms<T>(c, op.width, c.shape(0)[2], op.interpolation, op.antialias);
    resize_images(c, transposed(c, rows, op.height), transposed(c, columns, op.width));
  });
}

}  // namespace kcore::ops
