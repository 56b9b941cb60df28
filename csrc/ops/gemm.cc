// The cut of a product into blocks.
#include "ops/gemm.h"

namespace kcore::ops {
namespace {

// Enough for many cores; more would pack the operands too often.
constexpr std::int64_t kBlocks = 16;
// Columns of a block on a common machine. K is cut by this number, so that sums are the same on every machine.
constexpr std::int64_t kNominalN = 512;
// K is cut into parts of at least this many spans.
constexpr std::int64_t kPartSpans = 4;
// Multiply-adds that keep a core busy for about ten microseconds.
constexpr double kGrain = 1 << 20;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

GemmPlan::GemmPlan(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t copies, bool cut_k)
    : m(m), n(n), k(k), copies(copies) {
  count_m = divide_up(m, kernels::kGemmMaxM);
  count_n = divide_up(n, kNominalN);
  count_k = 1;
  const double work =
      static_cast<double>(copies) * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const auto blocks = [&] { return copies * count_m * count_n * count_k; };
  const auto few = [&] { return blocks() < kBlocks && work > 2 * kGrain * static_cast<double>(blocks()); };
  // Halves the longer side while both halves stay as long as asked: packing costs (m + n) k for m n k of products.
  const auto cut_sides = [&](std::int64_t least_m, std::int64_t least_n) {
    while (few()) {
      if (m / count_m >= n / count_n && m / count_m >= 2 * least_m) {
        count_m *= 2;
      } else if (n / count_n >= 2 * least_n) {
        count_n *= 2;
      } else {
        break;
      }
    }
  };
  cut_sides(128, 128);
  const std::int64_t spans = divide_up(k, kernels::kGemmSpanK);
  block_k = k;
  if (cut_k && few() && spans >= 2 * kPartSpans) {
    const std::int64_t wanted = std::min(divide_up(kBlocks, copies * count_m * count_n), spans / kPartSpans);
    block_k = divide_up(spans, wanted) * kernels::kGemmSpanK;
    count_k = divide_up(k, block_k);
  }
  cut_sides(32, 64);
  const std::int64_t most = kernels::gemm_max_n();
  count_n = std::max(count_n, divide_up(n, most));
  while (blocks() >= 2 * kBlocks && count_n > 1 && divide_up(n, count_n / 2) <= most) count_n /= 2;
  block_m = divide_up(m, count_m);
  block_n = divide_up(divide_up(n, count_n), 64) * 64;  // whole micro-tiles
  count_m = divide_up(m, block_m);
  count_n = divide_up(n, block_n);
}

kernels::GemmRange GemmPlan::range(std::int64_t block) const {
  const std::int64_t i = block / count_n % count_m, j = block % count_n, p = part(block);
  return {i * block_m, std::min(m, (i + 1) * block_m), j * block_n, std::min(n, (j + 1) * block_n),
          p * block_k, std::min(k, (p + 1) * block_k)};
}

std::int64_t GemmPlan::grain() const {
  const double work = static_cast<double>(block_m) * static_cast<double>(block_n) * static_cast<double>(block_k + 1);
  return work >= kGrain ? 1 : static_cast<std::int64_t>(kGrain / work);
}

}  // namespace kcore::ops
