// CPU detection through the compiler's CPUID helpers, which also ask the operating system (XGETBV).
#include "base/isa.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/check.h"
#include "base/log.h"

namespace kcore {
namespace {

constexpr const char* kNames[kIsaCount] = {"scalar", "avx2", "avx512", "avx512_bf16", "amx"};

std::string all_names() {
  std::string names;
  for (const char* name : kNames) names += concat(names.empty() ? "" : ", ", name);
  return names;
}

// KCORE_ISA is a cap: a machine without AVX-512 runs avx2 under KCORE_ISA=avx512.
Isa initial() {
  const char* cap = std::getenv("KCORE_ISA");
  const Isa isa = detected_isa();
  return cap && *cap ? std::min(isa, isa_named(cap)) : isa;
}

std::atomic<int>& current() {
  static std::atomic<int> value{static_cast<int>(initial())};
  return value;
}

#if defined(KCORE_VECTOR_KERNELS) && !defined(KCORE_AMX_MODEL)
// Linux hands out the 8 KiB of tile registers on request, for all threads of the process.
bool tiles_granted() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

Isa find_vector_isa() {
#if defined(KCORE_VECTOR_KERNELS)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::scalar;
}

Isa find_isa() {
#if defined(KCORE_AMX_MODEL)
  return Isa::amx;  // in software, on any machine
#elif defined(KCORE_VECTOR_KERNELS)
  const Isa isa = find_vector_isa();
  if (isa < Isa::avx512 || !__builtin_cpu_supports("avx512bf16")) return isa;
  const bool tiles = __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") && tiles_granted();
  return tiles ? Isa::amx : Isa::avx512_bf16;
#else
  return Isa::scalar;
#endif
}

}  // namespace

Isa isa_named(const char* name) {
  for (int i = 0; i < kIsaCount; ++i)
    if (std::strcmp(name, kNames[i]) == 0) return static_cast<Isa>(i);
  throw Error(ErrorKind::value, concat("[isa] expected one of ", all_names(), ", received \"", name, "\""));
}

const char* name_of(Isa isa) { return kNames[static_cast<int>(isa)]; }

Isa detected_isa() {
  static const Isa isa = find_isa();
  return isa;
}

Isa selected_isa() { return static_cast<Isa>(current().load(std::memory_order_relaxed)); }

Isa vector_isa() {
  static const Isa best = find_vector_isa();
  return std::min(selected_isa(), best);
}

void select_isa(const char* name) {
  Isa isa = isa_named(name);
  if (isa > detected_isa())
    throw Error(ErrorKind::value,
                concat("[isa] ", name, " is not supported by this machine, which has ", name_of(detected_isa())));
  current().store(static_cast<int>(isa));
}

bool log_dispatch(const char* family) {
  if (!log_enabled("dispatch")) return true;
  std::string line = concat(family, ": ", name_of(vector_isa()));
  for (Isa isa = Isa::avx512; isa > vector_isa(); isa = static_cast<Isa>(static_cast<int>(isa) - 1))
    line += concat(", not ", name_of(isa),
                   isa <= detected_isa() ? " (KCORE_ISA or select_isa)" : " (this machine lacks it)");
  log("dispatch", line);
  return true;
}

}  // namespace kcore
