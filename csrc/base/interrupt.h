// Lets the user stop loops whose end only values tell: Ctrl-C, where Python runs them.
#pragma once

#include <chrono>

namespace kcore {

// Throws what the loop is to be left with, or returns. None until somebody sets one.
using InterruptCheck = void (*)();
void set_interrupt_check(InterruptCheck check);

// To be called once in every step of a loop; asks the check ten times a second.
class InterruptPoll {
 public:
  void operator()() {
    const auto now = Clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    ask();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static void ask();
  Clock::time_point next_ = Clock::now() + std::chrono::milliseconds(100);
};

}  // namespace kcore
