// A place whose array changes: what a variable is to the core. Programs read the cells when they run and write them
// when they have run. One thread at a time uses cells: where there is Python, the one that holds its lock.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/array.h"

namespace kcore {

class Cell {
 public:
  Cell(std::string name, Array value) : name_(std::move(name)), value_(std::move(value)) {}
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  const std::string& name() const { return name_; }
  const Array& value() const { return wait(), value_; }
  void set(Array value) { wait(), value_ = std::move(value); }

  // A step writes the next value over the last one from lend() to settle(), without the lock: others wait.
  bool is_lent() const { return lent_.load(std::memory_order_acquire); }
  void lend() { lent_.store(true, std::memory_order_relaxed); }
  void settle(Array value) {
    value_ = std::move(value);
    lent_.store(false, std::memory_order_release);
    lent_.notify_all();
  }
  // Gives whether it had to wait: the lock was not held meanwhile, and other cells may have changed.
  bool wait() const {
    if (!is_lent()) return false;
    while (is_lent()) waiting_(lent_);
    return true;
  }
  // How to wait until a flag falls; to be set where there is a lock to let go of.
  using Wait = void (*)(const std::atomic<bool>& flag);
  static void set_wait(Wait wait) { waiting_ = wait; }

 private:
  static inline Wait waiting_ = [](const std::atomic<bool>& flag) { flag.wait(true); };
  std::string name_;
  Array value_;
  std::atomic<bool> lent_ = false;
};

// Notes which cells the code of a thread reads or writes while it lives, and what they held before. Watches nest: all
// note.
class CellWatch {
 public:
  struct Touched {
    std::shared_ptr<Cell> cell;
    Array before;
    bool written;
  };
  CellWatch() : outer_(innermost()) { innermost() = this; }
  ~CellWatch() { innermost() = outer_; }
  CellWatch(const CellWatch&) = delete;
  CellWatch& operator=(const CellWatch&) = delete;

  const std::vector<Touched>& touched() const { return touched_; }
  bool has_made() const { return made_; }

  // A cell was made.
  static void note_made() {
    for (CellWatch* watch = innermost(); watch; watch = watch->outer_) watch->made_ = true;
  }
  // Before a cell is read or written.
  static void note(const std::shared_ptr<Cell>& cell, bool writes) {
    for (CellWatch* watch = innermost(); watch; watch = watch->outer_) {
      const auto [at, added] = watch->index_.try_emplace(cell.get(), watch->touched_.size());
      if (added) watch->touched_.push_back({cell, cell->value(), false});
      watch->touched_[at->second].written |= writes;
    }
  }

 private:
  static CellWatch*& innermost() {
    thread_local CellWatch* watch = nullptr;
    return watch;
  }

  CellWatch* outer_;
  std::vector<Touched> touched_;
  std::unordered_map<Cell*, std::size_t> index_;
  bool made_ = false;
};

}  // namespace kcore
