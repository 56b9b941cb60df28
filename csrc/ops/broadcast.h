// Broadcasting of n inputs as a walk over rows: collapsed shapes, so that the inner loop is as long as it can be.
#pragma once

#include <algorithm>

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

  std::int64_t size() const {
    std::int64_t n = 1;
    for (int d = 0; d < rank; ++d) n *= dims[d];
    return n;
  }

  // Calls row(offsets of the inputs, offset of the output, n) for the parts of rows that make up [begin, end) of the
  // output.
  template <class Row>
  void walk(std::int64_t begin, std::int64_t end, Row&& row) const {
    const int last = rank - 1;
    std::int64_t index[Shape::kMaxRank], offsets[N] = {};
    for (std::int64_t rest = begin, d = last; d >= 0; rest /= dims[d--]) {
      index[d] = rest % dims[d];
      for (int k = 0; k < N; ++k) offsets[k] += index[d] * strides[k][d];
    }
    for (std::int64_t at = begin; at < end;) {
      const std::int64_t n = std::min(dims[last] - index[last], end - at);
      row(offsets, at, n);
      at += n;
      index[last] += n;
      for (int k = 0; k < N; ++k) offsets[k] += n * strides[k][last];
      for (int d = last; d > 0 && index[d] == dims[d]; --d) {
        index[d] = 0;
        ++index[d - 1];
        for (int k = 0; k < N; ++k) offsets[k] += strides[k][d - 1] - dims[d] * strides[k][d];
      }
    }
  }

  // Of two dimensions: takes `together` rows for one. Inputs that repeat their row must hold it as often. The last row
  // may then be longer than what is left of the output.
  void widen(std::int64_t together) {
    dims[0] = (dims[0] + together - 1) / together;
    dims[1] *= together;
    for (auto& stride : strides) stride[0] *= together;
  }

  // The offsets of the inputs for one element of the output.
  void offsets_of(std::int64_t element, std::int64_t (&offsets)[N]) const {
    for (int k = 0; k < N; ++k) offsets[k] = 0;
    for (int d = rank - 1; d >= 0; element /= dims[d--])
      for (int k = 0; k < N; ++k) offsets[k] += element % dims[d] * strides[k][d];
  }
};

}  // namespace kcore
