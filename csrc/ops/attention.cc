// Scaled dot-product attention and its gradient, cut into key/value heads and ranges of queries or keys.
#include "kernels/attention/attention.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/scratch.h"
#include "ops/op.h"

namespace kcore::ops {
namespace {

using kernels::kAttentionFew;
using kernels::kAttentionPad;
using kernels::kAttentionPanel;
using kernels::kAttentionQueryBlock;

// Enough for many cores; more would pack keys and values too often.
constexpr std::int64_t kTasks = 32;
// Queries and keys that make a task of their own worth packing for.
constexpr std::int64_t kLeastQueries = 256, kLeastKeys = 256;
constexpr std::int64_t kFewestKeys = 32;           // of a part that a few queries are compared with
constexpr std::size_t kKeyBlockBytes = 512 << 10;  // packed keys and values: half of an L2

enum Input { kQuery, kKey, kValue, kBias, kMask, kY, kMaxima, kSums, kDy };

template <class T>
const kernels::AttentionTable<T>& table() {
  if constexpr (sizeof(T) == sizeof(double)) {
    return kernels::attention().f64;
  } else {
    return kernels::attention().f32;
  }
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
std::int64_t padded(std::int64_t n) { return divide_up(n, kAttentionPad) * kAttentionPad + kAttentionPad; }

void require_broadcast(Infer& c, int i, const Shape& scores) {
  if (!c.has(i)) return;
  c.require_rank(i, 4);
  for (int axis = 0; axis < 4; ++axis)
    c.require(c.shape(i)[axis] == 1 || c.shape(i)[axis] == scores[axis], "expected ", c.name(i),
              " of a shape that broadcasts to (batch, heads, T, S) = ", scores, ", received ", c.shape(i));
}

// Checks query, key, value, bias and mask; the shape of the scores.
Shape infer_scores(Infer& c) {
  for (int i : {kQuery, kKey, kValue}) {
    c.require_floating(i);
    c.require_rank(i, 4);
    c.require(c.dtype(i) == c.dtype(kQuery), "expected ", c.name(i), " of dtype ", c.dtype(kQuery), ", received ",
              c.dtype(i));
  }
  const Shape &q = c.shape(kQuery), &k = c.shape(kKey), &v = c.shape(kValue);
  c.require(
      k[0] == q[0] && k[3] == q[3] && k[2] > 0 && q[2] % k[2] == 0,
      "expected a key of shape (batch, S, kv_heads, size) with the query's batch and size, and heads a multiple of "
      "kv_heads; received query ",
      q, " and key ", k);
  c.require(v[0] == k[0] && v[1] == k[1] && v[2] == k[2],
            "expected a value of the key's batch, length and heads, received key ", k, " and value ", v);
  c.require(k[1] > 0, "expected at least one key, received key ", k);
  const Shape scores{q[0], q[2], q[1], k[1]};
  require_broadcast(c, kBias, scores);
  require_broadcast(c, kMask, scores);
  if (c.has(kBias)) c.require_dtype(kBias, c.dtype(kQuery));
  if (c.has(kMask)) c.require_dtype(kMask, DType::boolean);
  return scores;
}

// Statistics of bfloat16 arrays are float32: an exponential turns 8 bits of a maximum into none.
DType statistics_dtype(const Infer& c) { return c.dtype(kQuery) == DType::bfloat16 ? DType::float32 : c.dtype(kQuery); }

template <class T>
kernels::ScoreOperand<T> operand(Run& c, int i, std::int64_t batch, std::int64_t first_head) {
  if (!c.has(i)) return {nullptr, 0, 0, 0};
  const Shape& s = c.shape(i);
  const auto step = [&](int axis) { return s[axis] == 1 ? 0 : s.count(axis + 1, 4); };
  return {static_cast<const T*>(c.input(i)) + batch * step(0) + first_head * step(1), step(1), step(2), step(3)};
}

// One call: every key/value head of every batch.
template <class T>
struct Problem {
  std::int64_t batches, queries, keys, heads, kv_heads, size, value_size, group;

  explicit Problem(const Run& c)
      : batches(c.shape(kQuery)[0]),
        queries(c.shape(kQuery)[1]),
        keys(c.shape(kKey)[1]),
        heads(c.shape(kQuery)[2]),
        kv_heads(c.shape(kKey)[2]),
        size(c.shape(kQuery)[3]),
        value_size(c.shape(kValue)[3]),
        group(heads / kv_heads) {}

  std::int64_t count() const { return batches * kv_heads; }
  std::int64_t rows() const { return group * queries; }
  // Multiply-adds of one key/value head.
  double work() const {
    return static_cast<double>(rows()) * static_cast<double>(keys) * static_cast<double>(size + value_size + 16);
  }
  // Where head i begins in query, key, value, and the statistics.
  std::int64_t query_at(std::int64_t i) const { return (i / kv_heads * queries * heads + i % kv_heads * group) * size; }
  std::int64_t y_at(std::int64_t i) const {
    return (i / kv_heads * queries * heads + i % kv_heads * group) * value_size;
  }
  std::int64_t key_at(std::int64_t i) const { return (i / kv_heads * keys * kv_heads + i % kv_heads) * size; }
  std::int64_t value_at(std::int64_t i) const { return (i / kv_heads * keys * kv_heads + i % kv_heads) * value_size; }
  std::int64_t row_at(std::int64_t i) const { return i * rows(); }

  // The largest block of keys up to `most` that fits beside its values.
  std::int64_t key_block(std::int64_t most) const {
    const auto bytes = [&](std::int64_t n) { return static_cast<std::size_t>(n * (size + value_size)) * sizeof(T); };
    while (most > 32 && bytes(most) > kKeyBlockBytes) most /= 2;
    return std::min(most, divide_up(keys, 32) * 32);
  }

  kernels::AttentionHead<T> head(Run& c, std::int64_t i, double scale, bool causal, std::int64_t block) const {
    const std::int64_t batch = i / kv_heads, first_head = i % kv_heads * group;
    return {queries,
            keys,
            group,
            heads,
            kv_heads,
            size,
            value_size,
            c.input<T>(kQuery) + query_at(i),
            c.input<T>(kKey) + key_at(i),
            c.input<T>(kValue) + value_at(i),
            operand<T>(c, kBias, batch, first_head),
            operand<unsigned char>(c, kMask, batch, first_head),
            static_cast<T>(scale),
            causal,
            block};
  }
};

// Pieces to cut each of `count` heads into, so that there are enough tasks, none shorter than `least`.
std::int64_t pieces(std::int64_t count, std::int64_t length, std::int64_t least) {
  return std::max<std::int64_t>(1, std::min(divide_up(kTasks, count), length / least));
}

// Tasks in a thread's turn: about 30 multiply-adds a nanosecond, and several neighbours if there are many.
std::int64_t grain(std::int64_t tasks, double work) {
  return std::max(grain_for(work / 30), std::min<std::int64_t>(4, tasks / kTasks));
}

// Parts of the keys, each of which takes a while to read, then what they add up to.
template <class T>
void forward_few(const attention& op, Run& c, const Problem<T>& p) {
  // What is read of a key, 20 bytes a nanosecond; 16: an exponential for each score.
  const double key_cost = static_cast<double>(p.kv_heads * (p.size + p.value_size + 16)) * sizeof(T) / 20;
  const std::int64_t most = std::max(kFewestKeys, grain_for(key_cost)), least_cuts = divide_up(p.keys, most);
  const std::int64_t block = divide_up(divide_up(p.keys, least_cuts), kAttentionPad) * kAttentionPad;
  const std::int64_t cuts = divide_up(p.keys, block);
  const std::int64_t rows = p.heads * p.queries, y_size = rows * p.value_size;  // of a batch

  T* const parts_y = c.scratch<T>(p.batches * cuts * y_size);
  T* const parts_maxima = c.scratch<T>(p.batches * cuts * rows);
  T* const parts_sums = c.scratch<T>(p.batches * cuts * rows);
  const auto first = [&](std::int64_t batch) { return p.head(c, batch * p.kv_heads, op.scale, op.causal, block); };
  parallel_ranges(
      p.batches * cuts, grain_for(key_cost * static_cast<double>(block)), [&](std::int64_t begin, std::int64_t end) {
        T* const scratch = static_cast<T*>(thread_scratch(static_cast<std::size_t>(rows * padded(block)) * sizeof(T)));
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t key0 = i % cuts * block;
          table<T>().few(first(i / cuts), key0, std::min(p.keys, key0 + block), parts_y + i * y_size,
                         parts_maxima + i * rows, parts_sums + i * rows, scratch);
        }
      });
  T *const y = c.output<T>(0), *const maxima = c.output<T>(1), *const sums = c.output<T>(2);
  parallel_ranges(
      p.batches, grain_for(0.2 * static_cast<double>(cuts * (y_size + 16))), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          table<T>().merge(
              first(i),
              {cuts, parts_y + i * cuts * y_size, parts_maxima + i * cuts * rows, parts_sums + i * cuts * rows},
              y + i * y_size, maxima + i * rows, sums + i * rows);
      });
}

template <class T>
void forward(const attention& op, Run& c) {
  const Problem<T> p(c);
  T *const y = c.output<T>(0), *const maxima = c.output<T>(1), *const sums = c.output<T>(2);
  const std::int64_t block = p.key_block(256);
  if (p.rows() <= kAttentionFew) return forward_few(op, c, p);
  const std::int64_t elements =
      (p.size + kAttentionPanel) * padded(block) + block * padded(p.value_size) + kAttentionPanel * padded(p.size);
  const std::int64_t cuts = pieces(p.count(), p.rows(), kLeastQueries);
  parallel_ranges(p.count() * cuts, grain(p.count() * cuts, p.work() / static_cast<double>(cuts)),
                  [&](std::int64_t begin, std::int64_t end) {
                    T* const scratch = static_cast<T*>(thread_scratch(static_cast<std::size_t>(elements) * sizeof(T)));
                    for (std::int64_t task = begin; task < end; ++task) {
                      // The last queries first: if causal, they have the most to do.
                      const std::int64_t i = task % p.count(), piece = cuts - 1 - task / p.count();
                      table<T>().forward(p.head(c, i, op.scale, op.causal, block), y + p.y_at(i), maxima + p.row_at(i),
                                         sums + p.row_at(i), piece * p.rows() / cuts, (piece + 1) * p.rows() / cuts,
                                         scratch);
                    }
                  });
}

template <class T>
void backward(const attention_grad& op, Run& c) {
  const Problem<T> p(c);
  const T *const y = c.input<T>(kY), *const dy = c.input<T>(kDy);
  T *const dq = c.output<T>(0), *const dk = c.output<T>(1), *const dv = c.output<T>(2);
  const std::int64_t block = p.key_block(128), blocks = divide_up(p.keys, block);
  const std::int64_t elements = (p.size + p.value_size + 2 * kAttentionQueryBlock) * padded(block) +
                                (block + kAttentionQueryBlock) * padded(p.size) +
                                kAttentionQueryBlock * padded(p.value_size);

  T* const dots = c.scratch<T>(p.count() * p.rows());
  parallel_ranges(p.count(), grain_for(0.1 * static_cast<double>(p.rows() * p.value_size)),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i)
                      table<T>().dots(p.head(c, i, op.scale, op.causal, block), y + p.y_at(i), dy + p.y_at(i),
                                      dots + p.row_at(i));
                  });

  // Few heads are cut into ranges of keys, each with a dq of its own; they are added in order.
  const std::int64_t cuts = std::min(pieces(p.count(), p.keys, kLeastKeys), blocks), dq_size = c.shape(kQuery).size();
  T* const parts = cuts > 1 ? c.scratch<T>(cuts * dq_size) : dq;
  parallel_ranges(p.count() * cuts, grain(p.count() * cuts, 2.5 * p.work() / static_cast<double>(cuts)),
                  [&](std::int64_t begin, std::int64_t end) {
                    T* const scratch = static_cast<T*>(thread_scratch(static_cast<std::size_t>(elements) * sizeof(T)));
                    for (std::int64_t task = begin; task < end; ++task) {
                      const std::int64_t i = task % p.count(), piece = task / p.count(), at = p.row_at(i);
                      const kernels::AttentionGrad<T> grad{dy + p.y_at(i),
                                                           c.input<T>(kMaxima) + at,
                                                           c.input<T>(kSums) + at,
                                                           dots + at,
                                                           parts + piece * dq_size + p.query_at(i),
                                                           dk + p.key_at(i),
                                                           dv + p.value_at(i)};
                      table<T>().backward(p.head(c, i, op.scale, op.causal, block), grad, piece * blocks / cuts * block,
                                          std::min(p.keys, (piece + 1) * blocks / cuts * block), scratch);
                    }
                  });
  if (cuts == 1) return;
  parallel_ranges(dq_size, grain_for(0.3 * static_cast<double>(cuts)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      T sum = parts[i];
      for (std::int64_t piece = 1; piece < cuts; ++piece) sum += parts[piece * dq_size + i];
      dq[i] = sum;
    }
  });
}

}  // namespace

