// Reductions over any axes: neighbouring axes are merged, then one pass per group of reduced axes, innermost first.
// A long pass is cut into blocks whose results are reduced by a further pass, always in the same order.
#include "kernels/reduce/reduce.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/parallel.h"
#include "ops/bfloat16.h"
#include "ops/op.h"

namespace kcore::ops {
namespace {

using kernels::Reduction;

constexpr std::int64_t kGrain = 1 << 16;    // elements of one block
constexpr std::int64_t kBlockWidth = 1024;  // columns of one block
constexpr std::int64_t kMinBlockRows = 64;

DType result_dtype(Reduction kind, DType dtype) {
  if (kind == Reduction::any || kind == Reduction::all) return DType::boolean;
  if (kind == Reduction::sum || kind == Reduction::prod) {
    if (dtype == DType::boolean) return DType::int32;
    if (dtype == DType::uint8) return DType::uint32;
  }
  return dtype;
}

struct Reduced {
  bool axis[Shape::kMaxRank] = {};
};

Reduced reduced_axes(const Ints& axes, Infer& c, int rank) {
  Reduced reduced;
  for (std::int64_t a : axes) {
    bool& seen = reduced.axis[c.axis(a, rank)];
    c.require(!seen, "expected different axes, received axis ", a, " twice");
    seen = true;
  }
  if (axes.empty()) std::fill_n(reduced.axis, rank, true);
  return reduced;
}

void infer_reduction(Reduction kind, const Ints& axes, bool keepdims, Infer& c) {
  const Shape& x = c.shape(0);
  const Reduced reduced = reduced_axes(axes, c, x.rank());
  Shape y;
  std::int64_t count = 1;
  for (int i = 0; i < x.rank(); ++i) {
    if (reduced.axis[i]) count *= x[i];
    if (!reduced.axis[i])
      y.push_back(x[i]);
    else if (keepdims)
      y.push_back(1);
  }
  if (kind == Reduction::max || kind == Reduction::min)
    c.require(count > 0, "expected at least one element along the reduced axes, received ", c.name(0), " of shape ", x);
  c.out(result_dtype(kind, c.dtype(0)), y);
}

// What bfloat16 is reduced in.
DType computed_in(DType dtype) { return dtype == DType::bfloat16 ? DType::float32 : dtype; }

// y (outer, inner) = reduce over n of x (outer, n, inner). y has result_dtype(kind, computed_in(dtype)).
void reduce_pass(Reduction kind, DType dtype, const char* x, std::int64_t outer, std::int64_t n, std::int64_t inner,
                 char* y, Run& c) {
  const DType out = result_dtype(kind, computed_in(dtype));
  const std::int64_t xs = size_of(dtype), ys = size_of(out);
  const auto rows = kernels::reduce().rows[static_cast<int>(kind)][static_cast<int>(dtype)];
  const auto columns = kernels::reduce().columns[static_cast<int>(kind)][static_cast<int>(dtype)];
  const std::int64_t width = std::min(inner, kBlockWidth);
  const std::int64_t block_rows = std::max(inner == 1 ? kGrain : kMinBlockRows, kGrain / width);

  if (n >= 2 * block_rows) {
    const std::int64_t blocks = (n + block_rows - 1) / block_rows, parts = (inner + width - 1) / width;
    char* partial = c.scratch<char>(outer * blocks * inner * ys);
    parallel_for(outer * blocks * parts, [&](std::int64_t i) {
      const std::int64_t part = i % parts, block = i / parts % blocks, o = i / parts / blocks;
      const std::int64_t begin = block * block_rows, count = std::min(block_rows, n - begin), column = part * width;
      const char* from = x + ((o * n + begin) * inner + column) * xs;
      char* to = partial + ((o * blocks + block) * inner + column) * ys;
      if (inner == 1)
        rows(from, 1, count, to);
      else
        columns(from, count, std::min(width, inner - column), inner, to);
    });
    reduce_pass(kind, out, partial, outer, blocks, inner, y, c);
    return;
  }
  if (inner == 1) {
    parallel_ranges(
        outer, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(n, 1)),
        [&](std::int64_t begin, std::int64_t end) { rows(x + begin * n * xs, end - begin, n, y + begin * ys); });
    return;
  }
  const std::int64_t parts = (inner + width - 1) / width;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(n * width, 1));
  parallel_ranges(outer * parts, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t o = i / parts, column = i % parts * width;
      columns(x + (o * n * inner + column) * xs, n, std::min(width, inner - column), inner,
              y + (o * inner + column) * ys);
    }
  });
}

