// Resampling of images: checks, the weights of a resize, and the split over images and rows.
#include "kernels/image/image.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
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

// Output j has its centre at (j + 1/2) in / out - 1/2 of the input. Weights are normalized, over the pixels that exist;
// with antialiasing a shrinking axis widens the kernel.
template <class T>
AxisWeights<T> axis_weights(Run& c, std::int64_t size_in, std::int64_t size_out, const std::string& interpolation,
                            bool antialias) {
  const double scale = static_cast<double>(size_in) / static_cast<double>(size_out);
  auto* first = c.scratch<std::int32_t>(size_out);
  if (interpolation == "nearest") {
    T* ones = c.scratch<T>(size_out);
    for (std::int64_t j = 0; j < size_out; ++j) {
      const auto at = static_cast<std::int64_t>(std::floor((static_cast<double>(j) + 0.5) * scale));
      first[j] = static_cast<std::int32_t>(std::min(at, size_in - 1));
      ones[j] = T(1);
    }
    return {size_in, size_out, 1, first, ones};
  }
  const Filter filter = parse_filter(interpolation);
  const double stretch = antialias ? std::max(1.0, scale) : 1.0, radius = filter.radius * stretch;
  const auto taps = std::min<std::int64_t>(size_in, 2 * static_cast<std::int64_t>(std::ceil(radius)) + 1);
  T* weights = c.scratch<T>(size_out * taps);
  for (std::int64_t j = 0; j < size_out; ++j) {
    const double centre = (static_cast<double>(j) + 0.5) * scale - 0.5;
    const auto lowest = static_cast<std::int64_t>(std::ceil(centre - radius));
    const std::int64_t start = std::clamp<std::int64_t>(lowest, 0, size_in - taps);
    double sum = 0;
    for (std::int64_t t = 0; t < taps; ++t) sum += filter.value((static_cast<double>(start + t) - centre) / stretch);
    for (std::int64_t t = 0; t < taps; ++t)
      weights[j * taps + t] = static_cast<T>(filter.value((static_cast<double>(start + t) - centre) / stretch) / sum);
    first[j] = static_cast<std::int32_t>(start);
  }
  return {size_in, size_out, taps, first, weights};
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
    const Shape& x = c.shape(0);
    const auto rows = axis_weights<T>(c, x[1], op.height, op.interpolation, op.antialias);
    const auto columns = axis_weights<T>(c, x[2], op.width, op.interpolation, op.antialias);
    const std::int64_t row_in = x[2] * x[3], row_out = op.width * x[3];
    T* narrowed = c.scratch<T>(x[0] * op.height * row_in);
    for_images(x[0], std::max(x.count(1, 4), c.out(0).shape.count(1, 4)), [&](std::int64_t n) {
      T* part = narrowed + n * op.height * row_in;
      resample<T>().along_axis(rows, row_in, c.input<T>(0) + n * x[1] * row_in, part);
      for (std::int64_t i = 0; i < op.height; ++i)
        resample<T>().along_axis(columns, x[3], part + i * row_in, c.output<T>(0) + (n * op.height + i) * row_out);
    });
  });
}

// height and width are those of the images that were resized.
void infer(const resize_grad& op, Infer& c) { infer_resize(c, op.height, op.width, op.interpolation); }

void run(const resize_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const Shape& dy = c.shape(0);
    const auto rows = axis_weights<T>(c, op.height, dy[1], op.interpolation, op.antialias);
    const auto columns = axis_weights<T>(c, op.width, dy[2], op.interpolation, op.antialias);
    const std::int64_t row_in = op.width * dy[3], row_out = dy[2] * dy[3];
    T* narrowed = c.scratch<T>(dy[0] * dy[1] * row_in);
    for_images(dy[0], std::max(dy.count(1, 4), c.out(0).shape.count(1, 4)), [&](std::int64_t n) {
      T* part = narrowed + n * dy[1] * row_in;
      for (std::int64_t i = 0; i < dy[1]; ++i)
        resample<T>().along_axis_grad(columns, dy[3], c.input<T>(0) + (n * dy[1] + i) * row_out, part + i * row_in);
      resample<T>().along_axis_grad(rows, row_in, part, c.output<T>(0) + n * op.height * row_in);
    });
  });
}

}  // namespace kcore::ops
