// Cross-entropies. Classes are along the last axis; a loss has the shape of the axes before it.
#include "kernels/loss/loss.h"

#include <algorithm>

#include "base/cache.h"
#include "base/parallel.h"
#include "ops/op.h"
#include "ops/stream.h"

namespace kcore::ops {
namespace {

constexpr std::int64_t kGrain = 1 << 15;  // elements of one block

template <class T>
const kernels::LossTable<T>& table();
template <>
const kernels::LossTable<float>& table() {
  return kernels::loss().f32;
}
template <>
const kernels::LossTable<double>& table() {
  return kernels::loss().f64;
}

Shape rows_of(const Shape& x) { return Shape(x.begin(), x.rank() - 1); }

// Checks x (rows..., classes), the input at `at`, and dy before it if there is one.
Shape check_classes(Infer& c, int at) {
  const Shape& x = c.shape(at);
  c.require_floating(at);
  c.require(x.rank() >= 1 && x.last() >= 1, "expected ", c.name(at),
            " with at least one class along its last axis, received shape ", x);
  if (at == 1) {
    c.require_shape(0, rows_of(x));
    c.require(c.dtype(0) == c.dtype(1), "expected dy of dtype ", c.dtype(1), ", received ", c.dtype(0));
  }
  return rows_of(x);
}

void check_target(Infer& c, int at) {
  c.require_shape(at, c.shape(at - 1));
  c.require_dtype(at, c.dtype(at - 1));
}

// Labels may be of any dtype but bool: they often come as floats.
void check_labels(Infer& c, int at) {
  c.require(c.dtype(at) != DType::boolean, "expected ", c.name(at), " of a numeric dtype, received bool");
  c.require_shape(at, rows_of(c.shape(at - 1)));
}

void check_epsilon(const Infer& c, double epsilon) {
  c.require(epsilon >= 0 && epsilon < 0.5, "expected an epsilon in [0, 0.5), received ", epsilon);
}

// The labels as int64, each in [0, classes). A NaN is in no range.
const std::int64_t* checked_labels(Run& c, int at, std::int64_t classes) {
  const std::int64_t count = c.shape(at).size();
  std::int64_t* labels = c.scratch<std::int64_t>(count);
  for_dtype(c.dtype(at), [&](auto zero) {
    using T = decltype(zero);
    const T* given = c.input<T>(at);
    for (std::int64_t i = 0; i < count; ++i) {
      if (!(given[i] >= T(0) && static_cast<double>(given[i]) < static_cast<double>(classes)))
        c.fail("expected labels in [0, ", classes, "), received ", +given[i], " at position ", i);
      labels[i] = static_cast<std::int64_t>(given[i]);
    }
  });
  return labels;
}

template <class Body>
void for_rows(const Shape& x, const Body& body) {
  const std::int64_t n = x.last();
  parallel_ranges(x.size() / n, std::max<std::int64_t>(1, kGrain / n),
                  [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin, n); });
}

void check_elements(Infer& c) {
  for (int i = 0; i < c.size(); ++i) {
    c.require_floating(i);
    c.require_shape(i, c.shape(0));
  }
  c.require_same_dtype();
  c.out(c.in(0));
}

// body(first element, elements, where their results go) for all elements of the first `inputs` inputs.
template <class T, class Body>
void for_elements(Run& c, int inputs, const Body& body) {
  const std::int64_t n = c.shape(0).size(), size = sizeof(T);
  T* y = c.output<T>(0);
  if (!exceeds_cache(n * (inputs + 1) * size)) {
    parallel_ranges(n, kGrain, [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin, y + begin); });
    return;
  }
  const std::int64_t per_block = stream_count(size);
  parallel_ranges(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    stream_range(
        y, size, per_block, begin, end,
        [&](std::int64_t first, std::int64_t last, char* to) {
          body(first, last - first, static_cast<T*>(static_cast<void*>(to)));
        },
        [&](std::int64_t first, kernels::Ahead* next) {
          for (int k = 0; k < inputs; ++k) next[k] = {c.input<T>(k) + first, per_block * size};
          return inputs;
        });
  });
}

}  // namespace

void infer(const softmax_cross_entropy&, Infer& c) {
  const Shape rows = check_classes(c, 0);
  check_target(c, 1);
  c.out(c.dtype(0), rows);
}
void run(const softmax_cross_entropy&, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_rows(c.shape(0), [&](std::int64_t at, std::int64_t rows, std::int64_t n) {
      table<T>().softmax(c.input<T>(0) + at * n, c.input<T>(1) + at * n, rows, n, c.output<T>(0) + at);
    });
  });
}

void infer(const softmax_cross_entropy_grad&, Infer& c) {
  check_classes(c, 1);
  check_target(c, 2);
  c.out(c.in(1));
}
void run(const softmax_cross_entropy_grad&, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const bool stream = exceeds_cache(3 * c.shape(1).size() * size_of(c.dtype(1)));
    for_rows(c.shape(1), [&](std::int64_t at, std::int64_t rows, std::int64_t n) {
      table<T>().softmax_grad(c.input<T>(0) + at, c.input<T>(1) + at * n, c.input<T>(2) + at * n, rows, n,
                              c.output<T>(0) + at * n, stream);
    });
  });
}

