// Keeps the check.
#include "base/interrupt.h"

#include <atomic>

namespace kcore {
namespace {
std::atomic<InterruptCheck> interrupt_check{nullptr};
}

void set_interrupt_check(InterruptCheck check) { interrupt_check = check; }

void InterruptPoll::ask() {
  if (const InterruptCheck check = interrupt_check) check();
}

}  // namespace kcore
