// Sizes of the data caches, found once at run time: what blocks are cut for, and from where on a store need not stay.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kcore {

struct CacheSizes {
  std::size_t l1, l2, l3;  // bytes: L1 and L2 of one core, L3 of the CPU (0 where there is none)
};

const CacheSizes& cache_sizes();

// Whether an op that reads and writes `bytes` leaves a result that is not in the cache when the next op reads it, and
// so had better be written around it (kernels/stream.h).
bool exceeds_cache(std::int64_t bytes);

}  // namespace kcore
