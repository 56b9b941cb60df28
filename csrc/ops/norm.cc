// Batch and layer normalization with their gradients.
//   batch_norm: statistics per block of rows, merged in double (Chan, Golub, LeVeque 1983), always in the same order.
#include "kernels/norm/norm.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/cache.h"
#include "base/parallel.h"
#include "kernels/reduce/reduce.h"
#include "ops/op.h"
#include "ops/tile.h"

namespace kcore::ops {
namespace {

constexpr std::int64_t kGrain = 1 << 15;     // elements of one block
constexpr std::int64_t kLine = 16;           // columns of whole vectors, for narrow arrays
constexpr std::int64_t kPeriod = 1024;       // columns with coefficients of their own, at least, in long narrow arrays
constexpr std::int64_t kMergeGrain = 16384;  // partial results merged by one thread

template <class T>
const kernels::NormTable<T>& table();
template <>
const kernels::NormTable<float>& table() {
  return kernels::norm().f32;
}
template <>
const kernels::NormTable<double>& table() {
  return kernels::norm().f64;
}

// x (M, C) cut into blocks for sums down its columns. With few channels, `together` neighbouring rows are seen as one
// of whole vectors; the rows left over make one shorter row at the end.
struct Columns {
  std::int64_t channels, together, width, rows, tail;
  std::int64_t block_rows, blocks, block_width, parts;

  Columns(std::int64_t m, std::int64_t c)
      : channels(c),
        together(rows_together(c)),
        width(together * c),
        rows(m / together),
        tail(m % together * c),
        block_width(std::min(width, kernels::kNormWidth)),
        parts((width + block_width - 1) / block_width) {
    block_rows = std::max<std::int64_t>(16, kGrain / block_width);
    blocks = (rows + block_rows - 1) / block_rows;
  }

  static std::int64_t rows_together(std::int64_t c) {
    const std::int64_t whole = kLine / std::gcd(c, kLine);
    return c >= 4 * kLine ? 1 : (4 * kLine + whole * c - 1) / (whole * c) * whole;
  }

  std::int64_t last_rows() const { return rows - (blocks - 1) * block_rows; }

  // body(first element, rows, columns, place among the partial results of `width` per block), the tail as the last
  // block.
  template <class Body>
  void for_blocks(const Body& body) const {
    const auto run = [&](std::int64_t i) {
      if (i == blocks * parts) return body(rows * width, std::int64_t{1}, tail, blocks * width);
      const std::int64_t block = i / parts, column = i % parts * block_width, begin = block * block_rows;
      body(begin * width + column, std::min(block_rows, rows - begin), std::min(block_width, width - column),
           block * width + column);
    };
    const std::int64_t count = blocks * parts + (tail > 0);
    const std::int64_t grain = rows * width < kGrain ? count + 1 : 1;  // no thread is woken for a tail
    parallel_ranges(count, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) run(i);
    });
  }

  // body(first column, columns): the merging of all blocks but the tail.
  template <class Body>
  void for_merges(const Body& body) const {
    const std::int64_t grain = std::max<std::int64_t>(4 * kLine, kMergeGrain / std::max<std::int64_t>(blocks, 1));
    parallel_ranges(width, grain, [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin); });
  }
};

// Coefficients of each channel, repeated so that loops along rows of x (M, C) are long, and those loops.
template <class T, int count>
class Coefficients {
 public:
  // One buffer for all of them: a small op must not ask the allocator several times.
  Coefficients(Run& c, std::int64_t m, std::int64_t channels) : channels_(channels), size_(m * channels) {
    std::int64_t together = Columns::rows_together(channels);
    while (together * channels < kPeriod && together * 32 <= m) together *= 2;
    width_ = together * channels;
    const std::int64_t stride = (width_ + kLine - 1) / kLine * kLine;
    T* all = c.scratch<T>(count * stride);
    for (int k = 0; k < count; ++k) of_[k] = all + k * stride;
  }

  T* operator[](int k) const { return of_[k]; }  // written for the first `channels`
  std::int64_t width() const { return width_; }

  // body(first element, elements) for the whole of x once all coefficients are there, backward: what a pass before has
  // read last is still in the cache.
  template <class Body>
  void for_blocks(const Body& body) const {
    for (T* v : of_)
      for (std::int64_t i = channels_; i < width_; ++i) v[i] = v[i - channels_];
    parallel_ranges(
        size_, std::max<std::int64_t>(1, kGrain / width_) * width_,
        [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin); }, true);
  }

 private:
  std::int64_t channels_, size_, width_;
  T* of_[count];
};

bool streams(const Run& c, std::int64_t elements, int arrays) {
  return exceeds_cache(elements * arrays * size_of(c.dtype(0)));
}

// Whether the rows of an array of bfloat16 are too long for tiles, which are of 8 rows at least.
bool widens(const Run& c, std::int64_t n) { return c.dtype(0) == DType::bfloat16 && n > Tile::kMost / 8; }

std::int64_t channels_of(const Infer& c, int x) {
  c.require(c.shape(x).rank() >= 2, "expected ", c.name(x),
            " with at least 2 dimensions, the last one channels, received shape ", c.shape(x));
  return c.shape(x).last();
}

void require_epsilon(const Infer& c, double epsilon) {
  c.require(epsilon >= 0 && epsilon <= std::numeric_limits<double>::max(),
            "expected a finite epsilon of at least 0, received ", epsilon);
}

// Parameters and statistics of bfloat16 arrays are float32: 8 bits would not tell means apart.
DType parameter_dtype(const Infer& c) { return c.dtype(0) == DType::bfloat16 ? DType::float32 : c.dtype(0); }

// The parameters and statistics among the inputs, those that are given.
void require_vectors(Infer& c, std::initializer_list<int> inputs, const Shape& shape) {
  for (int i : inputs) {
    if (!c.has(i)) continue;
    c.require_dtype(i, parameter_dtype(c));
    c.require_shape(i, shape);
  }
}

}  // namespace

