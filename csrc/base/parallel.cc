// OpenMP behind parallel_for, with a default thread count that honours affinity and container limits.
#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"

#ifdef _OPENMP
#include <omp.h>
#else  // everything runs on the calling thread, as inside of a loop that is parallel already
static int omp_get_num_procs() { return 1; }
static bool omp_in_parallel() { return true; }
static int omp_get_thread_num() { return 0; }
static int omp_get_num_threads() { return 1; }
#endif

namespace kcore {
namespace {

// Quota of the cgroup in CPUs, version 2 then 1; a large number where there is none.
double cgroup_cpus() {
  double quota = -1, period = 1;
  if (FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    if (std::fscanf(file, "%lf %lf", &quota, &period) != 2) quota = -1;
    std::fclose(file);
  } else {
    auto read = [](const char* path, double& value) {
      if (FILE* f = std::fopen(path, "r")) {
        if (std::fscanf(f, "%lf", &value) != 1) value = -1;
        std::fclose(f);
      }
    };
    read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota);
    read("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period);
  }
  return quota > 0 && period > 0 ? quota / period : 1e9;
}

// CPUs that this process may use.
int usable_cpus() {
  int cpus = omp_get_num_procs();
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
  return std::max(1, static_cast<int>(std::min<double>(cpus, std::ceil(cgroup_cpus()))));
}

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS"))
    if (int n = std::atoi(text); n > 0) return n;
  return usable_cpus();
}

std::atomic<int>& thread_count() {
  static std::atomic<int> value{default_threads()};
  return value;
}

std::atomic<std::int64_t> starts{0};
thread_local int thread_limit = 0;

// libgomp's pool does not survive fork(): a parallel region in the child would wait for threads that are not there.
std::atomic<bool> forked{false};
const int registered = pthread_atfork(nullptr, nullptr, [] { forked = true; });

std::atomic<int> callers{0};
thread_local bool is_caller = false;

// Threads for a loop of this thread's.
int share() {
  if (omp_in_parallel()) return 1;
  return std::max(1, num_threads() / std::max(1, callers.load(std::memory_order_relaxed)));
}

}  // namespace

Caller::Caller() : first_(!is_caller && !omp_in_parallel()) {
  if (!first_) return;
  is_caller = true;
  callers.fetch_add(1, std::memory_order_relaxed);
}

Caller::~Caller() {
  if (!first_) return;
  is_caller = false;
  callers.fetch_sub(1, std::memory_order_relaxed);
}

std::int64_t parallel_starts() { return starts; }

ThreadLimit::ThreadLimit(int most) : before_(thread_limit) { thread_limit = most; }
ThreadLimit::~ThreadLimit() { thread_limit = before_; }

int num_threads() {
  const int count = forked ? 1 : thread_count().load();
  return thread_limit > 0 ? std::min(count, thread_limit) : count;
}

bool has_spare_cpu() {
  static const int cpus = usable_cpus();
  return num_threads() < cpus;
}

void set_num_threads(int count) {
  if (count < 1) throw Error(ErrorKind::value, concat("[num_threads] expected at least 1, received ", count));
  thread_count() = count;
}

void parallel_run(std::int64_t blocks, BlockFunction function, void* context) {
  const Caller caller;
  const int threads = static_cast<int>(std::min<std::int64_t>(share(), blocks));
  if (threads == 1) {
    for (std::int64_t i = 0; i < blocks; ++i) function(context, i);
    return;
  }
  starts.fetch_add(1, std::memory_order_relaxed);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::int64_t i = 0; i < blocks; ++i) function(context, i);
}

void parallel_run_spans(std::int64_t blocks, BlockFunction function, void* context, bool backward) {
  constexpr int kMost = 64;
  const Caller caller;
  const int threads = static_cast<int>(std::min<std::int64_t>(share(), blocks));
  if (threads == 1) {
    for (std::int64_t i = 0; i < blocks; ++i) function(context, backward ? blocks - 1 - i : i);
    return;
  }
  starts.fetch_add(1, std::memory_order_relaxed);
  struct alignas(64) Span {
    std::atomic<std::int64_t> next;
    std::int64_t begin, end;
  };
  Span spans[kMost];
  const int count = std::min(threads, kMost);
  for (int t = 0; t < count; ++t) {
    spans[t].next.store(blocks * t / count, std::memory_order_relaxed);
    spans[t].begin = blocks * t / count, spans[t].end = blocks * (t + 1) / count;
  }
#pragma omp parallel num_threads(threads)
  for (int k = 0, own = omp_get_thread_num(); k < count; ++k) {  // its own, then what the others have left
    Span& span = spans[(own + k) % count];
    for (std::int64_t i; (i = span.next.fetch_add(1, std::memory_order_relaxed)) < span.end;)
      function(context, backward ? span.begin + span.end - 1 - i : i);
  }
}

void Team::barrier() {
#ifdef _OPENMP
#pragma omp barrier
#endif
}

void team_run(int most, TeamFunction function, void* context) {
  const Caller caller;
  const int threads = std::min(share(), most);
  if (threads <= 1) {
    function(context, {});
    return;
  }
#pragma omp parallel num_threads(threads)
  function(context, {omp_get_thread_num(), omp_get_num_threads()});
}

}  // namespace kcore
