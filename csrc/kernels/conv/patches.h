// Packers that gather from an image (see conv.h for the patch matrix).
#pragma once

#include <type_traits>

#include "kernels/conv/conv.h"
#include "kernels/gemm/pack.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

// A position of the window as source coordinates of tap offset 0.
struct Origin {
  std::int64_t image, at[3];
};

// Walks over positions in row-major order.
template <class T>
struct PositionCursor {
  const PatchAxis* axis;
  std::int64_t image, p[3];

  PositionCursor(const Patches<T>& patches, std::int64_t row) : axis(patches.axis) {
    p[2] = row % axis[2].positions, row /= axis[2].positions;
    p[1] = row % axis[1].positions, row /= axis[1].positions;
    p[0] = row % axis[0].positions;
    image = row / axis[0].positions;
  }
  Origin origin() const { return {image, {p[0] * axis[0].step, p[1] * axis[1].step, p[2] * axis[2].step}}; }
  // Moves on within the innermost dimension, at most to its end.
  void advance(std::int64_t count) {
    p[2] += count;
    if (p[2] < axis[2].positions) return;
    p[2] = 0;
    if (++p[1] < axis[1].positions) return;
    p[1] = 0;
    if (++p[0] < axis[0].positions) return;
    p[0] = 0;
    ++image;
  }
};

inline bool inside(std::int64_t x, std::int64_t extent) {
  return static_cast<std::uint64_t>(x) < static_cast<std::uint64_t>(extent);
}

// The element of channel 0 of the first pixel of the image's row (n, d, h).
template <class T>
const T* image_row(const Patches<T>& x, std::int64_t n, std::int64_t d, std::int64_t h) {
  return x.image + ((n * x.axis[0].extent + d) * x.axis[1].extent + h) * x.axis[2].extent * x.pixel_stride;
}

// Packs rows of P. A run of columns is a run of memory: the channels of a tap or, where the taps along w are
// neighbouring pixels and there are few channels, those of all of them.
template <class T>
struct PatchRows {
  const Patches<T>& x;
  bool merged;
  std::int64_t run;  // columns in a whole run

  explicit PatchRows(const Patches<T>& x) : x(x) {
    const PatchAxis& w = x.axis[2];
    merged = x.channels < 16 && x.pixel_stride == x.channels;
    for (std::int64_t t = 1; t < w.taps; ++t) merged = merged && w.offsets[t] == w.offsets[t - 1] + 1;
    run = merged ? w.taps * x.channels : x.channels;
  }

  void operator()(T* to, std::int64_t i, int rows, std::int64_t k, std::int64_t count) const {
    static const T zeros[kGemmSpanK] = {};
    T clipped[kGemmMaxTile][kGemmSpanK];
    const T* from[kGemmMaxTile];
    Origin origin[kGemmMaxTile];
    PositionCursor<T> cursor(x, i);
    for (int r = 0; r < rows; ++r, cursor.advance(1)) origin[r] = cursor.origin();

    const std::int64_t runs_w = merged ? 1 : x.axis[2].taps, taps_h = x.axis[1].taps;
    std::int64_t segment = k / run, begin = k % run;
    while (count > 0) {
      const std::int64_t length = run - begin < count ? run - begin : count;
      const std::int64_t offset_w = x.axis[2].offsets[segment % runs_w], th = segment / runs_w % taps_h;
      const std::int64_t offset_h = x.axis[1].offsets[th], offset_d = x.axis[0].offsets[segment / runs_w / taps_h];
      for (int r = 0; r < rows; ++r) {
        const std::int64_t d = origin[r].at[0] + offset_d, h = origin[r].at[1] + offset_h,
                           w = origin[r].at[2] + offset_w;
        from[r] = zeros;
        if (!inside(d, x.axis[0].extent) || !inside(h, x.axis[1].extent)) continue;
        const T* const row = image_row(x, origin[r].image, d, h);
        if (!merged) {
          if (inside(w, x.axis[2].extent)) from[r] = row + w * x.pixel_stride + begin;
          continue;
        }
        // Columns [low, high) of the run lie in the image.
        const std::int64_t first = w * x.channels + begin, size = x.axis[2].extent * x.channels;
        const std::int64_t low = first < 0 ? -first : 0, high = first + length > size ? size - first : length;
        if (low == 0 && high == length) {
          from[r] = row + first;
        } else if (low < high) {
          for (std::int64_t j = 0; j < length; ++j) clipped[r][j] = j >= low && j < high ? row[first + j] : T(0);
          from[r] = clipped[r];
        }
      }
      transpose_rows(to, rows, from, rows, length);
      to += length * rows;
      count -= length;
      begin = 0;
      ++segment;
    }
  }
};

