// Elementwise ops: one template for all unary ops, one for all binary ops, and select, cast, clip.
#include "kernels/elementwise/elementwise.h"

#include "base/parallel.h"
#include "ops/broadcast.h"
#include "ops/op.h"

namespace kcore {
namespace {

using kernels::BinaryFunction;
using kernels::UnaryFunction;

// Nanoseconds per element decide how much work is worth a thread: libm calls against a vector add.
constexpr double kCheap = 0.3, kCostly = 3.0;

template <class Table>
bool takes(const Table& table, DType dtype) {
  return table[static_cast<int>(dtype)] != nullptr;
}

void infer_unary(Infer& c, bool supported, bool predicate) {
  c.require(supported, "does not take dtype ", c.dtype(0), "; cast it first");
  c.out(predicate ? DType::boolean : c.dtype(0), c.shape(0));
}

void run_unary(Run& c, UnaryFunction function, const double* p) {
  const std::int64_t in_size = size_of(c.dtype(0)), out_size = size_of(c.out(0).dtype);
  const char* x = c.input<char>(0);
  char* y = c.output<char>(0);
  parallel_ranges(c.shape(0).size(), grain_for(kCostly), [&](std::int64_t begin, std::int64_t end) {
    function(x + begin * in_size, y + begin * out_size, end - begin, p);
  });
}

void infer_binary(Infer& c, bool supported, bool to_bool) {
  c.require_same_dtype();
  c.require(supported, "does not take dtype ", c.dtype(0), "; cast it first");
  c.out(to_bool ? DType::boolean : c.dtype(0), c.broadcast(c.shape(0), c.shape(1)));
}

void run_binary(Run& c, BinaryFunction function, const double* p) {
  const std::int64_t in_size = size_of(c.dtype(0)), out_size = size_of(c.out(0).dtype);
  const char *a = c.input<char>(0), *b = c.input<char>(1);
  char* y = c.output<char>(0);
  const BroadcastPlan<2> plan(c.out(0).shape, {&c.shape(0), &c.shape(1)});
  const std::int64_t stride_a = plan.strides[0][plan.rank - 1], stride_b = plan.strides[1][plan.rank - 1];
  plan.run(grain_for(kCheap), [&](const std::int64_t* offsets, std::int64_t offset, std::int64_t n) {
    function(a + offsets[0] * in_size, stride_a, b + offsets[1] * in_size, stride_b, y + offset * out_size, n, p);
  });
}

// Parameters of an op as the kernels take them.
struct Parameters {
  double p[2] = {0, 0};
  template <class Op>
  explicit Parameters(const Op& op) {
    if constexpr (requires { op.alpha; }) p[0] = op.alpha;
    if constexpr (requires { op.negative_slope; }) p[0] = op.negative_slope;
    if constexpr (requires { op.approximate; }) p[0] = op.approximate;
  }
};

constexpr bool kFLOATING = false, kNUMERIC = false, kLOGICAL = false, kPREDICATE = true, kCOMPARISON = true;

}  // namespace

namespace ops {

#define KCORE_UNARY(name, dtypes, expression)                                                                      \
  void infer(const name&, Infer& c) { infer_unary(c, takes(kernels::elementwise().name, c.dtype(0)), k##dtypes); } \
  void run(const name& op, Run& c) {                                                                               \
    run_unary(c, kernels::elementwise().name[static_cast<int>(c.dtype(0))], Parameters(op).p);                     \
  }
#include "kernels/elementwise/unary.inc"
#undef KCORE_UNARY

#define KCORE_BINARY(name, dtypes, expression)                                                                      \
  void infer(const name&, Infer& c) { infer_binary(c, takes(kernels::elementwise().name, c.dtype(0)), k##dtypes); } \
  void run(const name& op, Run& c) {                                                                                \
    run_binary(c, kernels::elementwise().name[static_cast<int>(c.dtype(0))], Parameters(op).p);                     \
  }
#include "kernels/elementwise/binary.inc"
#undef KCORE_BINARY

void infer(const logical_not&, Infer& c) {
  infer_unary(c, takes(kernels::elementwise().logical_not, c.dtype(0)), true);
}
void run(const logical_not&, Run& c) { run_unary(c, kernels::elementwise().logical_not[0], nullptr); }

void infer(const clip& op, Infer& c) {
  c.require(op.low <= op.high, "expected low <= high, received low=", op.low, " and high=", op.high);
  infer_unary(c, takes(kernels::elementwise().clip, c.dtype(0)), false);
}
void run(const clip& op, Run& c) {
  const double p[2] = {op.low, op.high};
  run_unary(c, kernels::elementwise().clip[static_cast<int>(c.dtype(0))], p);
}

void infer(const cast& op, Infer& c) { c.out(op.dtype, c.shape(0)); }
void run(const cast& op, Run& c) {
  run_unary(c, kernels::elementwise().cast[static_cast<int>(c.dtype(0))][static_cast<int>(op.dtype)], nullptr);
}

void infer(const where&, Infer& c) {
  c.require_dtype(0, DType::boolean);
  c.require_same_dtype(1);
  c.out(c.dtype(1), c.broadcast(c.shape(0), c.broadcast(c.shape(1), c.shape(2))));
}
void run(const where&, Run& c) {
  const auto& table = kernels::elementwise();
  const std::int64_t size = size_of(c.dtype(1));
  const kernels::SelectFunction function = size == 1 ? table.select1 : size == 4 ? table.select4 : table.select8;
  const bool* condition = c.input<bool>(0);
  const char *a = c.input<char>(1), *b = c.input<char>(2);
  char* y = c.output<char>(0);
  const BroadcastPlan<3> plan(c.out(0).shape, {&c.shape(0), &c.shape(1), &c.shape(2)});
  const int last = plan.rank - 1;
  plan.run(grain_for(kCheap), [&](const std::int64_t* offsets, std::int64_t offset, std::int64_t n) {
    function(condition + offsets[0], plan.strides[0][last], a + offsets[1] * size, plan.strides[1][last],
             b + offsets[2] * size, plan.strides[2][last], y + offset * size, n);
  });
}

}  // namespace ops
}  // namespace kcore
