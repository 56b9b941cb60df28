// A step as data: the calls of ops that it consists of, in order, and what they read and write.
//
// Values are numbered; each is written once, before it is read. A value is an input of the step, what a variable held
// when the step began, a constant, or an output of a call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/array.h"
#include "ops/op.h"
#include "program/cell.h"

namespace kcore {

struct Program;
using Bodies = std::vector<std::shared_ptr<const Program>>;

struct Call {
  const OpDef* def = nullptr;
  std::shared_ptr<const void> attrs;
  std::vector<int> inputs;  // -1: an optional input that is not given
  std::vector<int> outputs;
  Bodies bodies;  // of control flow (control.h): the programs that it runs
};

struct Program {
  // A variable that the step reads, writes, or both.
  struct Variable {
    std::shared_ptr<Cell> cell;
    int before = -1;  // the value that it holds when the step begins; -1 if that is not read
    int after = -1;   // the value that it holds when the step has run; -1 if it is not written
  };
  struct Constant {
    int value;
    Array array;
  };

  std::vector<TensorSpec> values;
  std::vector<int> inputs, outputs;
  std::vector<Variable> variables;
  std::vector<Constant> constants;
  std::vector<Call> calls;
};

// Removes what no output and no variable depends on: calls, constants, reads of variables.
void remove_unused(Program& program);

// "2.1 MB".
std::string in_bytes(std::size_t bytes);
std::size_t bytes_of(const TensorSpec& spec);

struct Plan;
// A line for each call: "%7 float32 (32, 10) = matmul(%3, %5)  transpose_b=true  # reads 21 KB, writes 1.3 KB"; below
// it the bodies of control flow, indented. With a plan, a value that is written into the memory of an input is "in
// place".
std::string to_string(const Program& program, const Plan* plan = nullptr);

}  // namespace kcore
