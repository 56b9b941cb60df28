// Softmax and log-softmax over one axis, with gradients from their outputs.
#include "kernels/softmax/softmax.h"

#include <algorithm>

#include "base/cache.h"
#include "base/parallel.h"
#include "ops/op.h"
#include "ops/tile.h"

namespace kcore::ops {
namespace {

constexpr std::int64_t kGrain = 1 << 15;   // elements of one block
constexpr std::int64_t kBlockWidth = 256;  // columns of one block

template <class T>
const kernels::SoftmaxTable<T>& table();
template <>
const kernels::SoftmaxTable<float>& table() {
  return kernels::softmax().f32;
}
template <>
const kernels::SoftmaxTable<double>& table() {
  return kernels::softmax().f64;
}

void infer_softmax(std::int64_t axis, Infer& c) {
  for (int i = 0; i < c.size(); ++i) c.require_floating(i);
  c.require_same_dtype();
  c.require(c.shape(0).rank() > 0, "expected ", c.name(0), " with at least one dimension, received a scalar");
  c.axis(axis, c.shape(0).rank());
  for (int i = 1; i < c.size(); ++i) c.require_shape(i, c.shape(0));
  c.out(c.in(0));
}

// A row or column of bfloat16 too long for a tile, or columns, which are rare.
bool widens(const Run& c, std::int64_t axis) {
  const Shape& x = c.shape(0);
  const bool last = axis == -1 || axis == x.rank() - 1;
  return c.dtype(0) == DType::bfloat16 && (!last || x.last() > Tile::kMost);
}

// on_rows(first element, rows, n) where the axis is the last, else on_columns(first element, n, width, stride).
template <class Rows, class Columns>
void split(const Shape& x, std::int64_t axis, const Rows& on_rows, const Columns& on_columns) {
  const int a = static_cast<int>(axis < 0 ? axis + x.rank() : axis);
  const std::int64_t outer = x.count(0, a), n = x[a], inner = x.count(a + 1, x.rank());
  if (inner == 1) {
    parallel_ranges(outer, std::max<std::int64_t>(1, kGrain / n),
                    [&](std::int64_t begin, std::int64_t end) { on_rows(begin * n, end - begin, n); });
    return;
  }
  const std::int64_t width = std::min(inner, kBlockWidth), parts = (inner + width - 1) / width;
  parallel_ranges(outer * parts, std::max<std::int64_t>(1, kGrain / (n * width)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i) {
                      const std::int64_t column = i % parts * width;
                      on_columns(i / parts * n * inner + column, n, std::min(width, inner - column), inner);
                    }
                  });
}

// body(first element, rows) for pieces of `count` rows from element `at` on, as many of them as make a tile.
template <class Body>
void for_tiles(DType dtype, std::int64_t at, std::int64_t count, std::int64_t n, const Body& body) {
  const std::int64_t most = Tile::rows(dtype, count, n);
  for (std::int64_t r = 0; r < count; r += most) body(at + r * n, std::min(most, count - r));
}

// rows and columns pick the kernels out of a table.
template <class Op, class Rows, class Columns>
void run_forward(const Op& op, Run& c, const Rows& rows, const Columns& columns) {
  if (widens(c, op.axis)) return c.run_widened(op);
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const T* x = c.input<T>(0);
    T* y = c.output<T>(0);
    const bool stream = exceeds_cache(2 * c.shape(0).size() * size_of(c.dtype(0)));
    split(
        c.shape(0), op.axis,
        [&](std::int64_t at, std::int64_t count, std::int64_t n) {
          for_tiles(c.dtype(0), at, count, n, [&](std::int64_t first, std::int64_t some) {
            Tile tile(c.dtype(0), 2, some * n);
            rows(table<T>())(tile.in<T>(x, first, some * n), some, n, tile.out<T>(y, first, some * n),
                             tile.streams(stream));
            tile.store(stream);
          });
        },
        [&](std::int64_t at, std::int64_t n, std::int64_t width, std::int64_t stride) {
          columns(table<T>())(x + at, n, width, stride, y + at);
        });
  });
}

template <class Op, class Rows, class Columns>
void run_backward(const Op& op, Run& c, const Rows& rows, const Columns& columns) {
  if (widens(c, op.axis)) return c.run_widened(op);
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const T *dy = c.input<T>(0), *y = c.input<T>(1);
    T* dx = c.output<T>(0);
    const bool stream = exceeds_cache(3 * c.shape(0).size() * size_of(c.dtype(0)));
    split(
        c.shape(0), op.axis,
        [&](std::int64_t at, std::int64_t count, std::int64_t n) {
          for_tiles(c.dtype(0), at, count, n, [&](std::int64_t first, std::int64_t some) {
            Tile tile(c.dtype(0), 3, some * n);
            const T *dys = tile.in<T>(dy, first, some * n), *ys = tile.in<T>(y, first, some * n);
            rows(table<T>())(dys, ys, some, n, tile.out<T>(dx, first, some * n), tile.streams(stream));
            tile.store(stream);
          });
        },
        [&](std::int64_t at, std::int64_t n, std::int64_t width, std::int64_t stride) {
          columns(table<T>())(dy + at, y + at, n, width, stride, dx + at);
        });
  });
}

}  // namespace

void infer(const softmax& op, Infer& c) { infer_softmax(op.axis, c); }
void run(const softmax& op, Run& c) {
  run_forward(op, c, [](auto& t) { return t.rows; }, [](auto& t) { return t.columns; });
}

void infer(const softmax_grad& op, Infer& c) { infer_softmax(op.axis, c); }
void run(const softmax_grad& op, Run& c) {
  run_backward(op, c, [](auto& t) { return t.grad_rows; }, [](auto& t) { return t.grad_columns; });
}

void infer(const log_softmax& op, Infer& c) { infer_softmax(op.axis, c); }
void run(const log_softmax& op, Run& c) {
  run_forward(op, c, [](auto& t) { return t.log_rows; }, [](auto& t) { return t.log_columns; });
}

void infer(const log_softmax_grad& op, Infer& c) { infer_softmax(op.axis, c); }
void run(const log_softmax_grad& op, Run& c) {
  run_backward(op, c, [](auto& t) { return t.log_grad_rows; }, [](auto& t) { return t.log_grad_columns; });
}

}  // namespace kcore::ops
