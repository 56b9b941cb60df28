// Pooling. The gradients are ops: max_pool_grad and max_pool_take are each other's transposes (one adds, the other
// reads where the forward pass found the maxima), and so are average_pool and average_pool_grad.
#include "kernels/pool/pool.h"

#include <algorithm>

#include "base/cache.h"
#include "base/parallel.h"
#include "base/scratch.h"
#include "ops/op.h"

namespace kcore::ops {
namespace {

using kernels::PoolShape;

constexpr std::int64_t kGrain = 1 << 15;  // elements of x read by one block
constexpr std::int64_t kSlab = 1 << 16;   // elements of x in one block of a gradient; windows that reach over are few

// Checks x (N, spatial..., C) and the attributes; returns the shape of y.
template <class Op>
Shape pooled(const Op& op, Infer& c, const Shape& x) {
  const int dims = x.rank() - 2;
  c.require(dims >= 1 && dims <= 3,
            "expected an input of 3 to 5 dimensions (batch, 1 to 3 spatial, channels), received shape ", x);
  const auto check = [&](const Ints& values, const char* name, int size) {
    c.require(static_cast<int>(values.size()) == size, "expected ", size, " values of ", name, ", received ",
              values.size(), "; the input has shape ", x);
  };
  check(op.window, "window", dims);
  check(op.strides, "strides", dims);
  check(op.pads, "pads", 2 * dims);
  Shape y{x[0]};
  for (int i = 0; i < dims; ++i) {
    const std::int64_t window = op.window[i], stride = op.strides[i], before = op.pads[2 * i],
                       after = op.pads[2 * i + 1];
    c.require(window >= 1 && window <= (std::int64_t{1} << 31), "expected a window of at least 1, received ", window);
    c.require(stride >= 1 && stride <= (std::int64_t{1} << 31), "expected strides of at least 1, received ", stride);
    c.require(before >= 0 && after >= 0 && before < window && after < window,
              "expected pads from 0 to less than the window of ", window, ", received (", before, ", ", after, ")");
    const std::int64_t padded = x[1 + i] + before + after;
    c.require(x[1 + i] >= 1 && padded >= window, "expected a window no larger than the padded input, received window ",
              window, " for length ", padded, " along dimension ", 1 + i, " of ", x);
    y.push_back((padded - window) / stride + 1);
  }
  y.push_back(x.last());
  return y;
}

template <class Op>
PoolShape pool_shape(const Op& op, const Shape& x, const Shape& y) {
  PoolShape s;
  const int dims = x.rank() - 2, missing = 3 - dims;
  for (int i = 0; i < 3; ++i) {
    const int d = i - missing;
    s.in[i] = d < 0 ? 1 : x[1 + d];
    s.out[i] = d < 0 ? 1 : y[1 + d];
    s.window[i] = d < 0 ? 1 : op.window[d];
    s.stride[i] = d < 0 ? 1 : op.strides[d];
    s.before[i] = d < 0 ? 0 : op.pads[2 * d];
  }
  s.channels = x.last();
  return s;
}

std::int64_t image_size(const Shape& shape) { return shape.count(1, shape.rank()); }

// body(image, first row, last row): images times rows of the output, in blocks.
template <class Body>
void for_rows(const PoolShape& s, std::int64_t images, const Body& body) {
  const std::int64_t rows = s.out[0] * s.out[1];
  const std::int64_t cost = s.out[2] * s.window[0] * s.window[1] * s.window[2] * s.channels;
  parallel_ranges(images * rows, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(cost, 1)),
                  [&](std::int64_t begin, std::int64_t end) {
                    while (begin < end) {
                      const std::int64_t image = begin / rows, stop = std::min(end, (image + 1) * rows);
                      body(image, begin - image * rows, stop - image * rows);
                      begin = stop;
                    }
                  });
}

// body(image, first output, last output): images times slabs of a gradient.
template <class Body>
void for_slabs(const PoolShape& s, std::int64_t images, const Body& body) {
  const int dim = s.slab_dim();
  const std::int64_t line = std::max<std::int64_t>(1, s.in[0] * s.in[1] * s.in[2] * s.channels / s.in[dim]);
  const std::int64_t grain = std::max<std::int64_t>(1, kSlab / (line * std::min(s.stride[dim], s.in[dim])));
  const std::int64_t slabs = (s.out[dim] + grain - 1) / grain;
  // Small images go together.
  const std::int64_t several = std::max<std::int64_t>(1, kGrain / (line * (s.in[dim] + slabs - 1) / slabs));
  parallel_ranges(images * slabs, several, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t begin = i % slabs * grain, end = std::min(begin + grain, s.out[dim]);
      body(i / slabs, begin, end);
    }
  });
}

bool streams(const TensorSpec& a, const TensorSpec& b) {
  return exceeds_cache((a.shape.size() + b.shape.size()) * size_of(a.dtype));
}

int table_index(DType dtype) { return dtype == DType::float64; }

// How positions in windows are kept: bytes where these hold them all.
template <class Op>
DType position_dtype(const Op& op, Infer& c) {
  std::int64_t positions = 1;
  for (std::int64_t window : op.window) positions = std::min(positions, std::int64_t{1} << 31) * window;
  c.require(positions < std::int64_t{1} << 31, "expected windows of less than 2^31 positions, received ", positions);
  return positions <= kernels::kBytePositions ? DType::uint8 : DType::int32;
}
int position_index(DType dtype) { return dtype == DType::int32; }

