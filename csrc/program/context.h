// What one run at a time of a program needs: the views of its calls, and the addresses that they hold. The views are
// made once; a run only fills in the addresses that differ from the last one.
#pragma once

#include <memory>
#include <vector>

#include "program/control.h"
#include "program/planner.h"

namespace kcore {

struct Context {
  Context(const Program& program, const Plan& plan);

  // Run the calls: all addresses are there. Those that write over variables come last.
  void run_calls();
  void run_updates();
  // Has at least so much memory for what ops ask for: the next one does not allocate if it asks for no more.
  void reserve(std::size_t bytes);

  // A view and where it points to: for those in the arena the offset, for others the number that Place has.
  struct Use {
    TensorView* view;
    std::size_t at;
  };
  std::vector<Use> arena, input, variable, fresh, update;
  void* base = nullptr;  // the arena that the views point into now

 private:
  void run(std::size_t begin, std::size_t end);

  // A call that computes: a reshape has none.
  struct Running {
    const Call* call;
    Views inputs, outputs;
    std::unique_ptr<Control> control;  // of a loop or a branch
  };
  std::vector<Running> calls_;
  std::size_t first_update_ = 0;  // of calls_
  Workspace workspace_;
  std::shared_ptr<void> control_memory_;  // of the loops and branches, which run one after the other
};

}  // namespace kcore
