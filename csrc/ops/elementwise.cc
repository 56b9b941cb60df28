// Elementwise ops: one template for all unary ops, one for all binary ops, and select, cast, clip.
#include "ops/elementwise.h"

#include <unordered_map>

#include "base/parallel.h"
#include "ops/broadcast.h"
#include "ops/op.h"
#include "ops/stream.h"

namespace kcore {
namespace {

using kernels::BinaryFunction;
using kernels::UnaryFunction;

// Nanoseconds per element decide how much work is worth a thread: libm calls against a vector add.
constexpr double kCheap = 0.3, kCostly = 3.0;
// Ranges begin on a cache line: elements of a range, as many as take about 20 microseconds.
std::int64_t range_for(double cost) { return (grain_for(cost) + 63) / 64 * 64; }
constexpr std::int64_t kStreamGrain = 1 << 16;  // elements of a block of work when the result is streamed

// The kernel for a dtype, null if there is none.
template <class Function>
Function of(const Function (&table)[kDTypeCount], DType dtype) {
  return table[static_cast<int>(dtype)];
}

kernels::SelectFunction select_of(DType dtype) {
  const auto& table = kernels::elementwise();
  switch (size_of(dtype)) {
    case 1: return table.select1;
    case 2: return table.select2;
    case 4: return table.select4;
    default: return table.select8;
  }
}

void infer_unary(Infer& c, bool supported, bool predicate) {
  c.require(supported, "does not take dtype ", c.dtype(0), "; cast it first");
  c.out(predicate ? DType::boolean : c.dtype(0), c.shape(0));
}

// row(x, y, n) computes n elements.
template <class Row>
void run_unary(Run& c, Row&& row) {
  const std::int64_t in_size = size_of(c.dtype(0)), out_size = size_of(c.out(0).dtype), n = c.shape(0).size();
  const char* x = c.input<char>(0);
  char* y = c.output<char>(0);
  if (!exceeds_cache(n * (in_size + out_size))) {
    parallel_ranges(n, range_for(kCostly), [&](std::int64_t begin, std::int64_t end) {
      row(x + begin * in_size, y + begin * out_size, end - begin);
    });
    return;
  }
  const std::int64_t per_block = stream_count(std::max(in_size, out_size));
  parallel_ranges(n, kStreamGrain, [&](std::int64_t begin, std::int64_t end) {
    stream_range(
        y, out_size, per_block, begin, end,
        [&](std::int64_t first, std::int64_t last, char* to) { row(x + first * in_size, to, last - first); },
        [&](std::int64_t first, kernels::Ahead* next) {
          next[0] = {x + first * in_size, per_block * in_size};
          return 1;
        });
  });
}

void run_unary(Run& c, UnaryFunction function, const double* p) {
  run_unary(c, [&](const char* x, char* y, std::int64_t n) { function(x, y, n, p); });
}

// A bias of a few channels makes rows that are not worth a call each: repeats it, so that many rows pass for one.
template <int N>
void widen_rows(Run& c, BroadcastPlan<N>& plan, const std::int64_t (&sizes)[N], const char* (&inputs)[N]) {
  constexpr std::int64_t kWide = 1024;  // elements
  const std::int64_t n = plan.dims[plan.rank - 1], together = kWide / n;
  if (plan.rank != 2 || together < 4 || plan.dims[0] < 2 * together) return;
  for (const auto& stride : plan.strides)
    if (stride[1] == 0 && stride[0] != 0) return;  // a column
  for (int k = 0; k < N; ++k) {
    if (plan.strides[k][0] != 0 || plan.strides[k][1] == 0) continue;
    char* repeated = c.scratch<char>(together * n * sizes[k]);
    for (std::int64_t r = 0; r < together; ++r) std::copy_n(inputs[k], n * sizes[k], repeated + r * n * sizes[k]);
    inputs[k] = repeated;
  }
  plan.widen(together);
}

// Runs row(inputs, to, n) over the parts of rows of a broadcast; `sizes` are the bytes of the inputs' elements.
template <int N, class Row>
void run_broadcast(Run& c, BroadcastPlan<N> plan, const std::int64_t (&sizes)[N], Row&& row) {
  const std::int64_t out_size = size_of(c.out(0).dtype), n = plan.size();
  const char* inputs[N];
  std::int64_t widest = out_size, bytes = n * out_size;
  for (int k = 0; k < N; ++k) {
    inputs[k] = c.input<char>(k);
    widest = std::max(widest, sizes[k]);
    bytes += c.shape(k).size() * sizes[k];
  }
  widen_rows(c, plan, sizes, inputs);
  char* y = c.output<char>(0);
  // Elements [begin, end) of the output to `to`.
  const auto compute = [&](std::int64_t begin, std::int64_t end, char* to) {
    plan.walk(begin, end, [&](const std::int64_t* offsets, std::int64_t at, std::int64_t count) {
      const char* from[N];
      for (int k = 0; k < N; ++k) from[k] = inputs[k] + offsets[k] * sizes[k];
      row(from, to + (at - begin) * out_size, count);
    });
  };
  if (!exceeds_cache(bytes)) {
    parallel_ranges(n, range_for(kCheap),
                    [&](std::int64_t begin, std::int64_t end) { compute(begin, end, y + begin * out_size); });
    return;
  }
  const std::int64_t per_block = stream_count(widest);
  parallel_ranges(n, kStreamGrain, [&](std::int64_t begin, std::int64_t end) {
    stream_range(y, out_size, per_block, begin, end, compute, [&](std::int64_t first, kernels::Ahead* next) {
      std::int64_t offsets[N];
      plan.offsets_of(first, offsets);
      for (int k = 0; k < N; ++k) next[k] = {inputs[k] + offsets[k] * sizes[k], per_block * sizes[k]};
      return N;
    });
  });
}

void infer_binary(Infer& c, bool supported, bool to_bool) {
  c.require_same_dtype();
  c.require(supported, "does not take dtype ", c.dtype(0), "; cast it first");
  c.out(to_bool ? DType::boolean : c.dtype(0), c.broadcast(c.shape(0), c.shape(1)));
}

void run_binary(Run& c, BinaryFunction function, const double* p) {
  const std::int64_t size = size_of(c.dtype(0));
  const BroadcastPlan<2> plan(c.out(0).shape, {&c.shape(0), &c.shape(1)});
  const std::int64_t stride_a = plan.strides[0][plan.rank - 1], stride_b = plan.strides[1][plan.rank - 1];
  run_broadcast<2>(c, plan, {size, size}, [&](const char* const* in, char* to, std::int64_t n) {
    function(in[0], stride_a, in[1], stride_b, to, n, p);
  });
}

// Parameters of an op as the kernels take them.
struct Parameters {
  double p[2] = {0, 0};
  template <class Op>
  explicit Parameters(const Op& op) {
    if constexpr (requires { op.alpha; }) p[0] = op.alpha;
    if constexpr (requires { op.negative_slope; }) p[0] = op.negative_slope;
    if constexpr (requires { op.low; }) p[0] = op.low, p[1] = op.high;
  }
};

constexpr double kNone[2] = {0, 0};
constexpr bool kFLOATING = false, kANGLE = false, kNUMERIC = false, kQUOTIENT = false, kLOGICAL = false,
               kPREDICATE = true, kCOMPARISON = true;

}  // namespace

namespace ops {

#define KCORE_UNARY(name, dtypes, expression)                                                                   \
  void infer(const name&, Infer& c) { infer_unary(c, of(kernels::elementwise().name, c.dtype(0)), k##dtypes); } \
  void run(const name& op, Run& c) { run_unary(c, of(kernels::elementwise().name, c.dtype(0)), Parameters(op).p); }
#include "kernels/elementwise/unary.inc"
#undef KCORE_UNARY

#define KCORE_BINARY(name, dtypes, expression)                                                                   \
  void infer(const name&, Infer& c) { infer_binary(c, of(kernels::elementwise().name, c.dtype(0)), k##dtypes); } \
  void run(const name& op, Run& c) { run_binary(c, of(kernels::elementwise().name, c.dtype(0)), Parameters(op).p); }
#include "kernels/elementwise/binary.inc"
#undef KCORE_BINARY

void infer(const clip& op, Infer& c) {
  c.require(op.low <= op.high, "expected low <= high, received low=", op.low, " and high=", op.high);
  infer_unary(c, of(kernels::elementwise().clip, c.dtype(0)), false);
}
void run(const clip& op, Run& c) { run_unary(c, of(kernels::elementwise().clip, c.dtype(0)), Parameters(op).p); }

void infer(const gelu&, Infer& c) { infer_unary(c, is_floating(c.dtype(0)), false); }
void run(const gelu& op, Run& c) { run_unary(c, of(kernels::elementwise().gelu[op.approximate], c.dtype(0)), kNone); }
void infer(const gelu_grad&, Infer& c) { infer_binary(c, is_floating(c.dtype(0)), false); }
void run(const gelu_grad& op, Run& c) {
  run_binary(c, of(kernels::elementwise().gelu_grad[op.approximate], c.dtype(0)), kNone);
}

void infer(const cast& op, Infer& c) { c.out(op.dtype, c.shape(0)); }
void run(const cast& op, Run& c) {
  const UnaryFunction function = kernels::elementwise().cast[static_cast<int>(c.dtype(0))][static_cast<int>(op.dtype)];
  run_unary(c, [&](const char* x, char* y, std::int64_t n) { function(x, y, n, kNone); });
}

void infer(const where&, Infer& c) {
  c.require_dtype(0, DType::boolean);
  c.require_same_dtype(1);
  c.out(c.dtype(1), c.broadcast(c.shape(0), c.broadcast(c.shape(1), c.shape(2))));
}
void run(const where&, Run& c) {
  const std::int64_t size = size_of(c.dtype(1));
  const kernels::SelectFunction function = select_of(c.dtype(1));
  const BroadcastPlan<3> plan(c.out(0).shape, {&c.shape(0), &c.shape(1), &c.shape(2)});
  const int last = plan.rank - 1;
  run_broadcast<3>(c, plan, {1, size, size}, [&](const char* const* in, char* to, std::int64_t n) {
    function(reinterpret_cast<const bool*>(in[0]), plan.strides[0][last], in[1], plan.strides[1][last], in[2],
             plan.strides[2][last], to, n);
  });
}

}  // namespace ops

ElementwiseKernel elementwise_kernel(const OpDef& def, const void* attrs, DType dtype) {
  using Find = void (*)(const void* attrs, DType dtype, ElementwiseKernel& kernel);
  static const std::unordered_map<std::string, Find> finds = {
#define KCORE_FIND(kind, name, entry)                                          \
  {                                                                            \
    #name, [](const void* attrs, DType dtype, ElementwiseKernel& kernel) {     \
      [[maybe_unused]] const auto& table = kernels::elementwise();             \
      [[maybe_unused]] const auto& op = *static_cast<const ops::name*>(attrs); \
      const Parameters parameters(op);                                         \
      kernel.kind = entry;                                                     \
      std::copy_n(parameters.p, 2, kernel.p);                                  \
    }                                                                          \
  }                                                                            \
  ,
#define KCORE_UNARY(name, dtypes, expression) KCORE_FIND(unary, name, of(table.name, dtype))
#define KCORE_BINARY(name, dtypes, expression) KCORE_FIND(binary, name, of(table.name, dtype))
#include "kernels/elementwise/binary.inc"
#include "kernels/elementwise/unary.inc"
#undef KCORE_UNARY
#undef KCORE_BINARY
      KCORE_FIND(unary, clip, of(table.clip, dtype)) KCORE_FIND(unary, gelu, of(table.gelu[op.approximate], dtype))
          KCORE_FIND(binary, gelu_grad, of(table.gelu_grad[op.approximate], dtype))
              KCORE_FIND(unary, cast, table.cast[static_cast<int>(dtype)][static_cast<int>(op.dtype)])
                  KCORE_FIND(select, where, select_of(dtype))
#undef KCORE_FIND
  };
  ElementwiseKernel kernel;
  finds.at(def.name)(attrs, dtype, kernel);
  return kernel;
}

}  // namespace kcore
