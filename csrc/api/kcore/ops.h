// The ops, typed. Each line of ops.def is a struct of attributes here; run() computes it over the caller's memory:
//
//   kcore::run(kcore::ops::matmul{.transpose_b = true}, {a, b}, {y});
//
// infer() tells the specs of the outputs, and is what run() checks its arguments with. Both throw kcore::Error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kcore/tensor.h"

namespace kcore {

using Ints = std::vector<std::int64_t>;

namespace ops {
#define KCORE_ATTR(type, name, default_value) type name = default_value;
#define KCORE_OP(name, inputs, outputs, attrs) \
  struct name {                                \
    attrs                                      \
  };
#include "kcore/ops.def"
#undef KCORE_OP
#undef KCORE_ATTR
}  // namespace ops

using Specs = std::vector<TensorSpec>;
using Views = std::vector<TensorView>;

#define KCORE_OP(name, inputs, outputs, attrs)            \
  Specs infer(const ops::name& op, const Views& inputs_); \
  void run(const ops::name& op, const Views& inputs_, const Views& outputs_);
#include "kcore/ops.def"
#undef KCORE_OP

}  // namespace kcore
