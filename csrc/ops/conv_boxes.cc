// Boxes grow from the innermost axis outwards.
#include "ops/conv_boxes.h"

#include <algorithm>

namespace kcore::ops {
namespace {

// A slab of so many floats takes a third of a common L2.
constexpr std::int64_t kSlabElements = 96 << 10;
// Elements of a cache line of floats.
constexpr std::int64_t kLine = 16;
// Neighbouring positions this many elements (a multiple of 1 KiB) apart fall into the same few sets of L1.
constexpr std::int64_t kConflict = 256;
// Fewer channels than this are worth gathering, so that the taps along a row form one run.
constexpr std::int64_t kShortRun = 16;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

ConvBoxes::ConvBoxes(const kernels::PatchAxis (&axis)[3], std::int64_t images, std::int64_t channels,
                     std::int64_t pixel_stride, std::int64_t positions, bool copy)
    : total_{images, axis[0].positions, axis[1].positions, axis[2].positions} {
  // An axis of one tap needs the pixels of its positions only; others need all pixels from first to last.
  std::int64_t step[3];  // pixels of the slab from one position to the next
  bool within = true, neighbours = true;
  for (int i = 0; i < 3; ++i) {
    const kernels::PatchAxis& a = axis[i];
    slab.source_step[i] = a.taps > 1 ? 1 : a.step;
    slab.reach[i] = a.taps > 0 ? a.offsets[a.taps - 1] - a.offsets[0] + 1 : 0;
    step[i] = a.taps > 1 ? a.step : 1;
    within = within && a.taps > 0 && a.offsets[0] >= 0 && (a.positions - 1) * a.step + a.offsets[a.taps - 1] < a.extent;
  }
  for (std::int64_t t = 1; t < axis[2].taps; ++t)
    neighbours = neighbours && axis[2].offsets[t] == axis[2].offsets[t - 1] + 1;
  slab.copied = copy || !within || (axis[2].step * pixel_stride) % (2 * kConflict) == 0 ||
                (pixel_stride != channels && neighbours && axis[2].taps > 1 && channels < kShortRun);

  std::int64_t pixel = channels;
  if (pixel > 0 && step[2] * pixel % kConflict == 0) pixel += kLine;
  const auto pixels = [&](int i, std::int64_t count) { return (count - 1) * step[i] + slab.reach[i]; };
  const auto fits = [&](const std::int64_t(&count)[4]) {
    std::int64_t elements = count[0] * pixel;
    for (int i = 0; i < 3; ++i) elements *= pixels(i, count[i + 1]);
    return (!slab.copied || elements <= kSlabElements) && count[0] * count[1] * count[2] * count[3] <= positions;
  };
  // As much of each axis as fits, in parts of nearly equal size; the next axis only where that is all of it.
  std::fill(count_, count_ + 4, 1);
  for (int i = 3; i >= 0; --i) {
    std::int64_t low = 1, high = std::max<std::int64_t>(total_[i], 1);
    while (low < high) {
      count_[i] = (low + high + 1) / 2;
      if (fits(count_)) {
        low = count_[i];
      } else {
        high = count_[i] - 1;
      }
    }
    boxes_[i] = divide_up(total_[i], low);
    count_[i] = divide_up(total_[i], std::max<std::int64_t>(boxes_[i], 1));
    if (count_[i] < total_[i]) {
      for (int j = 0; j < i; ++j) boxes_[j] = total_[j];
      break;
    }
  }

  slab.pixel_stride[2] = slab.copied ? pixel : pixel_stride;
  for (int i = 1; i >= 0; --i)
    slab.pixel_stride[i] = slab.pixel_stride[i + 1] * (slab.copied ? pixels(i + 1, count_[i + 2]) : axis[i + 1].extent);
  slab.image_stride = slab.pixel_stride[0] * (slab.copied ? pixels(0, count_[1]) : axis[0].extent);
  for (int i = 0; i < 3; ++i) slab.position_stride[i] = slab.pixel_stride[i] * (slab.copied ? step[i] : axis[i].step);
  slab.elements = slab.copied ? divide_up(slab.image_stride * count_[0], kLine) * kLine : 0;

  for (std::int64_t d = 0; d < axis[0].taps; ++d)
    for (std::int64_t h = 0; h < axis[1].taps; ++h)
      for (std::int64_t w = 0; w < axis[2].taps; ++w)
        taps_.push_back((axis[0].offsets[d] - axis[0].offsets[0]) * slab.pixel_stride[0] +
                        (axis[1].offsets[h] - axis[1].offsets[0]) * slab.pixel_stride[1] +
                        (axis[2].offsets[w] - axis[2].offsets[0]) * slab.pixel_stride[2]);
  slab.taps = taps_.data();
  slab.run_taps = neighbours && slab.pixel_stride[2] == channels ? std::max<std::int64_t>(axis[2].taps, 1) : 1;
  slab.run = slab.run_taps * channels;
  slab.runs = static_cast<std::int64_t>(taps_.size()) / slab.run_taps;
}

kernels::Box ConvBoxes::operator[](std::int64_t i) const {
  kernels::Box box;
  for (int axis = 3; axis >= 0; --axis) {
    box.begin[axis] = i % boxes_[axis] * count_[axis];
    box.count[axis] = std::min(count_[axis], total_[axis] - box.begin[axis]);
    i /= boxes_[axis];
  }
  return box;
}

}  // namespace kcore::ops
