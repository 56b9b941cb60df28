// Broadcasting of n inputs as a walk over rows: collapsed shapes, so that the inner loop is as long as it can be.
#pragma once

#include "base/parallel.h"
#include "kcore/tensor.h"

namespace kcore {

// Element strides of N inputs over one output shape, neighbouring dimensions merged where every input allows it.
template <int N>
struct BroadcastPlan {
  int rank = 0;                              // of the collapsed shape, at least 1
  std::int64_t dims[Shape::kMaxRank];        // collapsed output shape
  std::int64_t strides[N][Shape::kMaxRank];  // 0 where the input repeats

  BroadcastPlan(const Shape& out, const Shape* const (&inputs)[N]) {
    for (int d = 0; d < out.rank(); ++d) {
      if (out[d] == 1 && out.rank() > 1 && !(rank == 0 && d + 1 == out.rank())) continue;
      std::int64_t stride[N];
      for (int k = 0; k < N; ++k) {
        const Shape& in = *inputs[k];
        const int i = d - (out.rank() - in.rank());
        stride[k] = i < 0 || in[i] == 1 ? 0 : in.count(i + 1, in.rank());
      }
      bool merge = rank > 0;
      for (int k = 0; k < N && merge; ++k) merge = strides[k][rank - 1] == stride[k] * out[d];
      if (merge) {
        dims[rank - 1] *= out[d];
      } else {
        dims[rank++] = out[d];
      }
      for (int k = 0; k < N; ++k) strides[k][rank - 1] = stride[k];
    }
    if (rank == 0) {
      dims[0] = 1;
      for (int k = 0; k < N; ++k) strides[k][0] = 0;
      rank = 1;
    }
  }

  // Calls row(offsets of the inputs, offset of the output, n) so that together the calls cover the output. `grain` is
  // the number of elements worth a thread.
  template <class Row>
  void run(std::int64_t grain, Row&& row) const {
    const std::int64_t inner = dims[rank - 1];
    std::int64_t rows = 1;
    for (int d = 0; d + 1 < rank; ++d) rows *= dims[d];
    if (rows == 1) {
      parallel_ranges(inner, grain, [&](std::int64_t begin, std::int64_t end) {
        std::int64_t offsets[N];
        for (int k = 0; k < N; ++k) offsets[k] = strides[k][rank - 1] * begin;
        row(offsets, begin, end - begin);
      });
      return;
    }
    parallel_ranges(rows, grain / inner + 1, [&](std::int64_t begin, std::int64_t end) {
      std::int64_t index[Shape::kMaxRank] = {};
      std::int64_t rest = begin;
      for (int d = rank - 2; d >= 0; rest /= dims[d--]) index[d] = rest % dims[d];
      for (std::int64_t r = begin; r < end; ++r) {
        std::int64_t offsets[N] = {};
        for (int k = 0; k < N; ++k)
          for (int d = 0; d + 1 < rank; ++d) offsets[k] += index[d] * strides[k][d];
        row(offsets, r * inner, inner);
        for (int d = rank - 2; d >= 0 && ++index[d] == dims[d]; --d) index[d] = 0;
      }
    });
  }
};

}  // namespace kcore
