// Gather and scatter. Values are checked before anything is written: an index outside its axis is an error that names
// it. Adjoints split the result, not the indices, among threads: sums are made in the order of the indices, always.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/cache.h"
#include "base/parallel.h"
#include "kernels/copy/copy.h"
#include "ops/op.h"

namespace kcore::ops {
namespace {

// The indices as int64, in [0, size). Fails for the first one outside [-size, size).
const std::int64_t* checked_indices(Run& c, int input, std::int64_t size, const char* what) {
  const std::int64_t n = c.shape(input).size();
  auto* out = c.scratch<std::int64_t>(n);
  for_dtype(c.dtype(input), [&](auto tag) {
    using T = decltype(tag);
    const T* indices = c.input<T>(input);
    std::atomic<bool> all_inside{true};
    parallel_ranges(n, grain_for(1), [&](std::int64_t begin, std::int64_t end) {
      bool inside = true;
      for (std::int64_t i = begin; i < end; ++i) {
        const auto index = static_cast<std::int64_t>(indices[i]);
        inside &= index >= -size && index < size;
        out[i] = index < 0 ? index + size : index;
      }
      if (!inside) all_inside = false;
    });
    if (all_inside) return;
    for (std::int64_t i = 0; i < n; ++i)
      if (out[i] < 0 || out[i] >= size)
        c.fail("expected indices in [", -size, ", ", size, ") for ", what, ", received ", indices[i], " at position ",
               i);
  });
  return out;
}

// An axis in the middle: outer x size x inner elements.
struct Split {
  std::int64_t outer, size, inner;
  Split(const Shape& shape, int axis)
      : outer(shape.count(0, axis)), size(shape[axis]), inner(shape.count(axis + 1, shape.rank())) {}
};

Shape replace(const Shape& shape, int axis, const Shape& middle) {
  Shape out(shape.begin(), axis);
  for (std::int64_t dim : middle) out.push_back(dim);
  for (int i = axis + 1; i < shape.rank(); ++i) out.push_back(shape[i]);
  return out;
}

int positive(std::int64_t axis, int rank) { return static_cast<int>(axis < 0 ? axis + rank : axis); }

// Calls body with an unsigned type as wide as the dtype: for ops that only move values.
template <class Body>
void for_width(DType dtype, Body&& body) {
  switch (size_of(dtype)) {
    case 1: return body(std::uint8_t{});
    case 2: return body(std::uint16_t{});
    case 4: return body(std::uint32_t{});
    default: return body(std::uint64_t{});
  }
}

}  // namespace

void infer(const take& op, Infer& c) {
  c.require_integer(1);
  const int axis = c.axis(op.axis, c.shape(0).rank());
  c.require(c.shape(0)[axis] > 0 || c.shape(1).size() == 0, "expected x with elements along axis ", axis,
            ", received shape ", c.shape(0));
  c.out(c.dtype(0), replace(c.shape(0), axis, c.shape(1)));
}

void run(const take& op, Run& c) {
  const int axis = positive(op.axis, c.shape(0).rank());
  const Split x(c.shape(0), axis);
  const std::int64_t n = c.shape(1).size();
  const std::int64_t* indices = checked_indices(c, 1, x.size, "the axis of x");
  for_width(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const T* from = c.input<T>(0);
    T* to = c.output<T>(0);
    const std::size_t bytes = static_cast<std::size_t>(x.inner) * sizeof(T);
    parallel_ranges(x.outer * n, grain_for(2 + 0.1 * static_cast<double>(bytes)),
                    [&](std::int64_t begin, std::int64_t end) {
                      std::int64_t o = begin / n, j = begin % n;
                      for (std::int64_t row = begin; row < end; ++row) {
                        const T* source = from + (o * x.size + indices[j]) * x.inner;
                        if (x.inner == 1)
                          to[row] = *source;
                        else
                          std::memcpy(to + row * x.inner, source, bytes);
                        if (++j == n) j = 0, ++o;
                      }
                    });
  });
}

