// Random numbers and dropout: checks, bounds, and the split into ranges. No range depends on the number of threads.
#include "kernels/random/random.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/random/normal.h"
#include "ops/op.h"

namespace kcore::ops {
namespace {

constexpr std::int64_t kGrain = 128 * kRandomChunk;

void require_seed(const Infer& c, int i) {
  c.require_dtype(i, DType::uint32);
  c.require_shape(i, {2});
}

void infer_fill(Infer& c, const Ints& shape, DType dtype) {
  require_seed(c, 0);
  c.require(shape.size() <= Shape::kMaxRank, "expected a shape of at most 8 dimensions, received ", shape.size());
  for (std::int64_t dim : shape) c.require(dim >= 0, "expected dimensions of 0 or more, received ", dim);
  c.out(dtype, Shape(shape.data(), static_cast<int>(shape.size())));
}

void require_floating_dtype(const Infer& c, DType dtype) {
  c.require(is_floating(dtype), "expected a float dtype, received ", dtype);
}

void run_normal(Run& c, double mean, double stddev, bool truncated) {
  const auto* seed = c.input<std::uint32_t>(0);
  const auto& kernels = kernels::random();
  parallel_ranges(c.out(0).shape.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (c.out(0).dtype == DType::float64)
      kernels.normal_f64(seed, begin, end, mean, stddev, truncated, c.output<double>(0));
    else
      kernels.normal_f32(seed, begin, end, static_cast<float>(mean), static_cast<float>(stddev), truncated,
                         c.output<float>(0));
  });
}

// The unlimited stream of words of one element, for rejection methods.
class Stream {
 public:
  Stream(const std::uint32_t* seed, std::int64_t element)
      : seed_(seed), element_(static_cast<std::uint64_t>(element)) {}

  // In (0, 1).
  double uniform() { return (static_cast<double>(bits() >> 12) + 0.5) * 0x1p-52; }
  double normal() {
    const double u = uniform();
    return u < 0.5 ? lower_normal_quantile(u) : -lower_normal_quantile(1 - u);
  }
  // Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26, 2000; alpha < 1 by their boost.
  double gamma(double alpha) {
    if (!(alpha > 0)) return std::nan("");
    if (std::isinf(alpha)) return alpha;
    if (alpha < 1) {
      const double u = uniform();
      return gamma(alpha + 1) * std::pow(u, 1 / alpha);
    }
    const double d = alpha - 1.0 / 3, k = 1 / std::sqrt(9 * d);
    for (;;) {
      const double z = normal(), t = 1 + k * z, v = t * t * t;
      if (v > 0 && std::log(uniform()) < 0.5 * z * z + d - d * v + d * std::log(v)) return d * v;
    }
  }
  // Splits n trials at the median order statistic, a beta variable, until few successes are left: O(log n) draws.
  // L. Devroye, "Non-Uniform Random Variate Generation", 1986, chapter X.4.
  double binomial(double n, double p) {
    if (!(n >= 0) || std::isinf(n) || !(p >= 0 && p <= 1)) return std::nan("");
    n = std::floor(n);
    double count = 0;
    while (n * std::min(p, 1 - p) > 32) {
      const double i = std::floor(n / 2) + 1, a = gamma(i), split = a / (a + gamma(n + 1 - i));
      if (split <= p) {
        count += i;
        n -= i;
        p = split < 1 ? (p - split) / (1 - split) : 0;
      } else {
        n = i - 1;
        p /= split;
      }
    }
    return count + (p > 0.5 ? n - few_successes(n, 1 - p) : few_successes(n, p));
  }

 private:
  // By inversion: a walk from 0 successes on, as long as their number. p <= 1/2, so the probability of none is a normal
  // number. Where probabilities past the mean are below what a uniform number can tell, rounding is all that is left.
  double few_successes(double n, double p) {
    if (!(n * p > 0)) return 0;
    const double odds = p / (1 - p), scale = (n + 1) * odds, mean = n * p;
    double probability = std::exp(n * std::log1p(-p)), k = 0;
    double left = uniform() - probability;
    while (left > 0 && k < n && (k < mean || probability > 0x1p-60)) {
      probability *= scale / ++k - odds;
      left -= probability;
    }
    return k;
  }
  std::uint64_t bits() {
    if (left_ == 0) {
      words_[0] = static_cast<std::uint32_t>(element_);
      words_[1] = static_cast<std::uint32_t>(element_ >> 32);
      words_[2] = seed_[1];
      words_[3] = ++draws_;
      philox(seed_[0], 0, words_);
      left_ = 2;
    }
    --left_;
    return words_[2 * left_] | static_cast<std::uint64_t>(words_[2 * left_ + 1]) << 32;
  }

  const std::uint32_t* seed_;
  std::uint64_t element_;
  std::uint32_t words_[4] = {};
  std::uint32_t draws_ = 0;
  int left_ = 0;
};

}  // namespace

namespace {

// The largest bfloat16 below x: what is not above it stays below x when it is rounded.
float bfloat16_below(float x) {
  bfloat16 y(x);
  if (static_cast<float>(y) >= x) {
    if ((y.bits & 0x7fff) == 0) y.bits = 0x8000;
    y.bits = static_cast<std::uint16_t>(y.bits & 0x8000 ? y.bits + 1 : y.bits - 1);
  }
  return static_cast<float>(y);
}

}  // namespace

