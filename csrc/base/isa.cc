// CPU detection through the compiler's CPUID helpers, which also ask the operating system (XGETBV).
#include "base/isa.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/log.h"

namespace kcore {
namespace {

constexpr const char* kNames[kIsaCount] = {"scalar", "avx2", "avx512"};

Isa parse(const char* name) {
  for (int i = 0; i < kIsaCount; ++i)
    if (std::strcmp(name, kNames[i]) == 0) return static_cast<Isa>(i);
  throw Error(ErrorKind::value, concat("[isa] expected one of scalar, avx2, avx512, received \"", name, "\""));
}

// KCORE_ISA is a cap: a machine without AVX-512 runs avx2 under KCORE_ISA=avx512.
Isa initial() {
  const char* cap = std::getenv("KCORE_ISA");
  const Isa isa = detected_isa();
  return cap && *cap ? std::min(isa, parse(cap)) : isa;
}

std::atomic<int>& current() {
  static std::atomic<int> value{static_cast<int>(initial())};
  return value;
}

}  // namespace

const char* name_of(Isa isa) { return kNames[static_cast<int>(isa)]; }

Isa detected_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::scalar;
}

Isa selected_isa() { return static_cast<Isa>(current().load(std::memory_order_relaxed)); }

void select_isa(const char* name) {
  Isa isa = parse(name);
  if (isa > detected_isa())
    throw Error(ErrorKind::value,
                concat("[isa] ", name, " is not supported by this machine, which has ", name_of(detected_isa())));
  current().store(static_cast<int>(isa));
}

bool log_dispatch(const char* family) {
  if (!log_enabled("dispatch")) return true;
  std::string line = concat(family, ": ", name_of(selected_isa()));
  for (int i = kIsaCount - 1; i > static_cast<int>(selected_isa()); --i) {
    const bool there = static_cast<Isa>(i) <= detected_isa();
    line += concat(", not ", kNames[i], there ? " (KCORE_ISA or select_isa)" : " (this machine lacks it)");
  }
  log("dispatch", line);
  return true;
}

}  // namespace kcore