void infer(const take_grad& op, Infer& c) {
  c.require_floating(0);
  c.require_integer(1);
  const int indices_rank = c.shape(1).rank(), rank = c.shape(0).rank() - indices_rank + 1;
  c.require(rank >= 1, "expected dy with the dimensions of indices ", c.shape(1), ", received ", c.shape(0));
  c.require(op.size >= 0, "expected size of 0 or more, received ", op.size);
  const int axis = c.axis(op.axis, rank);
  for (int i = 0; i < indices_rank; ++i)
    c.require(c.shape(0)[axis + i] == c.shape(1)[i], "expected dy with the dimensions of indices ", c.shape(1),
              " at axis ", axis, ", received ", c.shape(0));
  Shape out(c.shape(0).begin(), axis);
  out.push_back(op.size);
  for (int i = axis + indices_rank; i < c.shape(0).rank(); ++i) out.push_back(c.shape(0)[i]);
  c.out(c.dtype(0), out);
}

void run(const take_grad& op, Run& c) {
  const Split dx(c.out(0).shape, positive(op.axis, c.out(0).shape.rank()));
  const std::int64_t n = c.shape(1).size();
  const std::int64_t* indices = checked_indices(c, 1, dx.size, "the axis of x");
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    // A block owns a range of rows of dx and reads all indices, which costs n comparisons: a few blocks, by shape.
    const std::int64_t work = n * dx.inner;
    const std::int64_t blocks = dx.outer >= 8 || work < 16384 ? 1 : std::min<std::int64_t>(8, dx.size);
    const std::int64_t rows = (dx.size + blocks - 1) / blocks;
    const auto fill = [&](std::int64_t task) {
      const std::int64_t o = task / blocks, first = task % blocks * rows, last = std::min(first + rows, dx.size);
      if (first >= last) return;
      T* to = c.output<T>(0) + o * dx.size * dx.inner;
      std::fill(to + first * dx.inner, to + last * dx.inner, T(0));
      const T* dy = c.input<T>(0) + o * n * dx.inner;
      for (std::int64_t j = 0; j < n; ++j) {
        if (indices[j] < first || indices[j] >= last) continue;
        T* row = to + indices[j] * dx.inner;
        for (std::int64_t k = 0; k < dx.inner; ++k) row[k] += dy[j * dx.inner + k];
      }
    };
    const double cost = static_cast<double>(1 + n + (work + dx.size * dx.inner) / blocks);  // ns, about
    parallel_ranges(dx.outer * blocks, grain_for(cost), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t task = begin; task < end; ++task) fill(task);
    });
  });
}

namespace {

// indices must agree with x but for the axis.
int infer_along_axis(std::int64_t axis_attr, Infer& c, const char* x_name) {
  c.require_integer(1);
  const Shape &x = c.shape(0), &indices = c.shape(1);
  const int axis = c.axis(axis_attr, x.rank());
  bool same = x.rank() == indices.rank();
  for (int i = 0; same && i < x.rank(); ++i) same = i == axis || x[i] == indices[i];
  c.require(same, "expected indices with the shape of ", x_name, ", ", x, ", but for axis ", axis, ", received ",
            indices);
  return axis;
}

}  // namespace

void infer(const take_along_axis& op, Infer& c) {
  infer_along_axis(op.axis, c, "x");
  c.out(c.dtype(0), c.shape(1));
}

