// Mean and variance of the columns of a product, for a normalization that follows: taken by groups of rows while these
// are in the cache, and merged in the order of the groups (Chan, Golub, LeVeque 1983).
#pragma once

#include <algorithm>
#include <limits>

#include "base/parallel.h"
#include "kernels/norm/norm.h"
#include "ops/op.h"

namespace kcore::ops {

template <class T>
class ColumnMoments {
 public:
  static constexpr std::int64_t kRows = 256;  // of a group: moments depend on it, and on no cut into blocks

  ColumnMoments(Run& c, std::int64_t rows, std::int64_t columns)
      : rows_(rows), columns_(columns), groups_((rows + kRows - 1) / kRows) {
    means_ = c.scratch<double>(2 * (groups_ + 1) * columns);
    squares_ = means_ + (groups_ + 1) * columns;
  }

  // Rows [m0, m1) and columns [n0, n1) of y (rows, columns), whole groups. What was written last comes first.
  void take(const T* y, std::int64_t m0, std::int64_t m1, std::int64_t n0, std::int64_t n1) const {
    for (std::int64_t group = (m1 + kRows - 1) / kRows - 1; group >= m0 / kRows; --group)
      for (std::int64_t n = n0; n < n1; n += kernels::kNormWidth) {
        const std::int64_t m = group * kRows, at = group * columns_ + n;
        table().moments(y + m * columns_ + n, std::min(kRows, m1 - m), std::min(kernels::kNormWidth, n1 - n), columns_,
                        means_ + at, squares_ + at);
      }
  }

  // All of y.
  void take(const T* y) const {
    parallel_ranges(groups_, grain_for(0.1 * static_cast<double>(kRows * columns_)),
                    [&](std::int64_t begin, std::int64_t end) {
                      take(y, (groups_ - end) * kRows, std::min(rows_, (groups_ - begin) * kRows), 0, columns_);
                    });
  }

  // Once all has been taken.
  void finish(T* mean, T* variance) const {
    if (rows_ == 0) {
      std::fill_n(mean, columns_, std::numeric_limits<T>::quiet_NaN());
      return void(std::fill_n(variance, columns_, std::numeric_limits<T>::quiet_NaN()));
    }
    double *const all = means_ + groups_ * columns_, *const spread = squares_ + groups_ * columns_;
    parallel_ranges(columns_, grain_for(2.0 * static_cast<double>(groups_)), [&](std::int64_t begin, std::int64_t end) {
      table().merge_moments(means_ + begin, squares_ + begin, groups_, end - begin, columns_, kRows,
                            rows_ - (groups_ - 1) * kRows, all + begin, spread + begin);
      for (std::int64_t i = begin; i < end; ++i) {
        mean[i] = static_cast<T>(all[i]);
        variance[i] = static_cast<T>(spread[i] / static_cast<double>(rows_));
      }
    });
  }

 private:
  static const kernels::NormTable<T>& table() {
    if constexpr (sizeof(T) == sizeof(double)) {
      return kernels::norm().f64;
    } else {
      return kernels::norm().f32;
    }
  }

  std::int64_t rows_, columns_, groups_;
  double *means_, *squares_;
};

// The two outputs that `statistics` adds to one of y's shape.
inline void infer_moments(Infer& c, std::int64_t columns) {
  c.require_floating(0);
  const DType dtype = c.dtype(0) == DType::bfloat16 ? DType::float32 : c.dtype(0);
  c.out(dtype, Shape{columns});
  c.out(dtype, Shape{columns});
}

}  // namespace kcore::ops
