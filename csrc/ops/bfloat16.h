// Computing in float32 for bfloat16: elementwise kernels over chunks, and conversion of whole arrays.
#pragma once

#include <algorithm>

#include "base/parallel.h"
#include "kernels/elementwise/elementwise.h"
#include "ops/op.h"

namespace kcore {

// A chunk at a time is widened, computed and rounded, all of it in L1.
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

// Conversion of whole arrays between dtypes, in parallel.
inline void convert(const void* from, DType from_dtype, void* to, DType to_dtype, std::int64_t n) {
  constexpr std::int64_t kGrain = 1 << 16;  // elements of one block
  const auto cast = kernels::elementwise().cast[static_cast<int>(from_dtype)][static_cast<int>(to_dtype)];
  const std::int64_t from_size = size_of(from_dtype), to_size = size_of(to_dtype);
  parallel_ranges(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    cast(static_cast<const char*>(from) + begin * from_size, static_cast<char*>(to) + begin * to_size, end - begin,
         nullptr);
  });
}

template <class From, class To>
void convert(const From* from, To* to, std::int64_t n) {
  convert(from, dtype_of<From>, to, dtype_of<To>, n);
}

// An input of bfloat16 as float32, nullptr if it is absent.
inline const float* widened(Run& c, int i) {
  if (!c.has(i)) return nullptr;
  const std::int64_t size = c.shape(i).size();
  float* const y = c.scratch<float>(size);
  convert(c.input<bfloat16>(i), y, size);
  return y;
}

}  // namespace kcore
