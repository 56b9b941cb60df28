// Activations as attributes of ops.
#pragma once

#include "kernels/activation.h"
#include "ops/op.h"

namespace kcore::ops {

// infer refuses names that are no activation.
inline void require_activation(const Infer& c, const std::string& name) {
  for (int i = 0; i < kernels::kActivationCount; ++i)
    if (name == kernels::name_of(static_cast<kernels::Activation>(i))) return;
  c.fail("expected activation linear, relu, sigmoid or tanh, received \"", name, "\"");
}

inline kernels::Activation activation_of(const std::string& name) {
  int i = kernels::kActivationCount - 1;
  while (i > 0 && name != kernels::name_of(static_cast<kernels::Activation>(i))) --i;
  return static_cast<kernels::Activation>(i);
}

}  // namespace kcore::ops