void run(const take_along_axis& op, Run& c) {
  const int axis = positive(op.axis, c.shape(0).rank());
  const Split x(c.shape(0), axis);
  const std::int64_t n = c.shape(1)[axis];
  const std::int64_t* indices = checked_indices(c, 1, x.size, "the axis of x");
  for_width(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const T* from = c.input<T>(0);
    T* to = c.output<T>(0);
    parallel_ranges(x.outer, grain_for(2.0 * static_cast<double>(n * x.inner)),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t o = begin; o < end; ++o) {
                        const T* slab = from + o * x.size * x.inner;
                        if (x.inner == 1) {
                          for (std::int64_t at = o * n; at < (o + 1) * n; ++at) to[at] = slab[indices[at]];
                          continue;
                        }
                        for (std::int64_t j = 0; j < n; ++j)
                          for (std::int64_t k = 0; k < x.inner; ++k) {
                            const std::int64_t at = (o * n + j) * x.inner + k;
                            to[at] = slab[indices[at] * x.inner + k];
                          }
                      }
                    });
  });
}

void infer(const take_along_axis_grad& op, Infer& c) {
  c.require_floating(0);
  c.require_integer(1);
  c.require_shape(1, c.shape(0));
  c.require(op.size >= 0, "expected size of 0 or more, received ", op.size);
  Shape out = c.shape(0);
  out[c.axis(op.axis, out.rank())] = op.size;
  c.out(c.dtype(0), out);
}

void run(const take_along_axis_grad& op, Run& c) {
  const int axis = positive(op.axis, c.shape(0).rank());
  const Split dx(c.out(0).shape, axis);
  const std::int64_t n = c.shape(0)[axis];
  const std::int64_t* indices = checked_indices(c, 1, dx.size, "the axis of x");
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const T* dy = c.input<T>(0);
    T* to = c.output<T>(0);
    const std::int64_t slab = dx.size * dx.inner;
    parallel_ranges(dx.outer, grain_for(2.0 * static_cast<double>(n * dx.inner + slab)),
                    [&](std::int64_t begin, std::int64_t end) {
                      std::fill(to + begin * slab, to + end * slab, T(0));
                      for (std::int64_t o = begin; o < end; ++o)
                        for (std::int64_t j = 0; j < n; ++j)
                          for (std::int64_t k = 0; k < dx.inner; ++k) {
                            const std::int64_t at = (o * n + j) * dx.inner + k;
                            to[(o * dx.size + indices[at]) * dx.inner + k] += dy[at];
                          }
                    });
  });
}

namespace {

// indices (..., depth) address the first `depth` axes of x: slices of shape x.shape[depth:].
struct Slices {
  int depth;
  std::int64_t count, inner;
  Slices(const Shape& x, const Shape& indices)
      : depth(static_cast<int>(indices.last())),
        count(indices.count(0, indices.rank() - 1)),
        inner(x.count(depth, x.rank())) {}
};

void infer_nd(Infer& c) {
  c.require_integer(1);
  c.require(c.shape(1).rank() >= 1 && c.shape(1).last() >= 1 && c.shape(1).last() <= c.shape(0).rank(),
            "expected indices of shape (..., depth), 1 <= depth <= ", c.shape(0).rank(), ", received ", c.shape(1));
}

Shape slices_shape(const Shape& x, const Shape& indices) {
  Shape out(indices.begin(), indices.rank() - 1);
  for (auto i = static_cast<int>(indices.last()); i < x.rank(); ++i) out.push_back(x[i]);
  return out;
}

// The offset of each slice in x.
const std::int64_t* slice_offsets(Run& c, const Slices& slices) {
  auto* offsets = c.scratch<std::int64_t>(slices.count);
  const Shape& x = c.shape(0);
  for_dtype(c.dtype(1), [&](auto tag) {
    using T = decltype(tag);
    const T* indices = c.input<T>(1);
    for (std::int64_t i = 0; i < slices.count; ++i) {
      std::int64_t offset = 0;
      for (int d = 0; d < slices.depth; ++d) {
        auto index = static_cast<std::int64_t>(indices[i * slices.depth + d]);
        if (index < -x[d] || index >= x[d])
          c.fail("expected indices in [", -x[d], ", ", x[d], ") for axis ", d, ", received ", index, " at position ",
                 i);
        offset = offset * x[d] + (index < 0 ? index + x[d] : index);
      }
      offsets[i] = offset * slices.inner;
    }
  });
  return offsets;
}

}  // namespace

