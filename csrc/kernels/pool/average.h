// Average pooling.
#pragma once

#include "kernels/pool/fold.h"
#include "kernels/pool/gradient.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

struct SumFold {
  static constexpr bool kDoubts = false;
  template <class T>
  static KCORE_INLINE T start() {
    return T(0);
  }
  template <class T, class Vectors>
  KCORE_INLINE void into(const Taps<T>& taps, std::int64_t i, const Vectors& at, Lanes<T> (&sum)[Vectors::kCount],
                         Lanes<T>&) const {
    for (int t = 0; t < taps.count; ++t)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors::kCount; ++v) sum[v] += at.get(taps.at[t] + i, v);
  }
  template <class V, class T>
  KCORE_INLINE V finish(V sum, T elements) const {
    return sum / elements;
  }
};

template <class T>
void average_rows(const PoolShape& s, const void* x, std::int64_t begin, std::int64_t end, void* y, bool stream) {
  fold_rows<T>(SumFold{}, s, x, begin, end, y, stream);
}

// shares = dy of outputs [begin, end) of a row, divided by the elements of their windows.
template <class T>
KCORE_INLINE void share_row(const PoolShape& s, std::int64_t row, std::int64_t begin, std::int64_t end, const T* dy,
                            T* shares) {
  const Rows rows = rows_of(s, row);
  for_segments(s, begin, end, end - begin, [&](const Segment& g) {
    const T elements = static_cast<T>(rows.a.size() * rows.b.size() * g.span.size());
    const T* from = dy + (row * s.out[2] + g.first) * s.channels;
    T* to = shares + (g.first - begin) * s.channels;
    for (std::int64_t i = 0; i < g.count * s.channels; ++i) to[i] = from[i] / elements;
  });
}

template <class T>
void average_grad(const PoolShape& s, const void* dy_, std::int64_t begin, std::int64_t end, void* dx, bool stream,
                  void* scratch) {
  auto* dy = static_cast<const T*>(dy_);
  auto* shares = static_cast<T*>(scratch);
  const Slab slab(s, begin, end);
  if (tiled(s)) {
    const auto give = [&]<class Vectors, class Put>(const Taps<T>& taps, std::int64_t, std::int64_t out,
                                                    const Vectors& at, const Put& put) __attribute__((always_inline)) {
      const T elements = static_cast<T>(taps.count);
      for (int v = 0; v < Vectors::kCount; ++v) {
        const Lanes<T> given = at.get(dy + out, v) / elements;
        for (int t = 0; t < taps.count; ++t) put(t, v, given);
      }
    };
    auto* to = static_cast<T*>(dx);
    return fill_tiles(s, slab, static_cast<const T*>(to), to, stream, give);
  }
  const auto share = [&](std::int64_t row, const Span& made, std::int64_t local) {
    share_row(s, row, made.begin, made.end, dy, shares + local);
  };
  gather<T>(s, slab, Shared<T>{shares}, static_cast<T*>(dx), stream, share);
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA
