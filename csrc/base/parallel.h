// Threads. The only door to OpenMP: everything else calls parallel_for.
// Work is cut into blocks by its shape, never by the number of threads, so results do not depend on that number.
#pragma once

#include <cstdint>
#include <type_traits>

namespace kcore {

// Threads that parallel_for may use: OMP_NUM_THREADS, else the CPUs of the affinity mask capped by the cgroup's quota.
int num_threads();
// 1 or more; throws Error otherwise. For the whole process.
void set_num_threads(int count);
// Whether this process may use more CPUs than that.
bool has_spare_cpu();
// While it lives, what the calling thread starts uses at most that many threads; 0 sets no limit.
class ThreadLimit {
 public:
  explicit ThreadLimit(int most);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

// How often work was spread over threads so far; tells tests that small work is not.
std::int64_t parallel_starts();

// A thread that computes, while this lives. Several that do at the same time (of a server, say) share the CPUs: were
// each to use all of them, they would wait at the ends of loops for threads that have lost their CPU to others.
class Caller {
 public:
  Caller();
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

 private:
  bool first_;  // else it is inside of another one, which counts
};

using BlockFunction = void (*)(void* context, std::int64_t block);
void parallel_run(std::int64_t blocks, BlockFunction function, void* context);

// Calls body(block) for block in [0, blocks), on several threads when there are several blocks. body must not throw.
// Inside a parallel_for, and in a forked child, everything runs on the calling thread.
template <class Body>
void parallel_for(std::int64_t blocks, Body&& body) {
  if (blocks == 1) {
    body(std::int64_t{0});
  } else if (blocks > 1) {
    parallel_run(
        blocks,
        [](void* context, std::int64_t block) { (*static_cast<std::remove_reference_t<Body>*>(context))(block); },
        &body);
  }
}

// As parallel_run, but each thread begins with a span of neighbouring blocks of its own, the same one whenever there
// are as many blocks: what the op before left in a core's cache, that core reads again. `backward`: from the end of a
// span.
void parallel_run_spans(std::int64_t blocks, BlockFunction function, void* context, bool backward);

// Calls body(begin, end) over [0, n) in ranges of `grain` elements (the last may be shorter).
template <class Body>
void parallel_ranges(std::int64_t n, std::int64_t grain, Body&& body, bool backward = false) {
  auto block = [&](std::int64_t i) {
    const std::int64_t begin = i * grain, end = begin + grain < n ? begin + grain : n;
    body(begin, end);
  };
  const std::int64_t blocks = (n + grain - 1) / grain;
  if (blocks == 1) {
    block(0);
  } else if (blocks > 1) {
    parallel_run_spans(
        blocks, [](void* context, std::int64_t i) { (*static_cast<decltype(block)*>(context))(i); }, &block, backward);
  }
}

// One of `size` threads that run at the same time and may wait for each other.
struct Team {
  int member = 0, size = 1;
  // Returns when all members have called it; what each wrote before, the others see.
  void wait() const {
    if (size > 1) barrier();
  }
  static void barrier();
};
using TeamFunction = void (*)(void* context, const Team& team);
void team_run(int most, TeamFunction function, void* context);

// Calls body(team) on up to `most` threads at the same time: for work whose parts need each other's results. How many
// there are must not show in these.
template <class Body>
void parallel_team(int most, Body&& body) {
  team_run(
      most, [](void* context, const Team& team) { (*static_cast<std::remove_reference_t<Body>*>(context))(team); },
      &body);
}

// Elements per block for work that costs about `cost` nanoseconds per element: a block is about 20 microseconds, an
// order above the cost of waking a thread.
inline std::int64_t grain_for(double cost) {
  const double elements = 20000.0 / cost;
  return elements < 1 ? 1 : elements < 1e12 ? static_cast<std::int64_t>(elements) : std::int64_t{1} << 40;
}

}  // namespace kcore