void infer(const gather_nd&, Infer& c) {
  infer_nd(c);
  c.out(c.dtype(0), slices_shape(c.shape(0), c.shape(1)));
}

void run(const gather_nd&, Run& c) {
  const Slices slices(c.shape(0), c.shape(1));
  const std::int64_t* offsets = slice_offsets(c, slices);
  const std::int64_t width = size_of(c.dtype(0)), bytes = slices.inner * width;
  const auto* from = c.input<char>(0);
  auto* to = c.output<char>(0);
  parallel_ranges(slices.count, grain_for(2 + 0.1 * static_cast<double>(bytes)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i)
                      std::memcpy(to + i * bytes, from + offsets[i] * width, static_cast<std::size_t>(bytes));
                  });
}

void infer(const scatter_nd& op, Infer& c) {
  infer_nd(c);
  c.require_dtype(2, c.dtype(0));
  c.require_shape(2, slices_shape(c.shape(0), c.shape(1)));
  const auto& r = op.reduction;
  c.require(r == "update" || r == "add" || r == "mul" || r == "max" || r == "min",
            "expected reduction update, add, mul, max or min, received \"", r, "\"");
  c.require(c.dtype(0) != DType::boolean || r == "update", "expected numbers for reduction \"", r, "\", received bool");
  c.out(c.in(0));
}

namespace {

// Copies x and combines the updates with it. Slices may repeat, so a block owns a range of y, never some of the slices:
// it reads all offsets, and so there are only a few blocks.
template <class T, class Combine>
void scatter_slices(Run& c, const Slices& slices, const std::int64_t* offsets, Combine combine) {
  const T *x = c.input<T>(0), *updates = c.input<T>(2);
  T* y = c.output<T>(0);
  const std::int64_t size = c.shape(0).size();
  const bool around = exceeds_cache(2 * size * static_cast<std::int64_t>(sizeof(T)));
  const std::int64_t grain = std::max<std::int64_t>((size + 15) / 16, std::max<std::int64_t>(16384, slices.count));
  parallel_ranges(size, grain, [&](std::int64_t begin, std::int64_t end) {
    kernels::copy().rows(x + begin, 0, y + begin, 0, 1, (end - begin) * static_cast<std::int64_t>(sizeof(T)), around);
    for (std::int64_t i = 0; i < slices.count; ++i) {
      const std::int64_t first = std::max<std::int64_t>(begin - offsets[i], 0),
                         last = std::min(end - offsets[i], slices.inner);
      T* row = y + offsets[i];
      for (std::int64_t k = first; k < last; ++k) row[k] = combine(row[k], updates[i * slices.inner + k]);
    }
  });
}

}  // namespace

void run(const scatter_nd& op, Run& c) {
  const Slices slices(c.shape(0), c.shape(1));
  const std::int64_t* offsets = slice_offsets(c, slices);
  if (op.reduction == "update") {
    for_width(c.dtype(0), [&](auto tag) {
      using T = decltype(tag);
      scatter_slices<T>(c, slices, offsets, [](T, T b) { return b; });
    });
    return;
  }
  for_dtype(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    if constexpr (!std::is_same_v<T, bool>) {
      // A NaN wins over any number, as in NumPy.
      if (op.reduction == "add")
        scatter_slices<T>(c, slices, offsets, [](T a, T b) { return static_cast<T>(a + b); });
      else if (op.reduction == "mul")
        scatter_slices<T>(c, slices, offsets, [](T a, T b) { return static_cast<T>(a * b); });
      else if (op.reduction == "max")
        scatter_slices<T>(c, slices, offsets, [](T a, T b) { return a > b || a != a ? a : b; });
      else
        scatter_slices<T>(c, slices, offsets, [](T a, T b) { return a < b || a != a ? a : b; });
    }
  });
}

