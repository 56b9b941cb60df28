// y = activation(op(a) op(b) + bias + residual): matrices in the last two dimensions, the leading ones broadcast.
#include <algorithm>

#include "ops/activation.h"
#include "ops/bfloat16.h"
#include "ops/column_moments.h"
#include "ops/gemm.h"

namespace kcore::ops {
namespace {

Shape batch_of(const Shape& shape) { return Shape(shape.begin(), shape.rank() - 2); }

// Which matrix of an operand belongs to a batch index of the result: broadcast dimensions do not advance it.
class BatchIndex {
 public:
  BatchIndex(const Shape& operand, const Shape& result) : result_(result) {
    std::int64_t step = 1;
    const int missing = result.rank() - operand.rank();
    for (int i = result.rank() - 1; i >= 0; --i) {
      const std::int64_t dim = i < missing ? 1 : operand[i - missing];
      steps_[i] = dim == 1 ? 0 : step;
      step *= dim;
    }
  }
  std::int64_t operator()(std::int64_t batch) const {
    std::int64_t index = 0;
    for (int i = result_.rank() - 1; i >= 0; --i) {
      index += batch % result_[i] * steps_[i];
      batch /= result_[i];
    }
    return index;
  }

 private:
  Shape result_;
  std::int64_t steps_[Shape::kMaxRank] = {};
};

struct Problem {
  std::int64_t batch, m, n, k;
  BatchIndex a_index, b_index;
};

template <class T>
kernels::Matrix<T> matrix(const T* data, std::int64_t rows, std::int64_t columns, bool transposed) {
  return {data, transposed ? rows : columns, transposed};
}

// y[i] (length) = epilogue(big_at(i) x_at(i)) for each i of a batch; a column of C, or a row.
template <class T, class BigAt, class VectorAt, class EpilogueAt>
void vector_product(Run& c, std::int64_t batch, std::int64_t length, std::int64_t k, bool column, T* y, BigAt&& big_at,
                    VectorAt&& x_at, EpilogueAt&& epilogue_at) {
  const auto& kernels = gemm_kernels<T>();
  const auto multiply = [&](const auto& big, const T* x, T* out, const kernels::VectorRange& range) {
    if constexpr (std::is_same_v<decltype(big.data), const bfloat16*>) {
      kernels.vector_bf16(big, x, out, range);
    } else {
      kernels.vector(big, x, out, range);
    }
  };
  const VectorPlan plan(batch, length, k, big_at(0).transposed);
  T* const parts = plan.count_k > 1 ? c.scratch<T>(batch * plan.count_k * length) : nullptr;
  const auto finish_range = [&](std::int64_t i0, std::int64_t i1) {
    return column ? kernels::GemmRange{i0, i1, 0, 1, 0, k} : kernels::GemmRange{0, 1, i0, i1, 0, k};
  };
  parallel_ranges(batch * plan.count_i * plan.count_k, plan.grain(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t i = block / (plan.count_i * plan.count_k), part = block / plan.count_i % plan.count_k;
      const kernels::VectorRange range = plan.range(block);
      if (parts) {
        multiply(big_at(i), x_at(i), parts + (i * plan.count_k + part) * length, range);
      } else {
        multiply(big_at(i), x_at(i), y + i * length, range);
        const auto epilogue = epilogue_at(i);
        if (!epilogue.empty())
          kernels.finish(y + i * length, column ? 1 : length, finish_range(range.i0, range.i1), epilogue);
      }
    }
  });
  if (!parts) return;
  for (std::int64_t i = 0; i < batch; ++i)
    kernels.combine(parts + i * plan.count_k * length, plan.count_k, length, column ? 1 : length, y + i * length,
                    column ? 1 : length, finish_range(0, length), epilogue_at(i));
}

// Operands stored as `Stored`, everything else in T. Whether moments have been taken, block by block.
template <class T, class Stored>
bool multiply(const matmul& op, Run& c, const Problem& p, const T* bias, const T* residual, T* y,
              const ColumnMoments<T>* moments) {
  const Stored *const a = c.input<Stored>(0), *const b = c.input<Stored>(1);
  const kernels::Activation activation = activation_of(op.activation);
  const auto epilogue_at = [&](std::int64_t i) {
    return kernels::Epilogue<T>{bias, residual ? residual + i * p.m * p.n : nullptr, p.n, activation};
  };
  const auto a_at = [&](std::int64_t i) { return matrix(a + p.a_index(i) * p.m * p.k, p.m, p.k, op.transpose_a); };
  const auto b_at = [&](std::int64_t i) { return matrix(b + p.b_index(i) * p.k * p.n, p.k, p.n, op.transpose_b); };

  if (p.m == 1 || p.n == 1) {
    // A row times B is B transposed times the row.
    const auto big_at = [&](std::int64_t i) {
      auto big = p.n == 1 ? a_at(i) : b_at(i);
      if (p.n != 1) big.transposed = !big.transposed;
      return big;
    };
    const int small = p.n == 1 ? 1 : 0;
    const T* x;
    if constexpr (std::is_same_v<T, Stored>) {
      x = c.input<T>(small);
    } else {
      x = widened(c, small);
    }
    const auto x_at = [&](std::int64_t i) { return x + (small ? p.b_index(i) : p.a_index(i)) * p.k; };
    vector_product<T>(c, p.batch, std::max(p.m, p.n), p.k, p.n == 1, y, big_at, x_at, epilogue_at);
    return false;
  }

  const auto& kernels = gemm_kernels<T>(choose_gemm<T>(c, p.m, p.n, p.k));
  GemmPlan plan(p.m, p.n, p.k, p.batch);
  const bool hot = moments && p.batch == 1 && plan.count_k == 1 && p.m >= 8 * ColumnMoments<T>::kRows;
  if (hot) plan.round_rows(ColumnMoments<T>::kRows);
  run_gemm(c, plan, y, p.m * p.n, p.n, epilogue_at,
           [&](std::int64_t i, const kernels::GemmRange& range, T* out, std::int64_t ldout,
               const kernels::Epilogue<T>& epilogue, void* scratch) {
             if constexpr (std::is_same_v<T, Stored>) {
               kernels.block(a_at(i), b_at(i), out, ldout, range, epilogue, scratch);
             } else {
               kernels.block_bf16(a_at(i), b_at(i), out, ldout, range, epilogue, scratch);
             }
             if (hot) moments->take(out, range.m0, range.m1, range.n0, range.n1);
           });
  return hot;
}

template <class T, class Stored>
void floating(const matmul& op, Run& c, const Problem& p, const T* bias, const T* residual, T* y) {
  if (!op.statistics) return void(multiply<T, Stored>(op, c, p, bias, residual, y, nullptr));
  const ColumnMoments<T> moments(c, p.batch * p.m, p.n);
  if (!multiply<T, Stored>(op, c, p, bias, residual, y, &moments)) moments.take(y);
  moments.finish(c.output<T>(1), c.output<T>(2));
}

template <class T>
void floating(const matmul& op, Run& c, const Problem& p) {
  floating<T, T>(op, c, p, c.input<T>(2), c.input<T>(3), c.output<T>(0));
}

// Sums in float32, rounded once. Products of bfloat16 are exact at any precision.
void of_bfloat16(const matmul& op, Run& c, const Problem& p) {
  const std::int64_t size = c.out(0).shape.size();
  float* const y = c.scratch<float>(size);
  c.allow(Precision::medium);
  floating<float, bfloat16>(op, c, p, widened(c, 2), widened(c, 3), y);
  convert(y, c.output<bfloat16>(0), size);
}

// Integers wrap around, as NumPy's do; signed and unsigned products have the same bits.
template <class T, class Kernel>
void integer(const matmul& op, Run& c, const Problem& p, Kernel kernel) {
  const T *const a = c.input<T>(0), *const b = c.input<T>(1);
  parallel_ranges(p.batch * p.m, grain_for(0.5 * static_cast<double>(p.n * (p.k + 1))),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t row = begin; row < end;) {
                      const std::int64_t i = row / p.m, m0 = row % p.m, m1 = std::min(p.m, m0 + end - row);
                      kernel(matrix(a + p.a_index(i) * p.m * p.k, p.m, p.k, op.transpose_a),
                             matrix(b + p.b_index(i) * p.k * p.n, p.k, p.n, op.transpose_b),
                             c.output<T>(0) + i * p.m * p.n, p.n, p.k, m0, m1);
                      row += m1 - m0;
                    }
                  });
}

}  // namespace