// Packs rows of P transposed: a panel of (tap, channel) pairs over a range of positions.
template <class T>
struct PatchColumns {
  const Patches<T>& x;

  void operator()(T* to, std::int64_t i, int rows, std::int64_t k, std::int64_t count) const {
    PositionCursor<T> cursor(x, k);
    while (count > 0) {
      const std::int64_t left = x.axis[2].positions - cursor.p[2], length = left < count ? left : count;
      const Origin origin = cursor.origin();
      for (int r = 0; r < rows;) {
        const std::int64_t tap = (i + r) / x.channels, channel = (i + r) % x.channels;
        const std::int64_t left_channels = x.channels - channel;
        const int columns = static_cast<int>(left_channels < rows - r ? left_channels : rows - r);
        gather(to + r, rows, origin, tap, channel, columns, length);
        r += columns;
      }
      to += length * rows;
      count -= length;
      cursor.advance(length);
    }
  }

 private:
  // to[p * stride + c] = channel + c of the tap's pixel at the p-th position from `origin` along w.
  void gather(T* to, std::int64_t stride, const Origin& origin, std::int64_t tap, std::int64_t channel, int columns,
              std::int64_t length) const {
    const PatchAxis& axis = x.axis[2];
    const std::int64_t offset_w = axis.offsets[tap % axis.taps];
    tap /= axis.taps;
    const std::int64_t d = origin.at[0] + x.axis[0].offsets[tap / x.axis[1].taps];
    const std::int64_t h = origin.at[1] + x.axis[1].offsets[tap % x.axis[1].taps];
    const std::int64_t w = origin.at[2] + offset_w;
    // Positions [low, high) meet the image.
    std::int64_t low = w < 0 ? (-w + axis.step - 1) / axis.step : 0;
    std::int64_t high = w < axis.extent ? (axis.extent - w + axis.step - 1) / axis.step : 0;
    if (!inside(d, x.axis[0].extent) || !inside(h, x.axis[1].extent)) high = 0;
    if (high > length) high = length;
    if (low > high) low = high;
    clear(to, stride, columns, low);
    if (low < high)
      copy_runs(to + low * stride, stride,
                image_row(x, origin.image, d, h) + (w + low * axis.step) * x.pixel_stride + channel,
                axis.step * x.pixel_stride, columns, high - low);
    clear(to + high * stride, stride, columns, length - high);
  }

  static void clear(T* to, std::int64_t stride, int columns, std::int64_t count) {
    for (std::int64_t p = 0; p < count; ++p)
      for (int c = 0; c < columns; ++c) to[p * stride + c] = 0;
  }
};

// Packs columns (channels) of a flipped kernel, whose rows are (tap, filter).
template <class Stored>
struct FlippedColumns {
  const FlippedKernel<Stored>& b;

  template <class T>
  void operator()(T* to, std::int64_t k, std::int64_t count, std::int64_t j, int columns, int width) const {
    const T* from[kGemmMaxTile];
    std::int64_t tap = k / b.filters, filter = k % b.filters;
    while (count > 0) {
      const std::int64_t left = b.filters - filter, length = left < count ? left : count;
      const std::int64_t tw = b.indices[2][tap % b.taps[2]], th = b.indices[1][tap / b.taps[2] % b.taps[1]];
      const std::int64_t td = b.indices[0][tap / b.taps[2] / b.taps[1]];
      const std::int64_t index = (td * b.size[1] + th) * b.size[2] + tw;
      const Stored* const row = b.kernel + (index * b.channels + j) * b.filter_stride + filter;
      if constexpr (std::is_same_v<T, Stored>) {
        for (int c = 0; c < columns; ++c) from[c] = row + c * b.filter_stride;
        transpose_rows(to, width, from, columns, length);
      } else {
        T wide[kGemmMaxTile * kGemmSpanK];
        for (int c = 0; c < columns; ++c) {
          widen(wide + c * length, row + c * b.filter_stride, length);
          from[c] = wide + c * length;
        }
        transpose_rows(to, width, from, columns, length);
      }
      clear_columns(to, length, columns, width);
      to += length * width;
      count -= length;
      filter = 0;
      ++tap;
    }
  }
};

template <class T>
struct PositionsOut {
  const Positions<T>& y;
  void operator()(std::int64_t m, std::int64_t count, T** rows) const {
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t row = m + i;
      const std::int64_t w = row % y.count[2];
      row /= y.count[2];
      const std::int64_t h = row % y.count[1];
      row /= y.count[1];
      rows[i] =
          y.data + row / y.count[0] * y.image_stride + row % y.count[0] * y.steps[0] + h * y.steps[1] + w * y.steps[2];
    }
  }
};

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
