// Sorting, selection, and scans along an axis. Sorts are stable, and NaN is the largest value, as in NumPy.
#include <algorithm>

#include "base/parallel.h"
#include "ops/op.h"

namespace kcore::ops {
namespace {

template <class T>
bool comes_before(T a, T b) {
  return a < b || (b != b && a == a);
}

// The lines of an array along an axis: element j of line i is at first(i) + j * stride.
struct Lines {
  std::int64_t count, length, stride;
  Lines(const Shape& shape, std::int64_t axis_attr) {
    const int axis = static_cast<int>(axis_attr < 0 ? axis_attr + shape.rank() : axis_attr);
    length = shape[axis];
    stride = shape.count(axis + 1, shape.rank());
    count = shape.count(0, axis) * stride;
  }
  std::int64_t first(std::int64_t line) const { return line / stride * stride * length + line % stride; }
  // Lines per block for work of `cost` nanoseconds an element.
  std::int64_t grain(double cost) const { return grain_for(cost * static_cast<double>(length)); }
};

template <class T>
struct Keyed {
  T value;
  std::int32_t index;
};

void require_int32_axis(const Infer& c, std::int64_t length) {
  c.require(length <= INT32_MAX, "expected an axis of at most 2^31 - 1 elements, received ", length);
}

}  // namespace

void infer(const sort& op, Infer& c) {
  const int axis = c.axis(op.axis, c.shape(0).rank());
  require_int32_axis(c, c.shape(0)[axis]);
  c.out(c.in(0));
  c.out(DType::int32, c.shape(0));
}

void run(const sort& op, Run& c) {
  const Lines lines(c.shape(0), op.axis);
  for_dtype(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.input<T>(0);
    T* values = c.output<T>(0);
    auto* indices = c.output<std::int32_t>(1);
    auto* keyed = c.scratch<Keyed<T>>(lines.count * lines.length);
    parallel_ranges(lines.count, lines.grain(40), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line) {
        const std::int64_t first = lines.first(line);
        Keyed<T>* row = keyed + line * lines.length;
        for (std::int64_t j = 0; j < lines.length; ++j)
          row[j] = {x[first + j * lines.stride], static_cast<std::int32_t>(j)};
        // Ties by index make the order total: the same as a stable sort, without its buffer.
        std::sort(row, row + lines.length, [](const Keyed<T>& a, const Keyed<T>& b) {
          return comes_before(a.value, b.value) || (!comes_before(b.value, a.value) && a.index < b.index);
        });
        for (std::int64_t j = 0; j < lines.length; ++j) {
          values[first + j * lines.stride] = row[j].value;
          indices[first + j * lines.stride] = row[j].index;
        }
      }
    });
  });
}

void infer(const top_k& op, Infer& c) {
  const Shape& x = c.shape(0);
  c.require(x.rank() >= 1, "expected x with 1 dimension or more, received shape ", x);
  c.require(op.k >= 0 && op.k <= x.last(), "expected k in [0, ", x.last(), "], received ", op.k, " for x of shape ", x);
  require_int32_axis(c, x.last());
  Shape out = x;
  out[x.rank() - 1] = op.k;
  c.out(c.dtype(0), out);
  c.out(DType::int32, out);
}

