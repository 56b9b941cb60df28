// Ops that move elements and compute nothing. All but reshape are one strided copy; full fills.
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/parallel.h"
#include "ops/op.h"

namespace kcore {
namespace {

constexpr int kMax = Shape::kMaxRank;

// y[sum index_d * to_d] = x[sum index_d * from_d] over all indices of a shape; strides count elements.
struct StridedCopy {
  int rank = 0;
  std::int64_t dims[kMax], from[kMax], to[kMax];

  void add(std::int64_t dim, std::int64_t from_stride, std::int64_t to_stride) {
    if (dim == 1) return;
    // A dimension that continues the one before it on both sides is merged into it.
    if (rank && from[rank - 1] == from_stride * dim && to[rank - 1] == to_stride * dim) {
      dims[rank - 1] *= dim;
      from[rank - 1] = from_stride;
      to[rank - 1] = to_stride;
      return;
    }
    dims[rank] = dim;
    from[rank] = from_stride;
    to[rank++] = to_stride;
  }

  template <class T>
  void copy_row(const T* x, T* y, std::int64_t n, std::int64_t from_stride, std::int64_t to_stride) const {
    if (from_stride == 1 && to_stride == 1)
      std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(T));
    else
      for (std::int64_t i = 0; i < n; ++i) y[i * to_stride] = x[i * from_stride];
  }

  // The dimension that is contiguous in x where the innermost one of y is not; -1 if there is none worth a tile.
  int contiguous_source() const {
    if (from[rank - 1] == 1) return -1;
    for (int d = 0; d < rank - 1; ++d)
      if (from[d] == 1 && dims[d] >= 4) return d;
    return -1;
  }

  // A transpose: tile by tile, so that the lines read and the lines written both stay in L1 until they are used up.
  template <class T>
  void run_tiled(const T* x, T* y, int across) const {
    constexpr std::int64_t kTile = 128 / sizeof(T);
    const int inner = rank - 1;
    const std::int64_t rows = dims[across], columns = dims[inner], strips = (rows + kTile - 1) / kTile;
    std::int64_t outer = 1;
    for (int d = 0; d < inner; ++d)
      if (d != across) outer *= dims[d];
    parallel_ranges(outer * strips, grain_for(static_cast<double>(kTile * columns)),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t block = begin; block < end; ++block) {
                        std::int64_t rest = block / strips, i = 0, o = 0;
                        for (int d = inner - 1; d >= 0; --d) {
                          if (d == across) continue;
                          i += rest % dims[d] * from[d], o += rest % dims[d] * to[d];
                          rest /= dims[d];
                        }
                        const std::int64_t r0 = block % strips * kTile, r1 = std::min(r0 + kTile, rows);
                        for (std::int64_t c0 = 0; c0 < columns; c0 += kTile) {
                          const std::int64_t c1 = std::min(c0 + kTile, columns);
                          for (std::int64_t r = r0; r < r1; ++r)
                            for (std::int64_t c = c0; c < c1; ++c)
                              y[o + r * to[across] + c * to[inner]] = x[i + r + c * from[inner]];
                        }
                      }
                    });
  }

  template <class T>
  void run_as(const T* x, T* y) const {
    if (rank == 0) {
      *y = *x;
      return;
    }
    if (const int across = contiguous_source(); across >= 0) return run_tiled(x, y, across);
    const int inner = rank - 1;
    std::int64_t rows = 1;
    for (int d = 0; d < inner; ++d) rows *= dims[d];
    const std::int64_t n = dims[inner];
    parallel_ranges(rows, grain_for(0.5 * static_cast<double>(n)), [&](std::int64_t begin, std::int64_t end) {
      std::int64_t index[kMax] = {}, rest = begin;
      for (int d = inner - 1; d >= 0; rest /= dims[d--]) index[d] = rest % dims[d];
      for (std::int64_t r = begin; r < end; ++r) {
        std::int64_t i = 0, o = 0;
        for (int d = 0; d < inner; ++d) i += index[d] * from[d], o += index[d] * to[d];
        copy_row(x + i, y + o, n, from[inner], to[inner]);
        for (int d = inner - 1; d >= 0 && ++index[d] == dims[d]; --d) index[d] = 0;
      }
    });
  }

  void run(const void* x, void* y, std::int64_t element_size) const {
    if (element_size == 1)
      run_as(static_cast<const std::uint8_t*>(x), static_cast<std::uint8_t*>(y));
    else if (element_size == 2)
      run_as(static_cast<const std::uint16_t*>(x), static_cast<std::uint16_t*>(y));
    else if (element_size == 4)
      run_as(static_cast<const std::uint32_t*>(x), static_cast<std::uint32_t*>(y));
    else
      run_as(static_cast<const std::uint64_t*>(x), static_cast<std::uint64_t*>(y));
  }
};

std::int64_t stride_of(const Shape& shape, int d) { return shape.count(d + 1, shape.rank()); }

template <class T>
T saturate(double value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else {
    const double low = static_cast<double>(std::numeric_limits<T>::min());
    const double high = static_cast<double>(std::numeric_limits<T>::max());
    if (!(value > low)) return std::numeric_limits<T>::min();
    return value >= high ? std::numeric_limits<T>::max() : static_cast<T>(value);
  }
}

