// Convolutions of bfloat16 arrays by products of bfloat16, read where they lie.
#pragma once

#include "kernels/activation.h"
#include "ops/conv_shape.h"

namespace kcore::ops {

// Each computes its op unless no kernel reads such arrays in place, and says whether it did.
bool forward_bf16(const ConvShape& s, Run& c, kernels::Activation activation);
bool input_grad_bf16(const ConvShape& s, Run& c);
bool kernel_grad_bf16(const ConvShape& s, Run& c);

}  // namespace kcore::ops