void infer(const batch_norm_train& op, Infer& c) {
  c.require_floating(0);
  require_epsilon(c, op.epsilon);
  const Shape channels{channels_of(c, 0)};
  require_vectors(c, {1, 2}, channels);
  if (c.has(3)) {
    c.require_dtype(3, c.dtype(0));
    c.require_shape(3, c.shape(0));
  }
  c.require(op.activation == "linear" || op.activation == "relu", "expected activation linear or relu, received \"",
            op.activation, "\"");
  c.out(c.in(0));
  for (int i = 0; i < (op.activation == "relu" ? 4 : 2); ++i) c.out(parameter_dtype(c), channels);
}
void run(const batch_norm_train& op, Run& c) {
  if (widens(c, c.shape(0).last())) return c.run_widened(op);
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernel = table<T>();
    const std::int64_t channels = c.shape(0).last(), m = c.shape(0).size() / channels;
    const Columns columns(m, channels);
    const T *x = c.input<T>(0), *residual = c.input<T>(3);
    T *y = c.output<T>(0), *variance = c.output<T>(2);
    const std::int64_t width = columns.width, partials = (columns.blocks + 1) * width;
    double* means = c.scratch<double>(2 * (partials + width));
    double *squares = means + partials, *mean = squares + partials, *m2 = mean + width;
    columns.for_blocks([&](std::int64_t at, std::int64_t rows, std::int64_t w, std::int64_t to) {
      Tile tile(c.dtype(0), 1, rows * w);
      kernel.moments(tile.in<T>(x, at, rows, w, width), rows, w, tile.stride_of(w, width), means + to, squares + to);
    });
    if (columns.blocks > 0) {
      columns.for_merges([&](std::int64_t at, std::int64_t w) {
        kernel.merge_moments(means + at, squares + at, columns.blocks, w, width, columns.block_rows,
                             columns.last_rows(), mean + at, m2 + at);
      });
    }
    // Columns of the same channel, and the tail, become one.
    const double rows = static_cast<double>(columns.rows), all = static_cast<double>(m);
    const std::int64_t together = columns.rows > 0 ? columns.together : 0;
    if (together != 1 || columns.tail > 0) {
      const double* tail = means + columns.blocks * width;
      for (std::int64_t i = 0; i < channels; ++i) {
        double sum = 0, spread = 0;
        for (std::int64_t t = 0; t < together; ++t) sum += mean[t * channels + i] * (rows / all);
        for (std::int64_t at = i; at < columns.tail; at += channels) sum += tail[at] / all;
        for (std::int64_t t = 0; t < together; ++t) {
          const double d = mean[t * channels + i] - sum;
          spread += m2[t * channels + i] + rows * (d * d);
        }
        for (std::int64_t at = i; at < columns.tail; at += channels) spread += (tail[at] - sum) * (tail[at] - sum);
        mean[i] = sum, m2[i] = spread;
      }
    }
    for (std::int64_t i = 0; i < channels; ++i) {
      if (m == 0) mean[i] = m2[i] = std::numeric_limits<double>::quiet_NaN();  // the mean of nothing
      m2[i] /= std::max(all, 1.0);
      variance[i] = static_cast<T>(m2[i]);
    }
    const Coefficients<T, 3> by(c, m, channels);
    kernel.coefficients(mean, m2, channels, c.input<T>(1), c.input<T>(2), op.epsilon, by[0], by[1], by[2]);
    std::copy_n(by[0], channels, c.output<T>(1));
    const bool relu = op.activation == "relu";
    if (relu)
      for (int k = 1; k <= 2; ++k) std::copy_n(by[k], channels, c.output<T>(2 + k));
    const bool stream = streams(c, m * channels, residual ? 3 : 2);
    by.for_blocks([&](std::int64_t at, std::int64_t n) {
      Tile tile(c.dtype(0), 3, n);
      const T *from = tile.in<T>(x, at, n), *add = residual ? tile.in<T>(residual, at, n) : nullptr;
      kernel.apply(from, n, by.width(), by[0], by[1], by[2], add, relu, tile.out<T>(y, at, n), tile.streams(stream));
      tile.store(stream);
    });
  });
}

