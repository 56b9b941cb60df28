// Tiles: pieces of arrays as a kernel of float32 or float64 takes them. Those of bfloat16 are widened into memory of
// the thread, small enough for its L2 cache, and results rounded on their way out; others are used where they lie.
//
//   Tile tile(c.dtype(0), 2, n);
//   kernel(tile.in<T>(c.input(0), at, n), n, tile.out<T>(c.output(0), at, n));
//   tile.store(stream);
#pragma once

#include <algorithm>

#include "base/scratch.h"
#include "ops/bfloat16.h"
#include "ops/stream.h"

namespace kcore {

class Tile {
 public:
  // The most elements of three pieces that an L2 cache holds: arrays that are taken in larger ones had better be
  // widened as a whole (Run::run_widened).
  static constexpr std::int64_t kMost = 1 << 16;
  // Of arrays of `dtype`, at most `arrays` pieces of at most `count` elements. One tile at a time for a thread, and no
  // kernel in between that uses thread_scratch.
  Tile(DType dtype, int arrays, std::int64_t count)
      : widens_(dtype == DType::bfloat16), stride_((count + 15) / 16 * 16 + 16) {
    if (widens_)
      next_ = static_cast<float*>(thread_scratch(static_cast<std::size_t>(arrays * stride_) * sizeof(float)));
  }

  // How many of `rows` rows of n elements make a tile: all of them where nothing is widened.
  static std::int64_t rows(DType dtype, std::int64_t rows, std::int64_t n) {
    constexpr std::int64_t kElements = 4096;
    return dtype == DType::bfloat16 ? std::clamp<std::int64_t>(kElements / std::max<std::int64_t>(n, 1), 1, rows)
                                    : rows;
  }

  // Elements [at, at + n) of x.
  template <class T>
  const T* in(const void* x, std::int64_t at, std::int64_t n) {
    return in<T>(x, at, 1, n, n);
  }
  // Rows of `width` elements, `stride` apart in x and stride_of(width, stride) in the tile.
  template <class T>
  const T* in(const void* x, std::int64_t at, std::int64_t rows, std::int64_t width, std::int64_t stride) {
    if (!widens_) return static_cast<const T*>(x) + at;
    float* to = take();
    const auto* from = static_cast<const bfloat16*>(x) + at;
    if (width == stride) width *= rows, rows = 1;
    const auto widen = cast(DType::bfloat16, DType::float32);
    for (std::int64_t r = 0; r < rows; ++r) widen(from + r * stride, to + r * width, width, nullptr);
    return reinterpret_cast<const T*>(to);
  }
  std::int64_t stride_of(std::int64_t width, std::int64_t stride) const { return widens_ ? width : stride; }

  // Where a kernel writes elements [at, at + n) of y. At most one for a tile.
  template <class T>
  T* out(void* y, std::int64_t at, std::int64_t n) {
    if (!widens_) return static_cast<T*>(y) + at;
    y_ = static_cast<bfloat16*>(y) + at;
    n_ = n;
    return reinterpret_cast<T*>(result_ = take());
  }
  // Whether a kernel shall write around the cache itself.
  bool streams(bool stream) const { return stream && !widens_; }
  // Rounds what the kernel wrote, `stream`: around the cache.
  void store(bool stream) {
    if (!widens_) return;
    const auto round = cast(DType::float32, DType::bfloat16);
    if (!stream) return round(result_, y_, n_, nullptr);
    constexpr auto kSize = static_cast<std::int64_t>(sizeof(bfloat16));
    stream_range(
        y_, kSize, stream_count(kSize), 0, n_,
        [&](std::int64_t first, std::int64_t last, char* to) { round(result_ + first, to, last - first, nullptr); },
        [](std::int64_t, kernels::Ahead*) { return 0; });
  }

 private:
  static kernels::UnaryFunction cast(DType from, DType to) {
    return kernels::elementwise().cast[static_cast<int>(from)][static_cast<int>(to)];
  }
  float* take() {
    float* piece = next_;
    next_ += stride_;
    return piece;
  }

  const bool widens_;
  const std::int64_t stride_;
  float* next_ = nullptr;
  float* result_ = nullptr;
  bfloat16* y_ = nullptr;
  std::int64_t n_ = 0;
};

}  // namespace kcore
