// Sizes of the data caches, found once at run time: what blocks are cut for, and from where on a store need not stay.
#pragma once

#include <cstddef>

namespace kcore {

struct CacheSizes {
  std::size_t l1, l2, l3;  // bytes: L1 and L2 of one core, L3 of the CPU (0 where there is none)
};

const CacheSizes& cache_sizes();

}  // namespace kcore