namespace {

// Larger values first, of equal ones the earlier. As the order of a heap it puts what the k best would lose first on
// top.
template <class T>
bool ranks_before(const Keyed<T>& a, const Keyed<T>& b) {
  return comes_before(b.value, a.value) || (!comes_before(a.value, b.value) && a.index < b.index);
}

// best = the first k of a row in that order, 0 < k <= n. Few of the elements of a long row get into the heap of the
// best so far: whether one of a block may is asked in vectors.
template <class T>
void select_best(const T* x, std::int64_t n, std::int64_t k, Keyed<T>* best) {
  constexpr std::int64_t kBlock = 32;
  for (std::int64_t j = 0; j < k; ++j) best[j] = {x[j], static_cast<std::int32_t>(j)};
  std::make_heap(best, best + k, ranks_before<T>);
  for (std::int64_t j = k; j < n;) {
    const std::int64_t end = std::min(j + kBlock, n);
    if (end - j == kBlock) {
      const T worst = best->value;
      int above = 0;
      for (std::int64_t i = 0; i < kBlock; ++i) above |= !(x[j + i] <= worst);  // or a NaN
      if (!above) {
        j = end;
        continue;
      }
    }
    for (; j < end; ++j) {
      if (!comes_before(best->value, x[j])) continue;
      std::pop_heap(best, best + k, ranks_before<T>);
      best[k - 1] = {x[j], static_cast<std::int32_t>(j)};
      std::push_heap(best, best + k, ranks_before<T>);
    }
  }
  std::sort_heap(best, best + k, ranks_before<T>);
}

}  // namespace

void run(const top_k& op, Run& c) {
  if (op.k == 0) return;
  const Lines lines(c.shape(0), -1);
  for_dtype(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.input<T>(0);
    T* values = c.output<T>(0);
    auto* indices = c.output<std::int32_t>(1);
    auto* keyed = c.scratch<Keyed<T>>(lines.count * op.k);
    parallel_ranges(lines.count, lines.grain(2), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line) {
        Keyed<T>* best = keyed + line * op.k;
        select_best(x + line * lines.length, lines.length, op.k, best);
        for (std::int64_t j = 0; j < op.k; ++j) {
          values[line * op.k + j] = best[j].value;
          indices[line * op.k + j] = best[j].index;
        }
      }
    });
  });
}

void infer(const in_top_k& op, Infer& c) {
  c.require_integer(0);
  c.require_floating(1);
  c.require_rank(1, 2);
  c.require_shape(0, {c.shape(1)[0]});
  c.require(op.k >= 0, "expected k of 0 or more, received ", op.k);
  c.out(DType::boolean, c.shape(0));
}

// A target is in when fewer than k classes beat it: ties at the boundary are in. A class that does not exist is not,
// nor one whose prediction is NaN.
void run(const in_top_k& op, Run& c) {
  const std::int64_t classes = c.shape(1)[1];
  bool* y = c.output<bool>(0);
  for_dtype(c.dtype(0), [&](auto target_tag) {
    using Target = decltype(target_tag);
    const Target* targets = c.input<Target>(0);
    for_floating(c.dtype(1), [&](auto tag) {
      using T = decltype(tag);
      const T* predictions = c.input<T>(1);
      parallel_ranges(c.shape(0).size(), grain_for(static_cast<double>(classes) + 4),
                      [&](std::int64_t begin, std::int64_t end) {
                        for (std::int64_t i = begin; i < end; ++i) {
                          const auto target = static_cast<std::int64_t>(targets[i]);
                          y[i] = false;
                          if (target < 0 || target >= classes) continue;
                          const T* row = predictions + i * classes;
                          const T value = row[target];
                          std::int64_t better = 0;
                          for (std::int64_t j = 0; j < classes; ++j) better += row[j] > value;
                          y[i] = value == value && better < op.k;
                        }
                      });
    });
  });
}

void infer(const searchsorted& op, Infer& c) {
  c.require_rank(0, 1);
  c.require_dtype(1, c.dtype(0));
  c.require(op.side == "left" || op.side == "right", "expected side \"left\" or \"right\", received \"", op.side, "\"");
  require_int32_axis(c, c.shape(0)[0]);
  c.out(DType::int32, c.shape(1));
}

void run(const searchsorted& op, Run& c) {
  const std::int64_t n = c.shape(0)[0];
  const bool left = op.side == "left";
  for_dtype(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const T *sorted = c.input<T>(0), *values = c.input<T>(1);
    auto* y = c.output<std::int32_t>(0);
    parallel_ranges(c.shape(1).size(), grain_for(30), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* at = left ? std::lower_bound(sorted, sorted + n, values[i], comes_before<T>)
                           : std::upper_bound(sorted, sorted + n, values[i], comes_before<T>);
        y[i] = static_cast<std::int32_t>(at - sorted);
      }
    });
  });
}

