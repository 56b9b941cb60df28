// Results that are written around the cache: a kernel fills one block after the other, kernels/stream.h says why.
#pragma once

#include <algorithm>

#include "base/cache.h"
#include "kernels/copy/copy.h"

namespace kcore {

// Elements of a block when the widest operand has elements of `bytes`.
constexpr std::int64_t stream_count(std::int64_t bytes) { return kernels::kStreamBytes / bytes; }

// Writes elements [begin, end) of y, which have `size` bytes, in blocks of at most `per_block`.
//   compute(first, last, to)   the elements [first, last) into the buffer `to`
//   ahead(first, next)         what is read from element `first` on: fills at most 4 and returns how many
template <class Compute, class NextInputs>
void stream_range(void* y, std::int64_t size, std::int64_t per_block, std::int64_t begin, std::int64_t end,
                  Compute&& compute, NextInputs&& ahead) {
  alignas(64) char block[kernels::kStreamBytes];
  const auto& copy = kernels::copy();
  for (std::int64_t first = begin; first < end;) {
    // Arrays begin on a cache line, so all blocks but the first do.
    const std::int64_t last = std::min(first + per_block - first % (64 / size), end);
    compute(first, last, block);
    kernels::Ahead next[4];
    const int count = last < end ? ahead(last, next) : 0;
    copy.stream_out(static_cast<char*>(y) + first * size, block, (last - first) * size, next, count);
    first = last;
  }
  copy.stream_end();
}

}  // namespace kcore
