// The work of a convolution as independent tasks.
#pragma once

#include <algorithm>
#include <type_traits>

#include "base/parallel.h"
#include "base/scratch.h"

namespace kcore::ops {

// A function of a task. Copies share what it holds.
class TaskFunction {
 public:
  template <class Function>
    requires(!std::is_same_v<std::remove_cvref_t<Function>, TaskFunction>)
  TaskFunction(Function&& function)
      : held_(make_recycled<std::remove_cvref_t<Function>>(std::forward<Function>(function))),
        call_([](const void* held, std::int64_t task, void* scratch) {
          (*static_cast<const std::remove_cvref_t<Function>*>(held))(task, scratch);
        }) {}
  void operator()(std::int64_t task, void* scratch) const { call_(held_.get(), task, scratch); }

 private:
  std::shared_ptr<const void> held_;
  void (*call_)(const void* held, std::int64_t task, void* scratch);
};

struct ConvTasks {
  std::int64_t count;
  double cost;  // nanoseconds of a task, roughly
  std::size_t scratch_bytes;
  TaskFunction run;
};

// Runs the tasks of all parts; those of the same number, which write to the same part of memory, one after the other.
inline void run_tasks(const RecycledVector<ConvTasks>& parts) {
  std::int64_t count = 0;
  std::size_t scratch_bytes = 0;
  double cost = 0;
  for (const ConvTasks& part : parts) {
    count = std::max(count, part.count);
    scratch_bytes = std::max(scratch_bytes, part.scratch_bytes);
    cost += part.cost;
  }
  parallel_ranges(count, grain_for(cost), [&](std::int64_t begin, std::int64_t end) {
    void* const scratch = thread_scratch(scratch_bytes);
    for (std::int64_t i = begin; i < end; ++i)
      for (const ConvTasks& part : parts)
        if (i < part.count) part.run(i, scratch);
  });
}

}  // namespace kcore::ops