void infer(const batch_norm_grad& op, Infer& c) {
  c.require_floating(0);
  c.require_dtype(0, c.dtype(1));
  require_epsilon(c, op.epsilon);
  const Shape channels{channels_of(c, 1)};
  c.require_shape(0, c.shape(1));
  require_vectors(c, {2, 3, 4, 5, 6}, channels);
  c.require(c.has(5) == c.has(6), "expected scale and shift, or none of them");
  c.out(c.in(1));
  c.out(parameter_dtype(c), channels);
  c.out(parameter_dtype(c), channels);
}
void run(const batch_norm_grad& op, Run& c) {
  if (widens(c, c.shape(0).last())) return c.run_widened(op);
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernel = table<T>();
    const std::int64_t channels = c.shape(1).last(), m = c.shape(1).size() / channels;
    const Columns columns(m, channels);
    const T *dy = c.input<T>(0), *x = c.input<T>(1), *mean = c.input<T>(3);
    T* dx = c.output<T>(0);
    const std::int64_t width = columns.width, partials = (columns.blocks + 1) * width;
    double* first = c.scratch<double>(2 * (partials + width));
    double *second = first + partials, *sum_dy = second + partials, *sum_dy_x = sum_dy + width;
    const Coefficients<T, 6> by(c, m, channels);  // center, a, b, d, scale, shift
    const bool relu = c.has(5);
    const auto repeat = [&](const T* values, T* to) {
      for (std::int64_t i = 0; i < width; ++i) to[i] = i < channels ? values[i] : to[i - channels];
    };
    repeat(mean, by[0]);
    for (int k = 4; k < 6; ++k)
      if (relu) {
        repeat(c.input<T>(k + 1), by[k]);
      } else {
        std::fill_n(by[k], channels, T(0));
      }
    const T *const scale = relu ? by[4] : nullptr, *const shift = relu ? by[5] : nullptr;
    columns.for_blocks([&](std::int64_t at, std::int64_t rows, std::int64_t w, std::int64_t to) {
      Tile tile(c.dtype(0), 2, rows * w);
      const T *dys = tile.in<T>(dy, at, rows, w, width), *xs = tile.in<T>(x, at, rows, w, width);
      const std::int64_t column = to % width;
      kernel.grad_sums(dys, xs, rows, w, tile.stride_of(w, width), by[0] + column, relu ? scale + column : nullptr,
                       relu ? shift + column : nullptr, first + to, second + to);
    });
    columns.for_merges([&](std::int64_t at, std::int64_t w) {
      kernel.merge_sums(first + at, columns.blocks, w, width, sum_dy + at);
      kernel.merge_sums(second + at, columns.blocks, w, width, sum_dy_x + at);
    });
    for (std::int64_t i = channels; i < width; ++i)
      sum_dy[i % channels] += sum_dy[i], sum_dy_x[i % channels] += sum_dy_x[i];
    for (std::int64_t i = 0, at = columns.blocks * width; i < columns.tail; ++i)
      sum_dy[i % channels] += first[at + i], sum_dy_x[i % channels] += second[at + i];
    kernel.grad_coefficients(sum_dy, sum_dy_x, channels, static_cast<double>(std::max<std::int64_t>(m, 1)),
                             c.input<T>(2), c.input<T>(4), op.epsilon, c.output<T>(1), c.output<T>(2), by[1], by[2],
                             by[3]);
    const bool stream = streams(c, m * channels, 3);
    by.for_blocks([&](std::int64_t at, std::int64_t n) {
      Tile tile(c.dtype(0), 3, n);
      const T *dys = tile.in<T>(dy, at, n), *xs = tile.in<T>(x, at, n);
      kernel.grad_apply(dys, xs, n, by.width(), by[0], by[1], by[2], by[3], scale, shift, tile.out<T>(dx, at, n),
                        tile.streams(stream));
      tile.store(stream);
    });
  });
}

void infer(const batch_norm_inference& op, Infer& c) {
  c.require_floating(0);
  require_epsilon(c, op.epsilon);
  require_vectors(c, {1, 2, 3, 4}, Shape{channels_of(c, 0)});
  c.out(c.in(0));
}
void run(const batch_norm_inference& op, Run& c) {
  if (widens(c, c.shape(0).last())) return c.run_widened(op);
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t channels = c.shape(0).last(), m = c.shape(0).size() / channels;
    const T *x = c.input<T>(0), *mean = c.input<T>(1), *variance = c.input<T>(2);
    T* y = c.output<T>(0);
    double* exact = c.scratch<double>(2 * channels);
    for (std::int64_t i = 0; i < channels; ++i) exact[i] = mean[i], exact[channels + i] = variance[i];
    const Coefficients<T, 3> by(c, m, channels);
    table<T>().coefficients(exact, exact + channels, channels, c.input<T>(3), c.input<T>(4), op.epsilon, by[0], by[1],
                            by[2]);
    const bool stream = streams(c, m * channels, 2);
    by.for_blocks([&](std::int64_t at, std::int64_t n) {
      Tile tile(c.dtype(0), 2, n);
      const T* from = tile.in<T>(x, at, n);
      table<T>().apply(from, n, by.width(), by[0], by[1], by[2], nullptr, false, tile.out<T>(y, at, n),
                       tile.streams(stream));
      tile.store(stream);
    });
  });
}

namespace {

// Splits x (rows..., normalized...) and checks `dims`.
template <class Op>
int split_of(const Op& op, Infer& c, int x) {
  const int rank = c.shape(x).rank();
  c.require(op.dims >= 1 && op.dims <= rank, "expected dims from 1 to the ", rank, " dimensions of ", c.name(x),
            ", received ", op.dims);
  require_epsilon(c, op.epsilon);
  return rank - static_cast<int>(op.dims);
}

Shape part_of(const Shape& shape, int from, int to) { return Shape(shape.begin() + from, to - from); }

std::int64_t rows_per_block(std::int64_t n) { return std::clamp<std::int64_t>(kGrain / n, 8, 256); }

}  // namespace