void infer(const slice_update& op, Infer& c) {
  const Shape &x = c.shape(0), &updates = c.shape(1);
  c.require_dtype(1, c.dtype(0));
  c.require_rank(1, x.rank());
  c.require(static_cast<int>(op.start.size()) == x.rank(), "expected ", x.rank(), " start indices, received ",
            op.start.size());
  for (int i = 0; i < x.rank(); ++i)
    c.require(op.start[i] >= 0 && updates[i] <= x[i] && op.start[i] <= x[i] - updates[i],
              "expected updates within x of shape ", x, ", received updates of shape ", updates, " at start ",
              op.start[i], " of axis ", i);
  c.out(c.in(0));
}

void run(const slice_update& op, Run& c) {
  const Shape &x = c.shape(0), &updates = c.shape(1);
  const std::int64_t width = size_of(c.dtype(0)), bytes = x.size() * width;
  const auto *from = c.input<char>(0), *given = c.input<char>(1);
  auto* y = c.output<char>(0);
  const bool around = exceeds_cache(2 * bytes);
  const auto& copy = kernels::copy();
  parallel_ranges(bytes, grain_for(0.05), [&](std::int64_t begin, std::int64_t end) {
    copy.rows(from + begin, 0, y + begin, 0, 1, end - begin, around);
  });
  if (updates.size() == 0) return;
  // Axes that are updated whole are one with the axis before them: a run of neighbours, the longer the better.
  int axis = std::max(x.rank() - 1, 0);
  while (axis > 0 && updates[axis] == x[axis]) --axis;
  const std::int64_t length = updates.count(axis, x.rank()), inner = x.count(std::min(axis + 1, x.rank()), x.rank());
  const std::int64_t run_bytes = length * width, start = x.rank() ? op.start[axis] * inner : 0;
  parallel_ranges(updates.size() / length, grain_for(2 + 0.05 * static_cast<double>(run_bytes)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t run = begin; run < end; ++run) {
                      std::int64_t rest = run, offset = start, stride = x.count(axis, x.rank());
                      for (int i = axis - 1; i >= 0; --i) {
                        offset += (rest % updates[i] + op.start[i]) * stride;
                        rest /= updates[i];
                        stride *= x[i];
                      }
                      std::memcpy(y + offset * width, given + run * run_bytes, static_cast<std::size_t>(run_bytes));
                    }
                  });
}

void infer(const one_hot& op, Infer& c) {
  c.require_integer(0);
  c.require(op.num_classes >= 0, "expected num_classes of 0 or more, received ", op.num_classes);
  const int axis = c.axis(op.axis, c.shape(0).rank() + 1);
  Shape out(c.shape(0).begin(), axis);
  out.push_back(op.num_classes);
  for (int i = axis; i < c.shape(0).rank(); ++i) out.push_back(c.shape(0)[i]);
  c.out(op.dtype, out);
}

// An index outside the classes gives zeros, as in Keras.
void run(const one_hot& op, Run& c) {
  const Split y(c.out(0).shape, positive(op.axis, c.out(0).shape.rank()));
  for_dtype(c.out(0).dtype, [&](auto out_tag) {
    using Out = decltype(out_tag);
    Out* to = c.output<Out>(0);
    std::memset(static_cast<void*>(to), 0, static_cast<std::size_t>(c.out(0).shape.size()) * sizeof(Out));
    for_dtype(c.dtype(0), [&](auto in_tag) {
      using In = decltype(in_tag);
      const In* indices = c.input<In>(0);
      for (std::int64_t o = 0; o < y.outer; ++o)
        for (std::int64_t k = 0; k < y.inner; ++k) {
          const auto index = static_cast<std::int64_t>(indices[o * y.inner + k]);
          if (index >= 0 && index < y.size) to[(o * y.size + index) * y.inner + k] = Out(1);
        }
    });
  });
}

}  // namespace kcore::ops