void infer(const attention&, Infer& c) {
  const Shape scores = infer_scores(c);
  c.out(c.dtype(kQuery), {scores[0], scores[2], scores[1], c.shape(kValue)[3]});
  const Shape rows{scores[0], scores[1], scores[2]};
  c.out(statistics_dtype(c), rows);
  c.out(statistics_dtype(c), rows);
}
void run(const attention& op, Run& c) {
  for_floating(c.dtype(kQuery), [&](auto zero) { forward<decltype(zero)>(op, c); });
}

void infer(const attention_grad&, Infer& c) {
  const Shape scores = infer_scores(c);
  const Shape y{scores[0], scores[2], scores[1], c.shape(kValue)[3]}, rows{scores[0], scores[1], scores[2]};
  for (int i : {kY, kMaxima, kSums, kDy}) {
    const bool is_statistic = i == kMaxima || i == kSums;
    c.require_dtype(i, is_statistic ? statistics_dtype(c) : c.dtype(kQuery));
    c.require_shape(i, is_statistic ? rows : y);
  }
  for (int i : {kQuery, kKey, kValue}) c.out(c.in(i));
}
void run(const attention_grad& op, Run& c) {
  for_floating(c.dtype(kQuery), [&](auto zero) { backward<decltype(zero)>(op, c); });
}

}  // namespace kcore::ops