void run_forward(const PoolShape& s, kernels::PoolRows kernel, Run& c) {
  const std::int64_t size = size_of(c.dtype(0)), of_x = image_size(c.shape(0)), of_y = image_size(c.out(0).shape);
  const bool stream = streams(c.in(0), c.out(0));
  for_rows(s, c.shape(0)[0], [&](std::int64_t image, std::int64_t begin, std::int64_t end) {
    kernel(s, c.input<char>(0) + image * of_x * size, begin, end, c.output<char>(0) + image * of_y * size, stream);
  });
}

// Checks dy and the sizes of x; returns its shape.
template <class Op>
Shape unpooled(const Op& op, Infer& c) {
  c.require_floating(0);
  const Shape& dy = c.shape(0);
  c.require(dy.rank() >= 3, "expected dy of 3 to 5 dimensions, received shape ", dy);
  c.require(static_cast<int>(op.size.size()) == dy.rank() - 2, "expected ", dy.rank() - 2, " values of size, received ",
            op.size.size());
  Shape x{dy[0]};
  for (std::int64_t length : op.size) {
    c.require(length >= 1 && length <= (std::int64_t{1} << 40), "expected sizes of at least 1, received ", length);
    x.push_back(length);
  }
  x.push_back(dy.last());
  c.require_shape(0, pooled(op, c, x));
  return x;
}

}  // namespace

void infer(const max_pool& op, Infer& c) {
  c.require_floating(0);
  const Shape y = pooled(op, c, c.shape(0));
  c.out(c.dtype(0), y);
  c.out(op.caches ? position_dtype(op, c) : DType::uint8, op.caches ? y : Shape{0});
}
void run(const max_pool& op, Run& c) {
  const Shape &x = c.shape(0), &y = c.out(0).shape;
  const PoolShape s = pool_shape(op, x, y);
  const int table = table_index(c.dtype(0));
  if (!op.caches) return run_forward(s, kernels::pool().max[table], c);
  const std::int64_t size = size_of(c.dtype(0)), position_size = size_of(c.out(1).dtype);
  const bool stream = streams(c.in(0), c.out(0));
  auto kernel = kernels::pool().find_max[table][position_index(c.out(1).dtype)];
  for_rows(s, x[0], [&](std::int64_t image, std::int64_t begin, std::int64_t end) {
    const std::int64_t to = image * image_size(y);
    kernel(s, c.input<char>(0) + image * image_size(x) * size, begin, end, c.output<char>(0) + to * size,
           c.output<char>(1) + to * position_size, stream);
  });
}

void infer(const average_pool& op, Infer& c) {
  c.require_floating(0);
  c.out(c.dtype(0), pooled(op, c, c.shape(0)));
}
void run(const average_pool& op, Run& c) {
  run_forward(pool_shape(op, c.shape(0), c.out(0).shape), kernels::pool().average[table_index(c.dtype(0))], c);
}

void infer(const max_pool_grad& op, Infer& c) {
  const Shape x = unpooled(op, c);
  c.require_dtype(1, position_dtype(op, c));
  c.require_shape(1, c.shape(0));
  c.out(c.dtype(0), x);
}
void run(const max_pool_grad& op, Run& c) {
  const Shape &y = c.shape(0), &x = c.out(0).shape;
  const PoolShape s = pool_shape(op, x, y);
  const std::int64_t size = size_of(c.dtype(0)), position_size = size_of(c.dtype(1));
  auto kernel = kernels::pool().max_grad[table_index(c.dtype(0))][position_index(c.dtype(1))];
  const bool stream = streams(c.in(0), c.out(0));
  for_slabs(s, x[0], [&](std::int64_t image, std::int64_t begin, std::int64_t end) {
    const std::int64_t from = image * image_size(y);
    kernel(s, c.input<char>(0) + from * size, c.input<char>(1) + from * position_size, begin, end,
           c.output<char>(0) + image * image_size(x) * size, stream);
  });
}

void infer(const max_pool_take& op, Infer& c) {
  c.require_floating(0);
  const Shape y = pooled(op, c, c.shape(0));
  c.require_dtype(1, position_dtype(op, c));
  c.require_shape(1, y);
  c.out(c.dtype(0), y);
}
void run(const max_pool_take& op, Run& c) {
  const Shape &x = c.shape(0), &y = c.out(0).shape;
  const PoolShape s = pool_shape(op, x, y);
  const std::int64_t size = size_of(c.dtype(0)), position_size = size_of(c.dtype(1));
  auto kernel = kernels::pool().take[table_index(c.dtype(0))][position_index(c.dtype(1))];
  for_rows(s, x[0], [&](std::int64_t image, std::int64_t begin, std::int64_t end) {
    const std::int64_t to = image * image_size(y);
    kernel(s, c.input<char>(0) + image * image_size(x) * size, c.input<char>(1) + to * position_size, begin, end,
           c.output<char>(0) + to * size);
  });
}

void infer(const average_pool_grad& op, Infer& c) { c.out(c.dtype(0), unpooled(op, c)); }
void run(const average_pool_grad& op, Run& c) {
  const Shape &y = c.shape(0), &x = c.out(0).shape;
  const PoolShape s = pool_shape(op, x, y);
  const std::int64_t size = size_of(c.dtype(0));
  auto kernel = kernels::pool().average_grad[table_index(c.dtype(0))];
  const bool stream = streams(c.in(0), c.out(0));
  for_slabs(s, x[0], [&](std::int64_t image, std::int64_t begin, std::int64_t end) {
    kernel(s, c.input<char>(0) + image * image_size(y) * size, begin, end,
           c.output<char>(0) + image * image_size(x) * size, stream,
           thread_scratch(static_cast<std::size_t>(s.slab_size(begin, end) * size)));
  });
}

}  // namespace kcore::ops