template <class T>
void fill(T* y, std::int64_t n, T value) {
  parallel_ranges(n, grain_for(0.2), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) y[i] = value;
  });
}

void fill(void* data, const TensorSpec& spec, double value) {
  if (spec.dtype == DType::bfloat16)
    return fill(static_cast<bfloat16*>(data), spec.shape.size(), bfloat16(static_cast<float>(value)));
  for_dtype(spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    fill(static_cast<T*>(data), spec.shape.size(), saturate<T>(value));
  });
}

// A shape given as an attribute: not negative, and small enough that its size fits.
Shape attribute_shape(const Infer& c, const Ints& dims) {
  c.require(dims.size() <= static_cast<std::size_t>(kMax), "expected a shape of at most 8 dimensions, received ",
            dims.size());
  Shape shape;
  double size = 1;
  for (std::int64_t dim : dims) {
    c.require(dim >= 0, "expected a shape without negative dimensions, received ", dim);
    shape.push_back(dim);
    size *= static_cast<double>(dim);
  }
  c.require(size < 1e15, "expected a shape of fewer than 1e15 elements, received ", shape);
  return shape;
}

// start, size, step of a window of `size` elements inside `shape`.
void require_window(const Infer& c, const Shape& shape, const Ints& start, const Shape& size, const Ints& step) {
  const auto rank = static_cast<std::size_t>(shape.rank());
  c.require(start.size() == rank && step.size() == rank && size.rank() == shape.rank(),
            "expected start, size and step of length ", rank, ", received ", start.size(), ", ", size.rank(), " and ",
            step.size());
  for (int d = 0; d < shape.rank(); ++d) {
    if (size[d] == 0) continue;
    const std::int64_t first = start[static_cast<std::size_t>(d)], by = step[static_cast<std::size_t>(d)];
    c.require(by != 0, "expected a step other than 0 in dimension ", d);
    // |by| < 2^31 and size < 2^50 keep the product in range.
    c.require(by > -(std::int64_t{1} << 31) && by < (std::int64_t{1} << 31) && size[d] <= shape[d],
              "expected a window inside shape ", shape, ", received size ", size, " in dimension ", d);
    const std::int64_t last = first + (size[d] - 1) * by;
    c.require(first >= 0 && first < shape[d] && last >= 0 && last < shape[d], "expected indices in [0, ", shape[d],
              ") in dimension ", d, ", received ", first, " to ", last);
  }
}

}  // namespace

namespace ops {

// One dimension may be -1: whatever is left.
void infer(const reshape& op, Infer& c) {
  std::int64_t known = 1;
  int open = -1;
  Ints dims = op.shape;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == -1) {
      c.require(open < 0, "expected at most one dimension of -1");
      open = static_cast<int>(i);
      dims[i] = 1;
    }
  }
  Shape shape = attribute_shape(c, dims);
  known = shape.size();
  if (open >= 0) {
    c.require(known > 0 && c.shape(0).size() % known == 0, "expected a shape of ", c.shape(0).size(),
              " elements for input of shape ", c.shape(0), ", received ", shape, " with dimension ", open, " open");
    shape[open] = c.shape(0).size() / known;
  }
  c.require(shape.size() == c.shape(0).size(), "expected a shape of ", c.shape(0).size(),
            " elements for input of shape ", c.shape(0), ", received ", shape, " of ", shape.size());
  c.out(c.dtype(0), shape);
}
void run(const reshape&, Run& c) {
  const auto bytes = c.shape(0).size() * size_of(c.dtype(0));
  if (c.output(0) != c.input(0)) std::memcpy(c.output(0), c.input(0), static_cast<std::size_t>(bytes));
}

void infer(const transpose& op, Infer& c) {
  const Shape& x = c.shape(0);
  c.require(op.axes.size() == static_cast<std::size_t>(x.rank()), "expected ", x.rank(), " axes for input of shape ", x,
            ", received ", op.axes.size());
  Shape y;
  bool seen[kMax] = {};
  for (std::int64_t axis : op.axes) {
    c.require(axis >= 0 && axis < x.rank() && !seen[axis], "expected axes to be a permutation of 0..", x.rank() - 1,
              ", received ", axis, " twice or out of range");
    seen[axis] = true;
    y.push_back(x[static_cast<int>(axis)]);
  }
  c.out(c.dtype(0), y);
}
void run(const transpose& op, Run& c) {
  const Shape &x = c.shape(0), &y = c.out(0).shape;
  StridedCopy copy;
  for (int d = 0; d < y.rank(); ++d)
    copy.add(y[d], stride_of(x, static_cast<int>(op.axes[static_cast<std::size_t>(d)])), stride_of(y, d));
  copy.run(c.input(0), c.output(0), size_of(c.dtype(0)));
}

