// Splitting a product into blocks for threads. Used by matmul and by the convolutions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/parallel.h"
#include "base/scratch.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/select.h"
#include "ops/op.h"

namespace kcore::ops {

// The kernels of a choice; without one, those that multiply by fused multiply-adds.
template <class T>
const kernels::GemmKernels<T>& gemm_kernels(const kernels::GemmKernel& kernel) {
  const kernels::Gemm& table = kernels::gemm(kernel.isa);
  const bool in_place = kernel.operands == kernels::Operands::in_place;
  if constexpr (sizeof(T) == sizeof(double)) {
    return in_place ? table.f64_in_place : table.f64;
  } else {
    return in_place ? table.f32_in_place : table.f32[static_cast<int>(kernel.arithmetic)];
  }
}
template <class T>
const kernels::GemmKernels<T>& gemm_kernels() {
  if constexpr (sizeof(T) == sizeof(double)) {
    return kernels::gemm().f64;
  } else {
    return kernels::gemm().f32[static_cast<int>(kernels::Arithmetic::fma)];
  }
}

// The kernel for a product at the precision of the run.
const kernels::GemmKernel& choose_gemm(const kernels::GemmQuery& query);
template <class T>
const kernels::GemmKernel& choose_gemm(const Run& c, std::int64_t m, std::int64_t n, std::int64_t k) {
  return choose_gemm({selected_isa(), c.precision(), std::is_same_v<T, float>, m, n, k});
}

// How C (m x n) and K are cut. The cut follows from the sizes alone.
struct GemmPlan {
  std::int64_t m, n, k, copies;
  std::int64_t block_m, block_n, block_k;
  std::int64_t count_m, count_n, count_k;

  // `copies` such products run side by side: a batch, the groups of a convolution. K is only cut (if at all allowed)
  // where C gives too few blocks; the partial results are then added in order.
  GemmPlan(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t copies = 1, bool cut_k = true);

  // Makes blocks of whole groups of so many rows (a divisor of kGemmMaxM).
  void round_rows(std::int64_t rows);

  std::int64_t blocks_per_copy() const { return count_m * count_n * count_k; }
  // The number of the partial result that a block belongs to.
  std::int64_t part(std::int64_t block) const { return block / (count_m * count_n); }
  kernels::GemmRange range(std::int64_t block) const;
  // Blocks that make a thread's turn worth its start.
  std::int64_t grain() const;

 private:
  void cut(std::int64_t parts_m, std::int64_t parts_n);
  // Multiply-adds, and packing as if it were such, of the thread that has most, each with a span of the blocks.
  double longest_turn(std::int64_t threads) const;
};

// How a matrix (length x k) times a vector is cut, for each of `batch`. Where the matrix lies transposed in memory, K
// is cut, so that every thread reads whole rows of it; the partial results are then added in order.
struct VectorPlan {
  std::int64_t length, k, block_i, block_k, count_i, count_k;

  VectorPlan(std::int64_t batch, std::int64_t length, std::int64_t k, bool transposed);
  kernels::VectorRange range(std::int64_t block) const;
  std::int64_t grain() const;
};

// Calls body(copy, range, out, ldout, epilogue, scratch) to fill a range of a copy's result: y + copy * y_step with row
// stride ldy, or a partial result that is added up here, before the epilogue. epilogue_of(copy) is that of a copy.
template <class T, class EpilogueOf, class Body>
void run_gemm(Run& c, const GemmPlan& plan, T* y, std::int64_t y_step, std::int64_t ldy, EpilogueOf&& epilogue_of,
              Body&& body) {
  const std::int64_t part_size = plan.m * plan.n, per_copy = plan.blocks_per_copy();
  T* const parts = plan.count_k > 1 ? c.scratch<T>(plan.copies * plan.count_k * part_size) : nullptr;
  parallel_ranges(plan.copies * per_copy, plan.grain(), [&](std::int64_t begin, std::int64_t end) {
    void* const scratch = thread_scratch(kernels::gemm_scratch_bytes());
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t copy = i / per_copy, block = i % per_copy;
      if (parts) {
        body(copy, plan.range(block), parts + (copy * plan.count_k + plan.part(block)) * part_size, plan.n,
             kernels::Epilogue<T>{}, scratch);
      } else {
        body(copy, plan.range(block), y + copy * y_step, ldy, epilogue_of(copy), scratch);
      }
    }
  });
  if (!parts) return;
  const double row_cost = 0.3 * static_cast<double>(plan.n * plan.count_k);
  for (std::int64_t copy = 0; copy < plan.copies; ++copy)
    parallel_ranges(plan.m, grain_for(row_cost), [&](std::int64_t i0, std::int64_t i1) {
      gemm_kernels<T>().combine(parts + copy * plan.count_k * part_size, plan.count_k, part_size, plan.n,
                                y + copy * y_step, ldy, {i0, i1, 0, plan.n, 0, plan.k}, epilogue_of(copy));
    });
}

// The same without an epilogue; body(copy, range, out, ldout, epilogue, scratch) gets an empty one.
template <class T, class Body>
void run_gemm(Run& c, const GemmPlan& plan, T* y, std::int64_t y_step, std::int64_t ldy, Body&& body) {
  run_gemm(c, plan, y, y_step, ldy, [](std::int64_t) { return kernels::Epilogue<T>{}; }, body);
}

}  // namespace kcore::ops
