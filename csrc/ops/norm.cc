// Batch and layer normalization with their gradients.
//   batch_norm: statistics per block of rows, merged in double (Chan, Golub, LeVeque 1983), always in the same order.
#include "kernels/norm/norm.h"

#include <algorithm>
#include <limits>

#include "base/parallel.h"
#include "kernels/reduce/reduce.h"
#include "ops/op.h"

namespace kcore::ops {
namespace {

constexpr std::int64_t kGrain = 1 << 14;    // elements of one block
constexpr std::int64_t kBlockWidth = 1024;  // columns of one block
constexpr std::int64_t kMinBlockRows = 32;
constexpr std::int64_t kWide = 64;  // narrower arrays take several rows as one

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

// x (M, C) cut into blocks. With few channels, `together` neighbouring rows are seen as one of width together * C; the
// rows left over make one shorter row at the end.
struct Columns {
  std::int64_t channels, together, width, rows, tail;
  std::int64_t block_rows, blocks, block_width, parts;

  Columns(std::int64_t m, std::int64_t c)
      : channels(c),
        together(std::max<std::int64_t>(1, kWide / c)),
        width(together * c),
        rows(m / together),
        tail(m % together * c),
        block_width(std::min(width, kBlockWidth)) {
    block_rows = std::max(kMinBlockRows, kGrain / width);
    blocks = (rows + block_rows - 1) / block_rows;
    parts = (width + block_width - 1) / block_width;
  }

  // body(first element, rows, first column, columns, index of the block), the tail as the last block.
  template <class Body>
  void for_blocks(const Body& body) const {
    parallel_for(blocks * parts + (tail > 0), [&](std::int64_t i) {
      if (i == blocks * parts) return body(rows * width, std::int64_t{1}, std::int64_t{0}, tail, blocks);
      const std::int64_t block = i / parts, column = i % parts * block_width, begin = block * block_rows;
      body(begin * width + column, std::min(block_rows, rows - begin), column, std::min(block_width, width - column),
           block);
    });
  }

  // body(channel, place in partial results of `width` per block, rows behind it), in a fixed order for each channel.
  template <class Body>
  void for_partials(std::int64_t channel, const Body& body) const {
    for (std::int64_t block = 0; block < blocks; ++block)
      for (std::int64_t t = 0; t < together; ++t)
        body(block * width + t * channels + channel, std::min(block_rows, rows - block * block_rows));
    for (std::int64_t at = channel; at < tail; at += channels) body(blocks * width + at, std::int64_t{1});
  }
};

// One value per channel, repeated for the rows taken together.
template <class T, class Value>
const T* per_column(Run& c, const Columns& columns, const Value& value) {
  T* out = c.scratch<T>(columns.width);
  for (std::int64_t i = 0; i < columns.channels; ++i) out[i] = static_cast<T>(value(i));
  for (std::int64_t i = columns.channels; i < columns.width; ++i) out[i] = out[i - columns.channels];
  return out;
}

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
  c.out(c.in(0));
  c.out(parameter_dtype(c), channels);
  c.out(parameter_dtype(c), channels);
}
void run(const batch_norm_train& op, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t channels = c.shape(0).last(), m = c.shape(0).size() / channels;
    const Columns columns(m, channels);
    const T *x = c.input<T>(0), *gamma = c.input<T>(1), *beta = c.input<T>(2);
    T *y = c.output<T>(0), *mean = c.output<T>(1), *variance = c.output<T>(2);
    double* means = c.scratch<double>((columns.blocks + 1) * columns.width);
    double* squares = c.scratch<double>((columns.blocks + 1) * columns.width);
    columns.for_blocks(
        [&](std::int64_t at, std::int64_t n, std::int64_t column, std::int64_t width, std::int64_t block) {
          const std::int64_t to = block * columns.width + column;
          table<T>().moments(x + at, n, width, columns.width, means + to, squares + to);
        });
    T* scale = c.scratch<T>(columns.width);
    T* shift = c.scratch<T>(columns.width);
    parallel_ranges(channels, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        double count = 0, average = 0, m2 = 0;
        columns.for_partials(i, [&](std::int64_t at, std::int64_t n) {
          const double added = static_cast<double>(n), delta = means[at] - average;
          count += added;
          average += delta * (added / count);
          m2 += squares[at] + delta * delta * ((count - added) * added / count);
        });
        if (count == 0) average = m2 = std::numeric_limits<double>::quiet_NaN();  // the mean of nothing
        const double v = m2 / std::max(count, 1.0);
        const double s = (gamma ? static_cast<double>(gamma[i]) : 1.0) / __builtin_sqrt(v + op.epsilon);
        mean[i] = static_cast<T>(average);
        variance[i] = static_cast<T>(v);
        scale[i] = static_cast<T>(s);
        // The shift carries what rounding took from the mean.
        shift[i] =
            static_cast<T>((beta ? static_cast<double>(beta[i]) : 0.0) - (average - static_cast<double>(mean[i])) * s);
      }
    });
    const T* center = per_column<T>(c, columns, [&](std::int64_t i) { return mean[i]; });
    for (std::int64_t i = channels; i < columns.width; ++i)
      scale[i] = scale[i - channels], shift[i] = shift[i - channels];
    columns.for_blocks([&](std::int64_t at, std::int64_t n, std::int64_t column, std::int64_t width, std::int64_t) {
      table<T>().apply(x + at, n, width, columns.width, center + column, scale + column, shift + column, y + at);
    });
  });
}