void infer(const random_uniform& op, Infer& c) {
  infer_fill(c, op.shape, op.dtype);
  require_floating_dtype(c, op.dtype);
  c.require(op.minval <= op.maxval && std::isfinite(op.maxval - op.minval),
            "expected finite minval <= maxval, received ", op.minval, " and ", op.maxval);
}

void run(const random_uniform& op, Run& c) {
  const auto* seed = c.input<std::uint32_t>(0);
  const auto& kernels = kernels::random();
  parallel_ranges(c.out(0).shape.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (op.dtype == DType::float64) {
      kernels.uniform_f64(seed, begin, end, op.minval, op.maxval - op.minval, std::nextafter(op.maxval, op.minval),
                          c.output<double>(0));
    } else {
      const auto low = static_cast<float>(op.minval), high = static_cast<float>(op.maxval);
      const float top = op.dtype == DType::bfloat16 ? bfloat16_below(high) : std::nextafter(high, low);
      kernels.uniform_f32(seed, begin, end, low, high - low, top < low ? low : top, c.output<float>(0));
    }
  });
}

void infer(const random_normal& op, Infer& c) {
  infer_fill(c, op.shape, op.dtype);
  require_floating_dtype(c, op.dtype);
}

void run(const random_normal& op, Run& c) { run_normal(c, op.mean, op.stddev, false); }

void infer(const random_truncated_normal& op, Infer& c) {
  infer_fill(c, op.shape, op.dtype);
  require_floating_dtype(c, op.dtype);
}

void run(const random_truncated_normal& op, Run& c) { run_normal(c, op.mean, op.stddev, true); }

void infer(const random_integers& op, Infer& c) {
  infer_fill(c, op.shape, op.dtype);
  c.require(!is_floating(op.dtype) && op.dtype != DType::boolean, "expected an integer dtype, received ", op.dtype);
  c.require(op.minval < op.maxval, "expected minval < maxval, received ", op.minval, " and ", op.maxval);
  const std::int64_t low = op.dtype == DType::int32 ? INT32_MIN : op.dtype == DType::int64 ? INT64_MIN : 0;
  const std::int64_t high = op.dtype == DType::int32    ? INT32_MAX
                            : op.dtype == DType::uint32 ? UINT32_MAX
                            : op.dtype == DType::uint8  ? UINT8_MAX
                                                        : INT64_MAX;
  c.require(op.minval >= low && op.maxval - 1 <= high, "expected bounds within ", op.dtype, ", received ", op.minval,
            " and ", op.maxval);
}

void run(const random_integers& op, Run& c) {
  const auto* seed = c.input<std::uint32_t>(0);
  const std::uint64_t span = static_cast<std::uint64_t>(op.maxval) - static_cast<std::uint64_t>(op.minval);
  for_dtype(op.dtype, [&](auto tag) {
    using T = decltype(tag);
    T* y = c.output<T>(0);
    parallel_ranges(c.out(0).shape.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      std::uint64_t values[kRandomChunk];
      for (std::int64_t i = begin; i < end; i += kRandomChunk) {
        const std::int64_t stop = i + kRandomChunk < end ? i + kRandomChunk : end;
        kernels::random().integers(seed, i, stop, span, values - i);
        for (std::int64_t j = i; j < stop; ++j)
          y[j] = static_cast<T>(static_cast<std::uint64_t>(op.minval) + values[j - i]);
      }
    });
  });
}

void infer(const random_gamma&, Infer& c) {
  c.require_floating(0);
  require_seed(c, 1);
  c.out(c.in(0));
}

void run(const random_gamma&, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(c.out(0).shape.size(), grain_for(60), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        c.output<T>(0)[i] =
            static_cast<T>(Stream(c.input<std::uint32_t>(1), i).gamma(static_cast<double>(c.input<T>(0)[i])));
    });
  });
}

void infer(const random_binomial&, Infer& c) {
  c.require_floating(0);
  c.require_dtype(1, c.dtype(0));
  c.require_shape(1, c.shape(0));
  require_seed(c, 2);
  c.out(c.in(0));
}

void run(const random_binomial&, Run& c) {
  for_floating(c.dtype(0), [&](auto tag) {
    using T = decltype(tag);
    parallel_ranges(c.out(0).shape.size(), grain_for(300), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        c.output<T>(0)[i] =
            static_cast<T>(Stream(c.input<std::uint32_t>(2), i)
                               .binomial(static_cast<double>(c.input<T>(0)[i]), static_cast<double>(c.input<T>(1)[i])));
    });
  });
}

void infer(const dropout& op, Infer& c) {
  c.require_floating(0);
  require_seed(c, 1);
  c.require(op.rate >= 0 && op.rate <= 1, "expected rate in [0, 1], received ", op.rate);
  c.out(c.in(0));
}

void run(const dropout& op, Run& c) {
  const auto threshold = static_cast<std::uint64_t>(op.rate * 0x1p32);
  const double scale = op.rate < 1 ? 1 / (1 - op.rate) : 0;
  const auto* seed = c.input<std::uint32_t>(1);
  const auto& kernels = kernels::random();
  parallel_ranges(c.shape(0).size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (c.dtype(0) == DType::float64)
      kernels.dropout_f64(seed, begin, end, threshold, scale, c.input<double>(0), c.output<double>(0));
    else
      kernels.dropout_f32(seed, begin, end, threshold, static_cast<float>(scale), c.input<float>(0),
                          c.output<float>(0));
  });
}

}  // namespace kcore::ops
