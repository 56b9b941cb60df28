// A place whose array changes: what a variable is to the core. Programs read the cells when they run and write them
// when they have run.
#pragma once

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
  const Array& value() const { return value_; }
  void set(Array value) { value_ = std::move(value); }

 private:
  std::string name_;
  Array value_;
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
