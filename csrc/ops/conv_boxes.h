// How the positions of a convolution are cut into boxes, and where the boxes find their pixels (kernels/conv/conv.h).
#pragma once

#include "base/scratch.h"
#include "kernels/conv/conv.h"

namespace kcore::ops {

struct ConvBoxes {
  // Boxes of about `positions` positions or less, whose slabs stay in L2, `copy`-ed in any case or where it helps. All
  // follows from the arguments, none from the machine: the order in which a kernel's gradient is summed depends on the
  // boxes.
  ConvBoxes(const kernels::PatchAxis (&axis)[3], std::int64_t images, std::int64_t channels, std::int64_t pixel_stride,
            std::int64_t positions, bool copy = false);
  ConvBoxes(const ConvBoxes&) = delete;  // the slab points at taps_

  std::int64_t size() const { return boxes_[0] * boxes_[1] * boxes_[2] * boxes_[3]; }
  kernels::Box operator[](std::int64_t i) const;
  // Positions of a whole box, and its rows along the last axis.
  std::int64_t positions() const { return rows() * count_[3]; }
  std::int64_t rows() const { return count_[0] * count_[1] * count_[2]; }

  kernels::Slab slab;

 private:
  std::int64_t total_[4], count_[4], boxes_[4];
  RecycledVector<std::int64_t> taps_;
};

}  // namespace kcore::ops