void infer(const sparse_softmax_cross_entropy&, Infer& c) {
  const Shape rows = check_classes(c, 0);
  check_labels(c, 1);
  c.out(c.dtype(0), rows);
}
void run(const sparse_softmax_cross_entropy&, Run& c) {
  const std::int64_t* labels = checked_labels(c, 1, c.shape(0).last());
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_rows(c.shape(0), [&](std::int64_t at, std::int64_t rows, std::int64_t n) {
      table<T>().sparse_softmax(c.input<T>(0) + at * n, labels + at, rows, n, c.output<T>(0) + at);
    });
  });
}

void infer(const sparse_softmax_cross_entropy_grad&, Infer& c) {
  check_classes(c, 1);
  check_labels(c, 2);
  c.out(c.in(1));
}
void run(const sparse_softmax_cross_entropy_grad&, Run& c) {
  const std::int64_t* labels = checked_labels(c, 2, c.shape(1).last());
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    const bool stream = exceeds_cache(2 * c.shape(1).size() * size_of(c.dtype(1)));
    for_rows(c.shape(1), [&](std::int64_t at, std::int64_t rows, std::int64_t n) {
      table<T>().sparse_softmax_grad(c.input<T>(0) + at, c.input<T>(1) + at * n, labels + at, rows, n,
                                     c.output<T>(0) + at * n, stream);
    });
  });
}

void infer(const cross_entropy& op, Infer& c) {
  const Shape rows = check_classes(c, 0);
  check_target(c, 1);
  check_epsilon(c, op.epsilon);
  c.out(c.dtype(0), rows);
}
void run(const cross_entropy& op, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_rows(c.shape(0), [&](std::int64_t at, std::int64_t rows, std::int64_t n) {
      table<T>().dense(c.input<T>(0) + at * n, c.input<T>(1) + at * n, rows, n, static_cast<T>(op.epsilon),
                       c.output<T>(0) + at);
    });
  });
}

void infer(const cross_entropy_grad& op, Infer& c) {
  check_classes(c, 1);
  check_target(c, 2);
  check_epsilon(c, op.epsilon);
  c.out(c.in(1));
}
void run(const cross_entropy_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_rows(c.shape(1), [&](std::int64_t at, std::int64_t rows, std::int64_t n) {
      table<T>().dense_grad(c.input<T>(0) + at, c.input<T>(1) + at * n, c.input<T>(2) + at * n, rows, n,
                            static_cast<T>(op.epsilon), c.output<T>(0) + at * n);
    });
  });
}

void infer(const sparse_cross_entropy& op, Infer& c) {
  const Shape rows = check_classes(c, 0);
  check_labels(c, 1);
  check_epsilon(c, op.epsilon);
  c.out(c.dtype(0), rows);
}
void run(const sparse_cross_entropy& op, Run& c) {
  const std::int64_t* labels = checked_labels(c, 1, c.shape(0).last());
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_rows(c.shape(0), [&](std::int64_t at, std::int64_t rows, std::int64_t n) {
      table<T>().sparse(c.input<T>(0) + at * n, labels + at, rows, n, static_cast<T>(op.epsilon), c.output<T>(0) + at);
    });
  });
}

void infer(const sparse_cross_entropy_grad& op, Infer& c) {
  check_classes(c, 1);
  check_labels(c, 2);
  check_epsilon(c, op.epsilon);
  c.out(c.in(1));
}
void run(const sparse_cross_entropy_grad& op, Run& c) {
  const std::int64_t* labels = checked_labels(c, 2, c.shape(1).last());
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_rows(c.shape(1), [&](std::int64_t at, std::int64_t rows, std::int64_t n) {
      table<T>().sparse_grad(c.input<T>(0) + at, c.input<T>(1) + at * n, labels + at, rows, n,
                             static_cast<T>(op.epsilon), c.output<T>(0) + at * n);
    });
  });
}

void infer(const sigmoid_cross_entropy&, Infer& c) { check_elements(c); }
void run(const sigmoid_cross_entropy&, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_elements<T>(c, 2, [&](std::int64_t at, std::int64_t n, T* loss) {
      table<T>().sigmoid(c.input<T>(0) + at, c.input<T>(1) + at, n, loss);
    });
  });
}

void infer(const sigmoid_cross_entropy_grad&, Infer& c) { check_elements(c); }
void run(const sigmoid_cross_entropy_grad&, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_elements<T>(c, 3, [&](std::int64_t at, std::int64_t n, T* dx) {
      table<T>().sigmoid_grad(c.input<T>(0) + at, c.input<T>(1) + at, c.input<T>(2) + at, n, dx);
    });
  });
}

void infer(const binary_cross_entropy& op, Infer& c) {
  check_elements(c);
  check_epsilon(c, op.epsilon);
}
void run(const binary_cross_entropy& op, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_elements<T>(c, 2, [&](std::int64_t at, std::int64_t n, T* loss) {
      table<T>().binary(c.input<T>(0) + at, c.input<T>(1) + at, n, static_cast<T>(op.epsilon), loss);
    });
  });
}

void infer(const binary_cross_entropy_grad& op, Infer& c) {
  check_elements(c);
  check_epsilon(c, op.epsilon);
}
void run(const binary_cross_entropy_grad& op, Run& c) {
  for_floating(c.dtype(0), [&](auto zero) {
    using T = decltype(zero);
    for_elements<T>(c, 3, [&](std::int64_t at, std::int64_t n, T* dp) {
      table<T>().binary_grad(c.input<T>(0) + at, c.input<T>(1) + at, c.input<T>(2) + at, n, static_cast<T>(op.epsilon),
                             dp);
    });
  });
}

}  // namespace kcore::ops
