// Optimizer updates: checks, the scalars of the step, and the split into ranges.
// Scalars are rounded to the weight's precision where Keras rounds them: 1 - beta_2^step loses digits there, and so
// here.
#include "kernels/optim/optim.h"

#include <algorithm>
#include <cmath>

#include "base/cache.h"
#include "base/parallel.h"
#include "ops/op.h"
#include "ops/stream.h"

namespace kcore::ops {
namespace {

// Inputs: w, g, `slots` slots, then `scalars` 0-d tensors. Outputs: the new w and slots.
void infer_update(Infer& c, int slots, int scalars) {
  c.require_floating(0);
  for (int i = 1; i < 2 + slots; ++i) {
    if (!c.has(i)) continue;
    c.require_dtype(i, c.dtype(0));
    c.require_shape(i, c.shape(0));
  }
  for (int i = 2 + slots; i < 2 + slots + scalars; ++i) {
    c.require_rank(i, 0);
    c.require(c.dtype(i) != DType::boolean, "expected ", c.name(i), " of a numeric dtype, received bool");
  }
  c.out(c.in(0));
  for (int i = 2; i < 2 + slots; ++i) c.has(i) ? c.out(c.in(i)) : c.out(c.dtype(0), {0});
}

double scalar(const Run& c, int input) {
  double value = 0;
  for_dtype(c.dtype(input), [&](auto tag) { value = static_cast<double>(*c.input<decltype(tag)>(input)); });
  return value;
}

// base^exponent, both and the result rounded to T.
template <class T>
T rounded_power(double base, double exponent) {
  return static_cast<T>(std::pow(static_cast<double>(static_cast<T>(base)), exponent));
}

template <class T>
OptimUpdates<T> updates() {
  if constexpr (std::is_same_v<T, double>)
    return kernels::optim().f64;
  else
    return kernels::optim().f32;
}

// Calls update(updates, range) with ranges that cover the weight. Outputs may be the memory of the weight and slots
// themselves: element i of them depends on element i of the inputs alone. New values that are written elsewhere and
// will not stay in the cache are computed into blocks in L1 and written around it, which moves no more bytes.
template <class T, class Update>
void for_ranges(Run& c, int slots, Update&& update) {
  constexpr std::int64_t kGrain = 16384, kStreamGrain = 1 << 16,
                         kBlock = stream_count(2 * sizeof(T));  // up to 9 blocks in L1
  const OptimUpdates<T> kernels = updates<T>();
  const T *in[kOptimArrays] = {}, *g = c.input<T>(1);
  T* out[kOptimArrays] = {};
  std::int64_t arrays = 1;  // read besides g, of the weight's size
  for (int i = 0; i <= slots; ++i) {
    const int input = i == 0 ? 0 : 1 + i;
    if (!c.has(input)) continue;
    in[i] = c.input<T>(input);
    out[i] = c.output<T>(i);
    ++arrays;
  }
  const auto range_of = [&](std::int64_t begin, std::int64_t end) {
    OptimRange<T> range{};
    range.n = end - begin;
    range.g = g + begin;
    range.w = in[0] + begin;
    for (int i = 1; i <= slots; ++i) range.slot[i - 1] = in[i] ? in[i] + begin : nullptr;
    return range;
  };
  const std::int64_t n = c.shape(0).size();
  const bool in_place = out[0] == in[0];
  if (in_place || !exceeds_cache((2 * arrays - 1) * n * static_cast<std::int64_t>(sizeof(T)))) {
    parallel_ranges(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
      OptimRange<T> range = range_of(begin, end);
      range.w_new = out[0] + begin;
      for (int i = 1; i <= slots; ++i) range.slot_new[i - 1] = out[i] ? out[i] + begin : nullptr;
      update(kernels, range);
    });
    return;
  }
  parallel_ranges(n, kStreamGrain, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) T block[kOptimArrays][kBlock];
    const auto& copy = kernels::copy();
    for (std::int64_t first = begin; first < end; first += kBlock) {
      const std::int64_t last = std::min(first + kBlock, end);
      const std::int64_t bytes = (last - first) * static_cast<std::int64_t>(sizeof(T));
      OptimRange<T> range = range_of(first, last);
      range.w_new = block[0];
      for (int i = 1; i <= slots; ++i) range.slot_new[i - 1] = block[i];
      update(kernels, range);
      // The gradient is fetched beside the weight, each slot beside itself.
      for (int i = 0; i <= slots; ++i) {
        if (!out[i]) continue;
        const kernels::Ahead next[] = {{in[i] + last, bytes}, {g + last, bytes}};
        copy.stream_out(out[i] + first, block[i], bytes, next, i == 0 ? 2 : 1);
      }
    }
    copy.stream_end();
  });
}

template <class Body>
void for_weight(const Run& c, Body&& body) {
  for_floating(c.dtype(0), body);
}

}  // namespace

void infer(const sgd&, Infer& c) { infer_update(c, 1, 1); }

