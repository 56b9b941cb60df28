// The shape of a convolution: the attributes and sizes that its three ops share, and their checks.
#pragma once

#include "ops/op.h"

namespace kcore::ops {

struct ConvAxis {
  std::int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;

  // Pixels from the first tap to the last.
  std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
};

// Three spatial axes; the leading ones of one- and two-dimensional convolutions have size one.
struct ConvShape {
  int rank = 0;
  std::int64_t batch = 0, channels = 0, filters = 0, groups = 1;
  ConvAxis axis[3];

  std::int64_t group_channels() const { return channels / groups; }
  std::int64_t group_filters() const { return filters / groups; }
  std::int64_t taps() const { return axis[0].kernel * axis[1].kernel * axis[2].kernel; }
  std::int64_t positions() const { return batch * axis[0].out * axis[1].out * axis[2].out; }
  // A plain product of matrices: each position sees its own pixel alone.
  bool pointwise() const;
  // Groups that would fill few lanes of a vector: computed as depthwise ones.
  bool depthwise() const { return groups > 1 && group_channels() <= 8 && group_filters() <= 8 && channels > 0; }

  Shape x_shape() const;
  Shape y_shape() const;
  Shape kernel_shape() const;
};

// What an op's inputs and attributes say, unchecked: for run, whose inputs infer has seen.
ConvShape shape_of(const conv& op, const Shape& x, const Shape& kernel);
ConvShape shape_of(const conv_input_grad& op, const Shape& dy, const Shape& kernel);
ConvShape shape_of(const conv_kernel_grad& op, const Shape& x, const Shape& dy);

}  // namespace kcore::ops
