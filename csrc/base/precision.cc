// A setting of the process, read at every product.
#include "base/precision.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace kcore {
namespace {

constexpr const char* kNames[kPrecisionCount] = {"ieee", "highest", "high", "medium"};

std::atomic<int>& current() {
  static std::atomic<int> value{[] {
    const char* name = std::getenv("KCORE_FLOAT32_MATMUL_PRECISION");
    return static_cast<int>(name && *name ? precision_named(name) : Precision::highest);
  }()};
  return value;
}

}  // namespace

Precision precision_named(const char* name) {
  for (int i = 0; i < kPrecisionCount; ++i)
    if (std::strcmp(name, kNames[i]) == 0) return static_cast<Precision>(i);
  throw Error(ErrorKind::value,
              concat("[float32_matmul_precision] expected ieee, highest, high or medium, received \"", name, "\""));
}

const char* name_of(Precision precision) { return kNames[static_cast<int>(precision)]; }

Precision float32_matmul_precision() { return static_cast<Precision>(current().load(std::memory_order_relaxed)); }

void set_float32_matmul_precision(const char* name) { current().store(static_cast<int>(precision_named(name))); }

}  // namespace kcore
