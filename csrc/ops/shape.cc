// Ops that move elements and compute nothing. All but reshape are one strided copy; full fills.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/parallel.h"
#include "ops/op.h"
#include "ops/stream.h"

namespace kcore {
namespace {

constexpr int kMax = Shape::kMaxRank;
constexpr std::int64_t kBlock = 1 << 16;  // bytes of a block of work

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

  // The dimension that is contiguous in x where the innermost one of y is not; -1 if there is none.
  int contiguous_source() const {
    if (from[rank - 1] == 1 || to[rank - 1] != 1) return -1;
    for (int d = 0; d < rank - 1; ++d)
      if (from[d] == 1) return d;
    return -1;
  }

  std::int64_t size() const {
    std::int64_t n = 1;
    for (int d = 0; d < rank; ++d) n *= dims[d];
    return n;
  }

  // Offsets in x and y of an index into the dimensions below `end`, without `skipped`.
  void offsets_of(std::int64_t index, int end, int skipped, std::int64_t& i, std::int64_t& o) const {
    i = o = 0;
    for (int d = end - 1; d >= 0; --d) {
      if (d == skipped) continue;
      i += index % dims[d] * from[d], o += index % dims[d] * to[d];
      index /= dims[d];
    }
  }

  // A transpose of `across` and the innermost dimension, for each index of the others.
  void run_transposed(const char* x, char* y, std::int64_t size_of_element, int across, bool around) const {
    constexpr std::int64_t kRows = 64, kColumns = 1024;  // of a block of work
    const auto function = kernels::copy().transpose[std::countr_zero(static_cast<unsigned>(size_of_element))];
    const int inner = rank - 1;
    const std::int64_t rows = dims[across], columns = dims[inner], step = rows > columns ? kColumns : kRows,
                       across_step = rows > columns ? kRows : kColumns;
    const std::int64_t strips = (rows + step - 1) / step, parts = (columns + across_step - 1) / across_step;
    const std::int64_t blocks = size() / (rows * columns) * strips * parts;
    const double work = static_cast<double>(std::min(step, rows) * std::min(across_step, columns));
    parallel_ranges(blocks, grain_for(0.5 * work), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const std::int64_t r = block / parts % strips * step, c = block % parts * across_step;
        std::int64_t i, o;
        offsets_of(block / parts / strips, inner, across, i, o);
        i += r + c * from[inner], o += r * to[across] + c;
        function(x + i * size_of_element, from[inner], y + o * size_of_element, to[across], std::min(step, rows - r),
                 std::min(across_step, columns - c), around);
      }
    });
  }

  // Rows that are contiguous in both: as many at a time as one dimension holds.
  void run_rows(const char* x, char* y, std::int64_t size_of_element, bool around) const {
    const int inner = rank - 1;
    const std::int64_t n = dims[inner], row = n * size_of_element;
    if (inner == 0 || n * dims[inner - 1] == size()) {
      // One or two dimensions: cut anywhere in rows that are long.
      const std::int64_t rows = inner == 0 ? 1 : dims[0], xs = inner == 0 ? 0 : from[0], ys = inner == 0 ? 0 : to[0];
      const std::int64_t grain = std::max<std::int64_t>(kBlock / size_of_element, 1);
      if (n > grain) {
        const std::int64_t parts = (n + grain - 1) / grain;
        parallel_for(rows * parts, [&](std::int64_t task) {
          const std::int64_t r = task / parts, c = task % parts * grain;
          kernels::copy().rows(x + (r * xs + c) * size_of_element, 0, y + (r * ys + c) * size_of_element, 0, 1,
                               std::min(grain, n - c) * size_of_element, around);
        });
        return;
      }
    }
    const std::int64_t height = inner == 0 ? 1 : dims[inner - 1];
    const std::int64_t xs = inner == 0 ? 0 : from[inner - 1], ys = inner == 0 ? 0 : to[inner - 1];
    parallel_ranges(size() / n, std::max<std::int64_t>(1, kBlock / row), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end;) {
        const std::int64_t in = r % height, count = std::min(height - in, end - r);
        std::int64_t i, o;
        offsets_of(r / height, inner - 1, -1, i, o);
        i += in * xs, o += in * ys;
        kernels::copy().rows(x + i * size_of_element, xs * size_of_element, y + o * size_of_element,
                             ys * size_of_element, count, row, around);
        r += count;
      }
    });
  }

  // Any strides in the innermost dimension.
  template <class T>
  void run_elements(const T* x, T* y) const {
    const int inner = rank - 1;
    const std::int64_t n = dims[inner];
    parallel_ranges(size() / n, grain_for(0.5 * static_cast<double>(n)), [&](std::int64_t begin, std::int64_t end) {
      std::int64_t index[kMax] = {}, rest = begin;
      for (int d = inner - 1; d >= 0; rest /= dims[d--]) index[d] = rest % dims[d];
      for (std::int64_t r = begin; r < end; ++r) {
        std::int64_t i = 0, o = 0;
        for (int d = 0; d < inner; ++d) i += index[d] * from[d], o += index[d] * to[d];
        if (from[inner] == 0 && to[inner] == 1)
          std::fill_n(y + o, n, x[i]);
        else
          for (std::int64_t k = 0; k < n; ++k) y[o + k * to[inner]] = x[i + k * from[inner]];
        for (int d = inner - 1; d >= 0 && ++index[d] == dims[d]; --d) index[d] = 0;
      }
    });
  }

  void run(const void* x_, void* y_, std::int64_t size_of_element) const {
    auto* x = static_cast<const char*>(x_);
    auto* y = static_cast<char*>(y_);
    const bool around = exceeds_cache(2 * size() * size_of_element);
    if (rank == 0)
      std::memcpy(y, x, static_cast<std::size_t>(size_of_element));
    else if (const int across = contiguous_source(); across >= 0)
      run_transposed(x, y, size_of_element, across, around);
    else if (from[rank - 1] == 1 && to[rank - 1] == 1)
      run_rows(x, y, size_of_element, around);
    else if (size_of_element == 1)
      run_elements(reinterpret_cast<const std::uint8_t*>(x), reinterpret_cast<std::uint8_t*>(y));
    else if (size_of_element == 2)
      run_elements(reinterpret_cast<const std::uint16_t*>(x), reinterpret_cast<std::uint16_t*>(y));
    else if (size_of_element == 4)
      run_elements(reinterpret_cast<const std::uint32_t*>(x), reinterpret_cast<std::uint32_t*>(y));
    else
      run_elements(reinterpret_cast<const std::uint64_t*>(x), reinterpret_cast<std::uint64_t*>(y));
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
  if (!exceeds_cache(n * static_cast<std::int64_t>(sizeof(T)))) {
    parallel_ranges(n, grain_for(0.2),
                    [&](std::int64_t begin, std::int64_t end) { std::fill(y + begin, y + end, value); });
    return;
  }
  constexpr std::int64_t per_block = stream_count(sizeof(T));
  alignas(64) T block[per_block];
  std::fill_n(block, per_block, value);
  parallel_ranges(n, 64 * per_block, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i += per_block)
      kernels::copy().stream_out(y + i, block, std::min(per_block, end - i) * static_cast<std::int64_t>(sizeof(T)),
                                 nullptr, 0);
    kernels::copy().stream_end();
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
