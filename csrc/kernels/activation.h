// Activations that a product or a cell applies to its result while it is hot. All have a gradient that follows from y.
#pragma once

namespace kcore::kernels {

enum class Activation { linear, relu, sigmoid, tanh };
inline constexpr int kActivationCount = 4;

// As attributes of ops name them.
constexpr const char* name_of(Activation activation) {
  constexpr const char* names[kActivationCount] = {"linear", "relu", "sigmoid", "tanh"};
  return names[static_cast<int>(activation)];
}

}  // namespace kcore::kernels
