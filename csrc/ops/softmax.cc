// Softmax and log-softmax over one axis, with gradients from their outputs.
#include "kernels/softmax/softmax.h"

#include <algorithm>

#include "base/cache.h"
#include "base/parallel.h"
#include "ops/op.h"

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

// rows and columns pick the kernels out of a table.
template <class Rows, class Columns>
void run_forward(std::int64_t axis, Run& c, const Rows& rows, const Columns& columns) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const T* x = c.input<T>(0);
    T* y = c.output<T>(0);
    const bool stream = exceeds_cache(2 * c.shape(0).size() * size_of(c.dtype(0)));
    split(
        c.shape(0), axis,
        [&](std::int64_t at, std::int64_t count, std::int64_t n) {
          rows(table<T>())(x + at, count, n, y + at, stream);
        },
        [&](std::int64_t at, std::int64_t n, std::int64_t width, std::int64_t stride) {
          columns(table<T>())(x + at, n, width, stride, y + at);
        });
  });
}

template <class Rows, class Columns>
void run_backward(std::int64_t axis, Run& c, const Rows& rows, const Columns& columns) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const T *dy = c.input<T>(0), *y = c.input<T>(1);
    T* dx = c.output<T>(0);
    const bool stream = exceeds_cache(3 * c.shape(0).size() * size_of(c.dtype(0)));
    split(
        c.shape(0), axis,
        [&](std::int64_t at, std::int64_t count, std::int64_t n) {
          rows(table<T>())(dy + at, y + at, count, n, dx + at, stream);
        },
        [&](std::int64_t at, std::int64_t n, std::int64_t width, std::int64_t stride) {
          columns(table<T>())(dy + at, y + at, n, width, stride, dx + at);
        });
  });
}

}  // namespace

void infer(const softmax& op, Infer& c) { infer_softmax(op.axis, c); }
void run(const softmax& op, Run& c) {
  run_forward(op.axis, c, [](auto& t) { return t.rows; }, [](auto& t) { return t.columns; });
}

void infer(const softmax_grad& op, Infer& c) { infer_softmax(op.axis, c); }
void run(const softmax_grad& op, Run& c) {
  run_backward(op.axis, c, [](auto& t) { return t.grad_rows; }, [](auto& t) { return t.grad_columns; });
}

void infer(const log_softmax& op, Infer& c) { infer_softmax(op.axis, c); }
void run(const log_softmax& op, Run& c) {
  run_forward(op.axis, c, [](auto& t) { return t.log_rows; }, [](auto& t) { return t.log_columns; });
}

void infer(const log_softmax_grad& op, Infer& c) { infer_softmax(op.axis, c); }
void run(const log_softmax_grad& op, Run& c) {
  run_backward(op.axis, c, [](auto& t) { return t.log_grad_rows; }, [](auto& t) { return t.log_grad_columns; });
}

}  // namespace kcore::ops