void run(const sgd& op, Run& c) {
  for_weight(c, [&](auto tag) {
    using T = decltype(tag);
    const SgdScalars<T> s{T(scalar(c, 3)), T(op.momentum), op.nesterov};
    for_ranges<T>(c, 1, [&](auto& kernels, auto& range) { kernels.sgd(range, s); });
  });
}

void infer(const rmsprop&, Infer& c) { infer_update(c, 3, 1); }

void run(const rmsprop& op, Run& c) {
  for_weight(c, [&](auto tag) {
    using T = decltype(tag);
    const RmspropScalars<T> s{T(scalar(c, 5)), T(op.rho), T(1 - op.rho), T(op.momentum), T(op.epsilon)};
    for_ranges<T>(c, 3, [&](auto& kernels, auto& range) { kernels.rmsprop(range, s); });
  });
}

void infer(const adagrad&, Infer& c) { infer_update(c, 1, 1); }

void run(const adagrad& op, Run& c) {
  for_weight(c, [&](auto tag) {
    using T = decltype(tag);
    const AdagradScalars<T> s{T(scalar(c, 3)), T(op.epsilon)};
    for_ranges<T>(c, 1, [&](auto& kernels, auto& range) { kernels.adagrad(range, s); });
  });
}

void infer(const adadelta&, Infer& c) { infer_update(c, 2, 1); }

void run(const adadelta& op, Run& c) {
  for_weight(c, [&](auto tag) {
    using T = decltype(tag);
    const AdadeltaScalars<T> s{T(scalar(c, 4)), T(op.rho), T(1 - op.rho), T(op.epsilon)};
    for_ranges<T>(c, 2, [&](auto& kernels, auto& range) { kernels.adadelta(range, s); });
  });
}

void infer(const adam&, Infer& c) { infer_update(c, 3, 2); }

void run(const adam& op, Run& c) {
  for_weight(c, [&](auto tag) {
    using T = decltype(tag);
    const double step = scalar(c, 6);
    const T unbias_1 = T(1) - rounded_power<T>(op.beta_1, step), unbias_2 = T(1) - rounded_power<T>(op.beta_2, step);
    const AdamScalars<T> s{T(scalar(c, 5)) * std::sqrt(unbias_2) / unbias_1, T(1 - op.beta_1), T(1 - op.beta_2),
                           T(op.epsilon)};
    for_ranges<T>(c, 3, [&](auto& kernels, auto& range) { kernels.adam(range, s); });
  });
}

void infer(const adamax&, Infer& c) { infer_update(c, 2, 2); }

void run(const adamax& op, Run& c) {
  for_weight(c, [&](auto tag) {
    using T = decltype(tag);
    const AdamaxScalars<T> s{T(scalar(c, 4)), T(1 - op.beta_1), T(op.beta_2),
                             T(1) - rounded_power<T>(op.beta_1, scalar(c, 5)), T(op.epsilon)};
    for_ranges<T>(c, 2, [&](auto& kernels, auto& range) { kernels.adamax(range, s); });
  });
}

void infer(const nadam&, Infer& c) { infer_update(c, 2, 3); }

// T. Dozat, "Incorporating Nesterov momentum into Adam", 2016, with the paper's schedule of momentum. u_product is the
// product of the momenta up to and with this step.
void run(const nadam& op, Run& c) {
  for_weight(c, [&](auto tag) {
    using T = decltype(tag);
    const double step = scalar(c, 5);
    const T product = T(scalar(c, 6));
    const T u = T(op.beta_1) * (T(1) - T(0.5) * rounded_power<T>(0.96, step));
    const T u_next = T(op.beta_1) * (T(1) - T(0.5) * rounded_power<T>(0.96, step + 1));
    const NadamScalars<T> s{T(scalar(c, 4)),
                            T(1 - op.beta_1),
                            T(1 - op.beta_2),
                            u_next / (T(1) - product * u_next),
                            (T(1) - u) / (T(1) - product),
                            T(1) - rounded_power<T>(op.beta_2, step),
                            T(op.epsilon)};
    for_ranges<T>(c, 2, [&](auto& kernels, auto& range) { kernels.nadam(range, s); });
  });
}

void infer(const lion&, Infer& c) { infer_update(c, 1, 1); }

void run(const lion& op, Run& c) {
  for_weight(c, [&](auto tag) {
    using T = decltype(tag);
    const LionScalars<T> s{T(scalar(c, 3)), T(op.beta_1), T(1 - op.beta_1), T(op.beta_2), T(1 - op.beta_2)};
    for_ranges<T>(c, 1, [&](auto& kernels, auto& range) { kernels.lion(range, s); });
  });
}

void infer(const ftrl&, Infer& c) { infer_update(c, 2, 1); }

void run(const ftrl& op, Run& c) {
  for_weight(c, [&](auto tag) {
    using T = decltype(tag);
    const double lr = scalar(c, 4);
    const FtrlScalars<T> s{T(lr), T(op.learning_rate_power), T(op.l1), T(op.l2 + op.beta / (2 * lr)),
                           T(op.l2_shrinkage)};
    for_ranges<T>(c, 2, [&](auto& kernels, auto& range) { kernels.ftrl(range, s); });
  });
}

}  // namespace kcore::ops
