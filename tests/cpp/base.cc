// The foundation: blocks of parallel_for, the caching allocator, ISA selection, shapes.
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/array.h"
#include "base/check.h"
#include "base/isa.h"
#include "base/parallel.h"
#include "check.h"

using namespace kcore;

static void test_parallel() {
  for (int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    std::vector<std::atomic<int>> visits(1000);
    parallel_for(1000, [&](std::int64_t i) { ++visits[static_cast<std::size_t>(i)]; });
    bool once = true;
    for (auto& v : visits) once &= v == 1;
    CHECK(once);

    std::atomic<std::int64_t> sum{0};
    parallel_ranges(103, 10, [&](std::int64_t begin, std::int64_t end) {
      CHECK(end - begin <= 10 && begin % 10 == 0);
      parallel_for(2, [&](std::int64_t) { sum += end - begin; });  // nested: on this thread
    });
    CHECK(sum == 206);
  }
  parallel_for(0, [&](std::int64_t) { CHECK(false); });
  CHECK_THROWS(set_num_threads(0), "expected at least 1");
}

static void test_allocator() {
  const MemoryStats before = memory_stats();
  void* address = nullptr;
  {
    Array a = Array::empty({DType::float32, {1000, 100}});
    address = a.data();
    CHECK(reinterpret_cast<std::uintptr_t>(address) % 64 == 0);
    CHECK(memory_stats().in_use >= before.in_use + 400000);
    Array b = a.reshaped({100000});
    CHECK(b.data() == address && b.shape().rank() == 1);
  }
  CHECK(memory_stats().in_use == before.in_use);
  CHECK(Array::empty({DType::float32, {100000}}).data() == address);  // reused
  // What is in use stays cached when sizes that are no longer asked for fill the cache.
  for (std::int64_t n = 1; n < 40; ++n) Array::empty({DType::float32, {n * 4000}});
  address = nullptr;
  for (int i = 0; i < 3; ++i) {
    Array a = Array::empty({DType::float32, {100000}});
    CHECK(i == 0 || a.data() == address);
    address = a.data();
  }
  CHECK(memory_stats().cached <= memory_stats().peak + (1 << 20));
  release_cached_memory();
  CHECK(memory_stats().cached == 0);
  CHECK(Array::symbolic({DType::float32, {3}}).is_symbolic());
}

static void test_isa() {
  const Isa best = detected_isa();
  select_isa("scalar");
  CHECK(selected_isa() == Isa::scalar);
  select_isa(name_of(best));
  CHECK(selected_isa() == best);
  CHECK_THROWS(select_isa("mmx"), "expected one of scalar, avx2, avx512");
}

static void test_shape() {
  CHECK(to_string(Shape{}) == "()");
  CHECK(to_string(Shape{4}) == "(4,)");
  CHECK(to_string(Shape{2, 3}) == "(2, 3)");
  CHECK((Shape{2, 3, 4}.count(1, 3) == 12));
  Shape full{1, 1, 1, 1, 1, 1, 1, 1};
  CHECK_THROWS(full.push_back(1), "at most 8 dimensions");
}

int main() {
  test_parallel();
  test_allocator();
  test_isa();
  test_shape();
  return failures != 0;
}
