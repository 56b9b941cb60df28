// Linux tells per core what each cache holds; a machine that hides them gets common sizes.
#include "base/cache.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace kcore {
namespace {

// One line of a cache's description ("32K", "Data"); false where there is none.
bool read(int index, const char* what, char (&text)[32]) {
  char path[96];
  std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, what);
  FILE* file = std::fopen(path, "r");
  if (!file) return false;
  const bool found = std::fscanf(file, "%31s", text) == 1;
  std::fclose(file);
  return found;
}

CacheSizes find() {
  CacheSizes sizes{32 << 10, 1 << 20, 0};
  char level[32], type[32], size[32];
  for (int i = 0; read(i, "level", level) && read(i, "type", type) && read(i, "size", size); ++i) {
    std::size_t count = 0;
    char unit = 'K';
    if (std::strcmp(type, "Instruction") == 0 || std::sscanf(size, "%zu%c", &count, &unit) < 1 || count == 0) continue;
    const std::size_t bytes = count << (unit == 'M' ? 20 : 10);
    if (level[0] == '1') sizes.l1 = bytes;
    if (level[0] == '2') sizes.l2 = bytes;
    if (level[0] == '3') sizes.l3 = bytes;
  }
  return sizes;
}

}  // namespace

const CacheSizes& cache_sizes() {
  static const CacheSizes sizes = find();
  return sizes;
}

bool exceeds_cache(std::int64_t bytes) {
  // A larger L3 is shared by more cores than one op gets, and not much faster than memory.
  constexpr std::size_t kShare = std::size_t{32} << 20;
  static const std::size_t limit = cache_sizes().l3 ? std::min(cache_sizes().l3, kShare) : 4 * cache_sizes().l2;
  return static_cast<std::size_t>(bytes) > limit;
}

}  // namespace kcore