namespace {

void infer_scan(Infer& c, std::int64_t axis) {
  c.axis(axis, c.shape(0).rank());
  if (c.dtype(0) == DType::boolean) c.fail("expected numbers, received bool");
  c.out(c.in(0));
}

// Scans `together` lines of neighbouring elements, which begin at `first`. A running value waits for the one before it:
// several that advance at once use that time.
template <int together, class T, class Body>
void scan_rows(std::int64_t first, std::int64_t length, bool reverse, T* y, T initial, const Body& body) {
  T running[together];
  std::fill_n(running, together, initial);
  for (std::int64_t j = 0; j < length; ++j) {
    const std::int64_t at = first + (reverse ? length - 1 - j : j);
    for (int l = 0; l < together; ++l) y[at + l * length] = running[l] = body(running[l], at + l * length);
  }
}

// body(previous, at) gives the next running value; the scan starts from `initial`. Neighbouring lines go side by side,
// so that memory is read in order whatever the axis.
template <class T, class Body>
void scan(const Shape& shape, std::int64_t axis, bool reverse, T* y, T initial, Body body) {
  constexpr int kTogether = 4;
  const Lines lines(shape, axis);
  const std::int64_t step = reverse ? -lines.stride : lines.stride, grain = lines.grain(0.5);
  parallel_ranges(lines.count, (grain + kTogether - 1) / kTogether * kTogether,
                  [&](std::int64_t begin, std::int64_t end) {
                    if (lines.stride == 1) {
                      std::int64_t line = begin;
                      for (; line + kTogether <= end; line += kTogether)
                        scan_rows<kTogether>(lines.first(line), lines.length, reverse, y, initial, body);
                      for (; line < end; ++line)
                        scan_rows<1>(lines.first(line), lines.length, reverse, y, initial, body);
                      return;
                    }
                    for (std::int64_t line = begin; line < end;) {
                      const std::int64_t block = std::min(lines.stride - line % lines.stride, end - line);
                      std::int64_t at = lines.first(line) + (reverse ? (lines.length - 1) * lines.stride : 0);
                      for (std::int64_t k = at; k < at + block; ++k) y[k] = body(initial, k);
                      for (std::int64_t j = 1; j < lines.length; ++j) {
                        at += step;
                        for (std::int64_t k = at; k < at + block; ++k) y[k] = body(y[k - step], k);
                      }
                      line += block;
                    }
                  });
}

}  // namespace

void infer(const cumsum& op, Infer& c) { infer_scan(c, op.axis); }

void run(const cumsum& op, Run& c) {
  for_dtype(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.input<T>(0);
    scan(c.shape(0), op.axis, op.reverse, c.output<T>(0), T(0),
         [=](T sum, std::int64_t i) { return static_cast<T>(sum + x[i]); });
  });
}

void infer(const cumprod& op, Infer& c) { infer_scan(c, op.axis); }

void run(const cumprod& op, Run& c) {
  for_dtype(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const T* x = c.input<T>(0);
    scan(c.shape(0), op.axis, op.reverse, c.output<T>(0), T(1),
         [=](T product, std::int64_t i) { return static_cast<T>(product * x[i]); });
  });
}

// y[k] = a[k] y[k-1] + b[k], y[-1] = 0: its adjoint is a scan the other way, which makes it closed under gradients.
void infer(const linear_scan& op, Infer& c) {
  c.require_floating(0);
  c.require_dtype(1, c.dtype(0));
  c.require_shape(1, c.shape(0));
  infer_scan(c, op.axis);
}

void run(const linear_scan& op, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    const T *a = c.input<T>(0), *b = c.input<T>(1);
    scan(c.shape(0), op.axis, op.reverse, c.output<T>(0), T(0),
         [=](T previous, std::int64_t i) { return a[i] * previous + b[i]; });
  });
}

}  // namespace kcore::ops
