// The cut of a product into blocks.
#include "ops/gemm.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kcore::ops {
namespace {

// K is cut as if C were cut into at least so many blocks of at most this size: the same on every machine, whatever its
// caches and its threads, and so are the sums.
constexpr std::int64_t kNominalBlocks = 16, kNominalSide = 512;
// Parts of K have at least this many spans.
constexpr std::int64_t kPartSpans = 4;
// Parts of K have at least this many multiply-adds, and a thread's turn, which takes it about five microseconds.
constexpr double kPartGrain = 1 << 20, kGrain = 1 << 18;
// Elements of a matrix that a core reads, and multiplies with a vector, in about ten microseconds.
constexpr std::int64_t kVectorGrain = 1 << 16;
// Multiply-adds in the time that packing an element takes.
constexpr double kPacking = 16;
// Of so many blocks for each thread, one more or less does not matter.
constexpr std::int64_t kManyTurns = 8;
// From here on (about ten milliseconds) a thread that is late costs more than packing for more blocks.
constexpr double kLarge = 1u << 31;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

const kernels::GemmKernel& choose_gemm(const kernels::GemmQuery& query) {
  const kernels::GemmKernel& chosen = kernels::select_gemm(query);
  static const bool logging = log_enabled("dispatch");
  if (logging) kernels::log_gemm(query, chosen);
  return chosen;
}

GemmPlan::GemmPlan(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t copies, bool cut_k)
    : m(m), n(n), k(k), copies(copies), block_k(k), count_k(1) {
  const double work =
      static_cast<double>(copies) * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const auto few = [&](std::int64_t wanted, double grain) {
    const std::int64_t blocks = copies * count_m * count_n * count_k;
    return blocks < wanted && work > 2 * grain * static_cast<double>(blocks);
  };
  // Halves the longer side while both halves stay as long as asked: packing costs (m + n) k for m n k of products.
  const auto cut_sides = [&](std::int64_t wanted, double grain, std::int64_t least_m, std::int64_t least_n) {
    while (few(wanted, grain)) {
      if (m / count_m >= n / count_n && m / count_m >= 2 * least_m) {
        count_m *= 2;
      } else if (n / count_n >= 2 * least_n) {
        count_n *= 2;
      } else {
        break;
      }
    }
  };

  const std::int64_t spans = divide_up(k, kernels::kGemmSpanK);
  if (cut_k && spans >= 2 * kPartSpans) {
    count_m = divide_up(m, kNominalSide);
    count_n = divide_up(n, kNominalSide);
    cut_sides(kNominalBlocks, kPartGrain, 128, 128);
    if (few(kNominalBlocks, kPartGrain)) {
      const std::int64_t wanted = std::min(divide_up(kNominalBlocks, copies * count_m * count_n), spans / kPartSpans);
      block_k = divide_up(spans, wanted) * kernels::kGemmSpanK;
      count_k = divide_up(k, block_k);
    }
  }

  count_m = divide_up(m, kernels::kGemmMaxM);
  count_n = divide_up(n, kernels::gemm_max_n());
  if (num_threads() > 1) cut_sides(num_threads() * (work > kLarge ? 2 : 1), kGrain, 32, 64);
  const std::int64_t threads = num_threads(), least_m = count_m, least_n = count_n;
  cut(least_m, least_n);
  if (threads == 1 || work <= 2 * kGrain || copies * blocks_per_copy() > kManyTurns * threads) return;
  // Three blocks would leave one of two threads waiting for the other.
  const std::int64_t more_m = divide_up(least_m, threads) * threads, more_n = divide_up(least_n, threads) * threads;
  GemmPlan best = *this;
  for (const auto& [i, j] : {std::pair{more_m, least_n}, {least_m, more_n}}) {
    cut(i, j);
    if (block_m >= 16 && longest_turn(threads) < 0.97 * best.longest_turn(threads)) best = *this;
  }
  *this = best;
}

void GemmPlan::cut(std::int64_t parts_m, std::int64_t parts_n) {
  block_m = divide_up(m, parts_m);
  block_n = divide_up(divide_up(n, parts_n), 64) * 64;  // whole micro-tiles
  count_m = divide_up(m, block_m);
  count_n = divide_up(n, block_n);
}

double GemmPlan::longest_turn(std::int64_t threads) const {
  const std::int64_t blocks = copies * blocks_per_copy();
  double longest = 0;
  for (std::int64_t t = 0; t < threads; ++t) {
    double turn = 0;
    for (std::int64_t i = t * blocks / threads; i < (t + 1) * blocks / threads; ++i) {
      const kernels::GemmRange r = range(i % blocks_per_copy());
      const auto rows = static_cast<double>(r.m1 - r.m0), columns = static_cast<double>(r.n1 - r.n0);
      turn += (rows * columns + kPacking * (rows + columns)) * static_cast<double>(r.k1 - r.k0);
    }
    longest = std::max(longest, turn);
  }
  return longest;
}

void GemmPlan::round_rows(std::int64_t rows) {
  block_m = divide_up(block_m, rows) * rows;
  count_m = divide_up(m, block_m);
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

VectorPlan::VectorPlan(std::int64_t batch, std::int64_t length, std::int64_t k, bool transposed)
    : length(length), k(k), block_i(length), block_k(std::max<std::int64_t>(1, k)), count_i(1), count_k(1) {
  const auto few = [&] {
    const std::int64_t blocks = batch * count_i * count_k;
    return blocks < kNominalBlocks && batch * length * k > blocks * kVectorGrain;
  };
  if (transposed) {
    while (few() && k / count_k >= 2 * kernels::kGemmSpanK / 4) count_k *= 2;
    block_k = divide_up(k, count_k);
    count_k = divide_up(k, block_k);
  }
  while (few() && length / count_i >= 128) count_i *= 2;
  block_i = divide_up(length, count_i);
  count_i = divide_up(length, block_i);
}

kernels::VectorRange VectorPlan::range(std::int64_t block) const {
  const std::int64_t i = block % count_i * block_i, p = block / count_i % count_k * block_k;
  return {i, std::min(length, i + block_i), p, std::min(k, p + block_k)};
}

std::int64_t VectorPlan::grain() const { return std::max<std::int64_t>(1, kVectorGrain / (block_i * block_k)); }

}  // namespace kcore::ops
