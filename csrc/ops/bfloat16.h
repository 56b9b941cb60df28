// Elementwise kernels of float32 over bfloat16: a chunk at a time is widened, computed and rounded, all of it in L1.
#pragma once

#include <algorithm>

#include "kernels/elementwise/elementwise.h"

namespace kcore {

class Bfloat16Chunks {
 public:
  // Outputs that are not bfloat16 are bools, and written where they belong.
  explicit Bfloat16Chunks(DType out) : rounds_(out == DType::bfloat16) {}

  void operator()(kernels::UnaryFunction function, const char* x, char* y, std::int64_t n, const double* p) {
    for (std::int64_t i = 0; i < n; i += kChunk) {
      const std::int64_t m = std::min(kChunk, n - i);
      widen(x, i, m, a_);
      function(a_, rounds_ ? static_cast<void*>(y_) : y + i, m, p);
      round(y, i, m);
    }
  }

  void operator()(kernels::BinaryFunction function, const char* a, std::int64_t stride_a, const char* b,
                  std::int64_t stride_b, char* y, std::int64_t n, const double* p) {
    if (!stride_a) widen(a, 0, 1, a_);
    if (!stride_b) widen(b, 0, 1, b_);
    for (std::int64_t i = 0; i < n; i += kChunk) {
      const std::int64_t m = std::min(kChunk, n - i);
      if (stride_a) widen(a, i, m, a_);
      if (stride_b) widen(b, i, m, b_);
      function(a_, stride_a, b_, stride_b, rounds_ ? static_cast<void*>(y_) : y + i, m, p);
      round(y, i, m);
    }
  }

 private:
  static constexpr std::int64_t kChunk = 2048;  // three buffers of 8 KB

  static kernels::UnaryFunction cast(DType from, DType to) {
    return kernels::elementwise().cast[static_cast<int>(from)][static_cast<int>(to)];
  }
  void widen(const char* x, std::int64_t at, std::int64_t n, float* to) const {
    widen_(x + at * size_of(DType::bfloat16), to, n, nullptr);
  }
  void round(char* y, std::int64_t at, std::int64_t n) const {
    if (rounds_) round_(y_, y + at * size_of(DType::bfloat16), n, nullptr);
  }

  const bool rounds_;
  const kernels::UnaryFunction widen_ = cast(DType::bfloat16, DType::float32);
  const kernels::UnaryFunction round_ = cast(DType::float32, DType::bfloat16);
  alignas(64) float a_[kChunk], b_[kChunk], y_[kChunk];
};

}  // namespace kcore