void infer(const matmul& op, Infer& c) {
  c.require_same_dtype();
  c.require(c.dtype(0) != DType::boolean && c.dtype(0) != DType::uint8,
            "expected int32, uint32, int64 or a float dtype, received ", c.dtype(0));
  const Shape &a = c.shape(0), &b = c.shape(1);
  c.require(a.rank() >= 2 && b.rank() >= 2, "expected at least 2 dimensions, received shapes ", a, " and ", b);
  const std::int64_t m = a.last(op.transpose_a ? 0 : 1), k = a.last(op.transpose_a ? 1 : 0);
  const std::int64_t n = b.last(op.transpose_b ? 1 : 0), kb = b.last(op.transpose_b ? 0 : 1);
  c.require(k == kb, "expected b with ", k, op.transpose_b ? " columns" : " rows", ", received shape ", b, "; a is ", a,
            op.transpose_a ? " (transposed)" : "");
  Shape y = c.broadcast(batch_of(a), batch_of(b));
  y.push_back(m);
  y.push_back(n);
  require_activation(c, op.activation);
  c.require(is_floating(c.dtype(0)) || (!c.has(2) && !c.has(3) && op.activation == "linear"),
            "expected floats where there is a bias, a residual or an activation, received ", c.dtype(0));
  if (c.has(2)) c.require_shape(2, {n});
  if (c.has(3)) c.require_shape(3, y);
  c.out(c.dtype(0), y);
  if (op.statistics) infer_moments(c, n);
}

void run(const matmul& op, Run& c) {
  c.require_apart();  // C holds partial sums while the operands and the residual are still read
  const Shape &a = c.shape(0), &b = c.shape(1), y_batch = batch_of(c.out(0).shape);
  Problem p{y_batch.size(),
            c.out(0).shape.last(1),
            c.out(0).shape.last(),
            a.last(op.transpose_a ? 1 : 0),
            BatchIndex(batch_of(a), y_batch),
            BatchIndex(batch_of(b), y_batch)};
  // One matrix b for a whole batch of a: the batch is more rows.
  if (!op.transpose_a && batch_of(b).size() == 1 && batch_of(a).size() == p.batch) {
    p.m *= p.batch;
    p.batch = 1;
  }
  switch (c.dtype(0)) {
    case DType::float32: return floating<float>(op, c, p);
    case DType::float64: return floating<double>(op, c, p);
    case DType::bfloat16: return of_bfloat16(op, c, p);
    case DType::int64: return integer<std::uint64_t>(op, c, p, kernels::gemm().u64);
    default: return integer<std::uint32_t>(op, c, p, kernels::gemm().u32);
  }
}

}  // namespace kcore::ops
