// Conversion of whole arrays, for ops that compute in float32 on bfloat16.
#pragma once

#include "base/parallel.h"
#include "kernels/elementwise/elementwise.h"
#include "ops/op.h"

namespace kcore {

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
