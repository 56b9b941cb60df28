// The list of kernels, and the choice among them.
#include "kernels/gemm/select.h"

#include <iterator>
#include <string>

#include "base/check.h"
#include "base/log.h"

namespace kcore::kernels {
namespace {

constexpr GemmKernel kKernels[] = {
#define KCORE_GEMM_KERNEL(name, isa, arithmetic, operands, precision, least_share) \
  {#name, Isa::isa, Arithmetic::arithmetic, Operands::operands, Precision::precision, least_share},
#include "kernels/gemm/kernels.inc"
#undef KCORE_GEMM_KERNEL
};

double share_of_tiles(std::int64_t size, std::int64_t tile) {
  return static_cast<double>(size) / static_cast<double>((size + tile - 1) / tile * tile);
}

// Whether either operand is read so often that rewriting it, at the price of about ten multiply-adds an element, is
// nothing. A product of few rows is one panel of A: it reads B once.
bool packing_pays(const GemmQuery& query) {
  if (query.m <= 16) return false;
  return query.n > 512 || (query.m > 256 && query.n > 256);
}

}  // namespace

const char* GemmKernel::declines(const GemmQuery& query) const {
  if (isa > query.isa) return "needs a better ISA";
  if (arithmetic != Arithmetic::fma && !query.float32) return "float32 only";
  if (precision > query.precision) return "not precise enough";
  if (least_share > 0 &&
      share_of_tiles(query.m, 16) * share_of_tiles(query.n, 16) * share_of_tiles(query.k, 32) < least_share)
    return "its tiles would be too empty";
  if (operands == Operands::in_place && packing_pays(query)) return "packing pays";
  return nullptr;
}

const GemmKernel& select_gemm(const GemmQuery& query) {
  for (const GemmKernel& kernel : kKernels)
    if (!kernel.declines(query)) return kernel;
  return *(std::end(kKernels) - 1);
}

void log_gemm(const GemmQuery& query, const GemmKernel& chosen) {
  std::string line = concat("gemm ", query.m, "x", query.n, "x", query.k, ": ", chosen.name);
  for (const GemmKernel& kernel : kKernels) {
    if (&kernel == &chosen) break;
    line += concat("; not ", kernel.name, " (", kernel.declines(query), ")");
  }
  log("dispatch", line);
}

}  // namespace kcore::kernels
