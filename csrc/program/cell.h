// A place whose array changes: what a variable is to the core. Programs read the cells when they run and write them
// when they have run.
#pragma once

#include <string>
#include <utility>

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

}  // namespace kcore