void run_reduction(Reduction kind, const Ints& axes, Run& c, char* y) {
  const Shape& x = c.shape(0);
  const int rank = x.rank();
  bool reduced[Shape::kMaxRank] = {};
  for (std::int64_t a : axes) reduced[a < 0 ? a + rank : a] = true;
  if (axes.empty()) std::fill_n(reduced, rank, true);

  // Runs of neighbouring axes of one kind; axes of length 1 join either.
  std::int64_t sizes[Shape::kMaxRank];
  bool group_reduced[Shape::kMaxRank];
  int groups = 0;
  for (int i = 0; i < rank; ++i) {
    if (x[i] == 1) continue;
    if (groups && group_reduced[groups - 1] == reduced[i]) {
      sizes[groups - 1] *= x[i];
    } else {
      sizes[groups] = x[i];
      group_reduced[groups++] = reduced[i];
    }
  }

  DType dtype = c.dtype(0);
  const char* data = c.input<char>(0);
  int passes = static_cast<int>(std::count(group_reduced, group_reduced + groups, true));
  if (passes == 0) {  // nothing but axes of length 1: the pass converts the dtype
    reduce_pass(kind, dtype, data, x.size(), 1, 1, y, c);
    return;
  }
  for (int g = groups - 1; g >= 0; --g) {
    if (!group_reduced[g]) continue;
    std::int64_t outer = 1, inner = 1;
    for (int i = 0; i < g; ++i) outer *= sizes[i];
    for (int i = g + 1; i < groups; ++i) inner *= sizes[i];
    const DType out = result_dtype(kind, computed_in(dtype));
    char* to = --passes == 0 ? y : c.scratch<char>(outer * inner * size_of(out));
    reduce_pass(kind, dtype, data, outer, sizes[g], inner, to, c);
    sizes[g] = 1;
    dtype = out;
    data = to;
  }
}

// Results of bfloat16 are computed in float32, and rounded when finish(y) has been called.
template <class Finish>
void run_reduction(Reduction kind, const Ints& axes, Run& c, const Finish& finish) {
  if (c.out(0).dtype != DType::bfloat16) {
    run_reduction(kind, axes, c, c.output<char>(0));
    return finish(c.output<char>(0));
  }
  const std::int64_t size = c.out(0).shape.size();
  float* y = c.scratch<float>(size);
  run_reduction(kind, axes, c, reinterpret_cast<char*>(y));
  finish(reinterpret_cast<char*>(y));
  convert(y, c.output<bfloat16>(0), size);
}
void run_reduction(Reduction kind, const Ints& axes, Run& c) {
  run_reduction(kind, axes, c, [](char*) {});
}

void infer_arg(std::int64_t axis_, bool keepdims, Infer& c) {
  const Shape& x = c.shape(0);
  c.require(x.rank() > 0, "expected ", c.name(0), " with at least one dimension, received a scalar");
  const int axis = c.axis(axis_, x.rank());
  c.require(x[axis] > 0, "expected at least one element along axis ", axis, ", received ", c.name(0), " of shape ", x);
  c.require(x[axis] <= std::numeric_limits<std::int32_t>::max(), "expected indices that fit int32, received ",
            c.name(0), " of shape ", x);
  Shape y;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != axis)
      y.push_back(x[i]);
    else if (keepdims)
      y.push_back(1);
  }
  c.out(DType::int32, y);
}