void infer(const batch_norm_grad& op, Infer& c) {
  c.require_floating(0);
  c.require_dtype(0, c.dtype(1));
  require_epsilon(c, op.epsilon);
  const Shape channels{channels_of(c, 1)};
  c.require_shape(0, c.shape(1));
  require_vectors(c, {2, 3, 4}, channels);
  c.out(c.in(1));
  c.out(parameter_dtype(c), channels);
  c.out(parameter_dtype(c), channels);
}
void run(const batch_norm_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t channels = c.shape(1).last(), m = c.shape(1).size() / channels;
    const Columns columns(m, channels);
    const T *dy = c.input<T>(0), *x = c.input<T>(1), *gamma = c.input<T>(2), *mean = c.input<T>(3),
            *variance = c.input<T>(4);
    T *dx = c.output<T>(0), *dgamma = c.output<T>(1), *dbeta = c.output<T>(2);
    double* first = c.scratch<double>((columns.blocks + 1) * columns.width);
    double* second = c.scratch<double>((columns.blocks + 1) * columns.width);
    const T* center = per_column<T>(c, columns, [&](std::int64_t i) { return mean[i]; });
    columns.for_blocks(
        [&](std::int64_t at, std::int64_t n, std::int64_t column, std::int64_t width, std::int64_t block) {
          const std::int64_t to = block * columns.width + column;
          table<T>().grad_sums(dy + at, x + at, n, width, columns.width, center + column, first + to, second + to);
        });
    // dx = a dy + b (x - mean) + d
    double* sums = c.scratch<double>(2 * channels);
    parallel_ranges(channels, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        double s1 = 0, s2 = 0;
        columns.for_partials(i, [&](std::int64_t at, std::int64_t) { s1 += first[at], s2 += second[at]; });
        sums[2 * i] = s1;
        sums[2 * i + 1] = s2;
      }
    });
    const auto inverse = [&](std::int64_t i) {
      return 1.0 / __builtin_sqrt(static_cast<double>(variance[i]) + op.epsilon);
    };
    const auto scale = [&](std::int64_t i) { return gamma ? inverse(i) * static_cast<double>(gamma[i]) : inverse(i); };
    const double rows = static_cast<double>(std::max<std::int64_t>(m, 1));
    for (std::int64_t i = 0; i < channels; ++i) {
      dgamma[i] = static_cast<T>(sums[2 * i + 1] * inverse(i));
      dbeta[i] = static_cast<T>(sums[2 * i]);
    }
    const T* a = per_column<T>(c, columns, scale);
    const T* b = per_column<T>(
        c, columns, [&](std::int64_t i) { return -scale(i) * inverse(i) * inverse(i) * sums[2 * i + 1] / rows; });
    const T* d = per_column<T>(c, columns, [&](std::int64_t i) { return -scale(i) * sums[2 * i] / rows; });
    columns.for_blocks([&](std::int64_t at, std::int64_t n, std::int64_t column, std::int64_t width, std::int64_t) {
      table<T>().grad_apply(dy + at, x + at, n, width, columns.width, center + column, a + column, b + column,
                            d + column, dx + at);
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
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t channels = c.shape(0).last();
    const Columns columns(c.shape(0).size() / channels, channels);
    const T *x = c.input<T>(0), *mean = c.input<T>(1), *variance = c.input<T>(2), *gamma = c.input<T>(3),
            *beta = c.input<T>(4);
    T* y = c.output<T>(0);
    const T* center = per_column<T>(c, columns, [&](std::int64_t i) { return mean[i]; });
    const T* scale = per_column<T>(c, columns, [&](std::int64_t i) {
      return (gamma ? static_cast<double>(gamma[i]) : 1.0) /
             __builtin_sqrt(static_cast<double>(variance[i]) + op.epsilon);
    });
    const T* shift = per_column<T>(c, columns, [&](std::int64_t i) { return beta ? beta[i] : T(0); });
    columns.for_blocks([&](std::int64_t at, std::int64_t n, std::int64_t column, std::int64_t width, std::int64_t) {
      table<T>().apply(x + at, n, width, columns.width, center + column, scale + column, shift + column, y + at);
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

std::int64_t rows_per_block(std::int64_t n) { return std::clamp<std::int64_t>(kGrain / n, 8, 64); }

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
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t rows = c.out(1).shape.size(), n = c.shape(0).size() / rows;
    parallel_ranges(rows, rows_per_block(n), [&](std::int64_t begin, std::int64_t end) {
      table<T>().layer_rows(c.input<T>(0) + begin * n, end - begin, n, c.input<T>(1), c.input<T>(2), op.epsilon,
                            c.output<T>(0) + begin * n, c.output<T>(1) + begin, c.output<T>(2) + begin);
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
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t rows = c.shape(3).size(), n = c.out(1).shape.size(), grain = rows_per_block(n);
    const std::int64_t blocks = (rows + grain - 1) / grain;
    T* dgamma = c.scratch<T>(blocks * n);
    T* dbeta = c.scratch<T>(blocks * n);
    parallel_ranges(rows, grain, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t at = begin * n, part = begin / grain * n;
      table<T>().layer_grad_rows(c.input<T>(0) + at, c.input<T>(1) + at, end - begin, n, c.input<T>(2),
                                 c.input<T>(3) + begin, c.input<T>(4) + begin, op.epsilon, c.output<T>(0) + at,
                                 dgamma + part, dbeta + part);
    });
    auto add_up = kernels::reduce().columns[static_cast<int>(kernels::Reduction::sum)][static_cast<int>(c.dtype(0))];
    parallel_ranges(n, 1024, [&](std::int64_t begin, std::int64_t end) {
      add_up(dgamma + begin, blocks, end - begin, n, c.output<T>(1) + begin);
      add_up(dbeta + begin, blocks, end - begin, n, c.output<T>(2) + begin);
    });
  });
}

}  // namespace kcore::ops