void infer(const broadcast_to& op, Infer& c) {
  const Shape y = attribute_shape(c, op.shape);
  c.require(c.shape(0).rank() <= y.rank() && c.broadcast(c.shape(0), y) == y, "cannot broadcast input of shape ",
            c.shape(0), " to ", y);
  c.out(c.dtype(0), y);
}
void run(const broadcast_to&, Run& c) {
  const Shape &x = c.shape(0), &y = c.out(0).shape;
  StridedCopy copy;
  for (int d = 0; d < y.rank(); ++d) {
    const int i = d - (y.rank() - x.rank());
    copy.add(y[d], i < 0 || x[i] == 1 ? 0 : stride_of(x, i), stride_of(y, d));
  }
  copy.run(c.input(0), c.output(0), size_of(c.dtype(0)));
}

void infer(const concat& op, Infer& c) {
  c.require_same_dtype();
  Shape y = c.shape(0);
  c.require(y.rank() > 0, "expected tensors of at least one dimension, received shape ", y);
  const int axis = c.axis(op.axis, y.rank());
  for (int i = 1; i < c.size(); ++i) {
    const Shape& x = c.shape(i);
    bool same = x.rank() == y.rank();
    for (int d = 0; same && d < y.rank(); ++d) same = d == axis || x[d] == y[d];
    c.require(same, "expected inputs of equal shape but for axis ", axis, ", received ", c.shape(0), " and ", x);
    y[axis] += x[axis];
  }
  c.out(c.dtype(0), y);
}
void run(const concat& op, Run& c) {
  const Shape& y = c.out(0).shape;
  const std::int64_t size = size_of(c.dtype(0));
  const int axis = static_cast<int>(op.axis < 0 ? op.axis + y.rank() : op.axis);
  const std::int64_t outer = y.count(0, axis), inner = stride_of(y, axis), row = y[axis] * inner;
  char* out = c.output<char>(0);
  for (int i = 0; i < c.size(); ++i) {
    const std::int64_t n = c.shape(i)[axis] * inner;
    if (n == 0 || outer == 0) continue;
    StridedCopy copy;
    copy.add(outer, n, row);
    copy.add(n, 1, 1);
    copy.run(c.input(i), out, size);
    out += n * size;
  }
}

void infer(const slice& op, Infer& c) {
  const Shape size = attribute_shape(c, op.size);
  require_window(c, c.shape(0), op.start, size, op.step);
  c.out(c.dtype(0), size);
}
void run(const slice& op, Run& c) {
  const Shape &x = c.shape(0), &y = c.out(0).shape;
  StridedCopy copy;
  std::int64_t begin = 0;
  for (int d = 0; d < x.rank(); ++d) {
    const std::int64_t stride = stride_of(x, d);
    begin += op.start[static_cast<std::size_t>(d)] * stride;
    copy.add(y[d], stride * op.step[static_cast<std::size_t>(d)], stride_of(y, d));
  }
  const std::int64_t size = size_of(c.dtype(0));
  copy.run(c.input<char>(0) + begin * size, c.output(0), size);
}

// The adjoint of slice, and padding: x at start, start + step, ... of an array full of `value`.
void infer(const place& op, Infer& c) {
  const Shape y = attribute_shape(c, op.shape);
  require_window(c, y, op.start, c.shape(0), op.step);
  c.out(c.dtype(0), y);
}
void run(const place& op, Run& c) {
  const Shape &x = c.shape(0), &y = c.out(0).shape;
  fill(c.output(0), c.out(0), op.value);
  if (x.size() == 0) return;
  StridedCopy copy;
  std::int64_t begin = 0;
  for (int d = 0; d < x.rank(); ++d) {
    const std::int64_t stride = stride_of(y, d);
    begin += op.start[static_cast<std::size_t>(d)] * stride;
    copy.add(x[d], stride_of(x, d), stride * op.step[static_cast<std::size_t>(d)]);
  }
  const std::int64_t size = size_of(c.dtype(0));
  copy.run(c.input(0), c.output<char>(0) + begin * size, size);
}

// x moved by `shift` along an axis; what falls off one end comes back at the other.
void infer(const roll& op, Infer& c) {
  c.axis(op.axis, c.shape(0).rank());
  c.out(c.in(0));
}
void run(const roll& op, Run& c) {
  const Shape& x = c.shape(0);
  const int axis = static_cast<int>(op.axis < 0 ? op.axis + x.rank() : op.axis);
  const std::int64_t n = x[axis], inner = stride_of(x, axis), outer = x.count(0, axis);
  const std::int64_t by = (op.shift % n + n) % n, size = size_of(c.dtype(0));
  // Two blocks change places: the last `by` slices come first.
  const auto move = [&](std::int64_t from, std::int64_t to, std::int64_t count) {
    if (count == 0) return;
    StridedCopy copy;
    copy.add(outer, n * inner, n * inner);
    copy.add(count * inner, 1, 1);
    copy.run(c.input<char>(0) + from * inner * size, c.output<char>(0) + to * inner * size, size);
  };
  move(n - by, 0, by);
  move(0, by, n - by);
}

void infer(const full& op, Infer& c) { c.out(op.dtype, attribute_shape(c, op.shape)); }
void run(const full& op, Run& c) { fill(c.output(0), c.out(0), op.value); }

}  // namespace ops
}  // namespace kcore