void run_arg(std::int64_t axis, kernels::ArgRows rows, kernels::ArgColumns columns, Run& c) {
  const Shape& x = c.shape(0);
  if (axis < 0) axis += x.rank();
  const int a = static_cast<int>(axis);
  const std::int64_t outer = x.count(0, a), n = x[a], inner = x.count(a + 1, x.rank()), size = size_of(c.dtype(0));
  const char* in = c.input<char>(0);
  std::int32_t* y = c.output<std::int32_t>(0);
  if (inner == 1 && outer == 1 && n >= 2 * kGrain) {  // one vector: the best of the bests of its blocks
    const std::int64_t blocks = (n + kGrain - 1) / kGrain;
    auto* indices = c.scratch<std::int32_t>(blocks);
    auto* bests = c.scratch<char>(blocks * size);
    parallel_for(blocks, [&](std::int64_t i) {
      const std::int64_t begin = i * kGrain;
      rows(in + begin * size, 1, std::min(kGrain, n - begin), indices + i);
      indices[i] += static_cast<std::int32_t>(begin);
      std::memcpy(bests + i * size, in + indices[i] * size, static_cast<std::size_t>(size));
    });
    std::int32_t best;
    rows(bests, 1, blocks, &best);
    *y = indices[best];
    return;
  }
  if (inner == 1) {
    parallel_ranges(outer, std::max<std::int64_t>(1, kGrain / n), [&](std::int64_t begin, std::int64_t end) {
      rows(in + begin * n * size, end - begin, n, y + begin);
    });
    return;
  }
  const std::int64_t width = std::min<std::int64_t>(inner, kBlockWidth), parts = (inner + width - 1) / width;
  parallel_ranges(outer * parts, std::max<std::int64_t>(1, kGrain / (n * width)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i) {
                      const std::int64_t o = i / parts, column = i % parts * width;
                      columns(in + (o * n * inner + column) * size, n, std::min(width, inner - column), inner,
                              y + o * inner + column);
                    }
                  });
}

}  // namespace

void infer(const sum& op, Infer& c) { infer_reduction(Reduction::sum, op.axes, op.keepdims, c); }
void run(const sum& op, Run& c) { run_reduction(Reduction::sum, op.axes, c); }

void infer(const prod& op, Infer& c) { infer_reduction(Reduction::prod, op.axes, op.keepdims, c); }
void run(const prod& op, Run& c) { run_reduction(Reduction::prod, op.axes, c); }

void infer(const max& op, Infer& c) { infer_reduction(Reduction::max, op.axes, op.keepdims, c); }
void run(const max& op, Run& c) { run_reduction(Reduction::max, op.axes, c); }

void infer(const min& op, Infer& c) { infer_reduction(Reduction::min, op.axes, op.keepdims, c); }
void run(const min& op, Run& c) { run_reduction(Reduction::min, op.axes, c); }

void infer(const any& op, Infer& c) { infer_reduction(Reduction::any, op.axes, op.keepdims, c); }
void run(const any& op, Run& c) { run_reduction(Reduction::any, op.axes, c); }

void infer(const all& op, Infer& c) { infer_reduction(Reduction::all, op.axes, op.keepdims, c); }
void run(const all& op, Run& c) { run_reduction(Reduction::all, op.axes, c); }

void infer(const mean& op, Infer& c) {
  c.require_floating(0);
  infer_reduction(Reduction::sum, op.axes, op.keepdims, c);
}
void run(const mean& op, Run& c) {
  const std::int64_t outputs = c.out(0).shape.size(), inputs = c.shape(0).size();
  run_reduction(Reduction::sum, op.axes, c, [&](char* sums) {
    for_floating(c.dtype(0), [&](auto zero) {
      using T = decltype(zero);
      const T count = static_cast<T>(inputs / outputs);  // 0 / 0 is NaN: the mean of nothing
      T* y = reinterpret_cast<T*>(sums);
      parallel_ranges(outputs, kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) y[i] /= count;
      });
    });
  });
}

void infer(const argmax& op, Infer& c) { infer_arg(op.axis, op.keepdims, c); }
void run(const argmax& op, Run& c) {
  const int dtype = static_cast<int>(c.dtype(0));
  run_arg(op.axis, kernels::reduce().argmax_rows[dtype], kernels::reduce().argmax_columns[dtype], c);
}

void infer(const argmin& op, Infer& c) { infer_arg(op.axis, op.keepdims, c); }
void run(const argmin& op, Run& c) {
  const int dtype = static_cast<int>(c.dtype(0));
  run_arg(op.axis, kernels::reduce().argmin_rows[dtype], kernels::reduce().argmin_columns[dtype], c);
}

}  // namespace kcore::ops