void infer(const layer_norm& op, Infer& c) {
  c.require_floating(0);
  const Shape& x = c.shape(0);
  const int split = split_of(op, c, 0);
  require_vectors(c, {1, 2}, part_of(x, split, x.rank()));
  c.require(x.count(split, x.rank()) > 0, "expected at least one element to normalize, received x of shape ", x);
  c.out(c.in(0));
  c.out(parameter_dtype(c), part_of(x, 0, split));
  c.out(parameter_dtype(c), part_of(x, 0, split));
}
void run(const layer_norm& op, Run& c) {
  if (widens(c, c.shape(0).size() / c.out(1).shape.size())) return c.run_widened(op);
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t rows = c.out(1).shape.size(), n = c.shape(0).size() / rows;
    const bool stream = streams(c, rows * n, 2);
    parallel_ranges(rows, rows_per_block(n), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t most = Tile::rows(c.dtype(0), end - begin, n);
      for (std::int64_t r = begin; r < end; r += most) {
        const std::int64_t count = std::min(most, end - r);
        Tile tile(c.dtype(0), 2, count * n);
        const T* x = tile.in<T>(c.input(0), r * n, count * n);
        table<T>().layer_rows(x, count, n, c.input<T>(1), c.input<T>(2), op.epsilon,
                              tile.out<T>(c.output(0), r * n, count * n), c.output<T>(1) + r, c.output<T>(2) + r,
                              tile.streams(stream));
        tile.store(stream);
      }
    });
  });
}

void infer(const layer_norm_grad& op, Infer& c) {
  c.require_floating(0);
  c.require_dtype(0, c.dtype(1));
  const Shape& x = c.shape(1);
  const int split = split_of(op, c, 1);
  const Shape normalized = part_of(x, split, x.rank());
  c.require_shape(0, x);
  require_vectors(c, {2}, normalized);
  require_vectors(c, {3, 4}, part_of(x, 0, split));
  c.out(c.in(1));
  c.out(parameter_dtype(c), normalized);
  c.out(parameter_dtype(c), normalized);
}
void run(const layer_norm_grad& op, Run& c) {
  if (widens(c, c.out(1).shape.size())) return c.run_widened(op);
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t rows = c.shape(3).size(), n = c.out(1).shape.size();
    // Each block stores a dgamma and a dbeta, two rows' worth: blocks of long rows take more of them than their work
    // asks.
    const std::int64_t enough = c.dtype(0) == DType::bfloat16 ? 8 : std::clamp<std::int64_t>(rows / 64, 8, 64),
                       grain = std::max(rows_per_block(n), enough);
    const std::int64_t blocks = (rows + grain - 1) / grain;
    T *dgamma = c.scratch<T>(2 * blocks * n), *dbeta = dgamma + blocks * n;
    const bool stream = streams(c, rows * n, 3);
    parallel_ranges(rows, grain, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t at = begin * n, part = begin / grain * n;
      const std::int64_t count = (end - begin) * n;
      Tile tile(c.dtype(0), 3, count);
      const T *dy = tile.in<T>(c.input(0), at, count), *x = tile.in<T>(c.input(1), at, count);
      table<T>().layer_grad_rows(dy, x, end - begin, n, c.input<T>(2), c.input<T>(3) + begin, c.input<T>(4) + begin,
                                 op.epsilon, tile.out<T>(c.output(0), at, count), dgamma + part, dbeta + part,
                                 tile.streams(stream));
      tile.store(stream);
    });
    auto add_up = kernels::reduce().columns[static_cast<int>(kernels::Reduction::sum)][static_cast<int>(dtype_of<T>)];
    parallel_ranges(n, 1024, [&](std::int64_t begin, std::int64_t end) {
      add_up(dgamma + begin, blocks, end - begin, n, c.output<T>(1) + begin);
      add_up(dbeta + begin, blocks, end - begin, n, c.output<T>(2) + begin);
    });
  });
}

}  // namespace kcore::ops
