// Control flow: calls whose work is other programs, which one and how often decided by values.
//
//   cond(p, ...)               bodies: true, false; the one that the boolean p names runs once
//   switch(i, ...)             any number of bodies; the i-th runs once, the nearest one if there is none
//   while_loop(values, ...)    bodies: condition, body; values = body(values) as long as the condition gives true
//   scan(carries, slices, ...) one body, run `length` times: carries and a slice of each array in, carries and a slice
//   of
//                              each further output out
//
// "..." are values that the bodies use and that stay: all bodies of a call take them, in one order. A body is a program
// without variables; those that it changes are values, carried along like any other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "program/planner.h"

namespace kcore {

struct ControlAttrs {
  std::int64_t carries = 0;   // values that a loop changes
  std::int64_t slices = 0;    // arrays that each step reads a slice of
  std::int64_t length = 0;    // steps that read slices
  std::int64_t maximum = -1;  // steps of a while_loop, at most; -1 is any number
  bool reverse = false;       // a scan begins with the last slice
  std::int64_t lanes = 0;     // of slices: steps that may run at the same time
};

// cond, switch, while_loop or scan; nullptr for another name. Their attributes are ControlAttrs.
const OpDef* find_control(const std::string& name);
// Not among them: no recording and no file holds it.
const OpDef& slices_def();

// Checks a call; gives the specs of its outputs. Throws Error.
Specs infer_control(const OpDef& def, const ControlAttrs& attrs, const Bodies& bodies, const Specs& inputs);

// What a printed program calls the i-th body.
std::string body_name(const OpDef& def, std::size_t i);

struct Context;

// Runs a call of control flow, one at a time, in memory that it is given.
class Control {
 public:
  explicit Control(const Call& call);
  ~Control();
  // The working memory that it needs, and where that is.
  std::size_t bytes() const { return bytes_; }
  void place(void* memory);
  void run(const Views& inputs, const Views& outputs);

 private:
  struct Body;
  void run_while();
  void run_scan();
  void run_slices();

  const Call& call_;
  const ControlAttrs& attrs_;
  std::vector<std::unique_ptr<Body>> bodies_;
  std::vector<std::size_t> carry_bytes_;
  std::size_t arena_bytes_ = 0, bytes_ = 0;
  std::vector<void*> carries_[2];                // where one step leaves them and the next finds them
  std::vector<void*> in_, out_, next_, arrays_;  // addresses, kept so that a run does not allocate
  bool met_ = false;                             // what a condition gave
  std::vector<void*> met_at_{&met_};
};

}  // namespace kcore
