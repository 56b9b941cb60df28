// The kernel of an elementwise op, for those who call it on parts of arrays.
#pragma once

#include "kernels/elementwise/elementwise.h"
#include "ops/op.h"

namespace kcore {

struct ElementwiseKernel {
  kernels::UnaryFunction unary = nullptr;
  kernels::BinaryFunction binary = nullptr;
  kernels::SelectFunction select = nullptr;
  double p[2] = {0, 0};

  // n elements; strides of 0 repeat the first element, except that of a unary op's input, which then counts once for
  // each element all the same.
  void operator()(const char* const* in, const std::int64_t* stride, char* y, std::int64_t n) const {
    if (unary)
      unary(in[0], y, n, p);
    else if (binary)
      binary(in[0], stride[0], in[1], stride[1], y, n, p);
    else
      select(reinterpret_cast<const bool*>(in[0]), stride[0], in[1], stride[1], in[2], stride[2], y, n);
  }
};

// Of an op whose last input has this dtype.
ElementwiseKernel elementwise_kernel(const OpDef& def, const void* attrs, DType dtype);

}  // namespace kcore
