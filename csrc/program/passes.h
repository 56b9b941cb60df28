// Rewrites of a program before it runs: recorded, a program is as it was written; passes make of it what a
// person would have written by hand. A pass leaves calls that it does not know alone.
#pragma once

#include <memory>
#include <vector>

#include "program/program.h"

namespace kcore {

struct Pass {
  const char* name;
  void (*run)(Program& program);  // null: the planner sees to it
};

// In the order in which they run. KCORE_PASSES=-epilogue,-in_place in the environment leaves some out.
const std::vector<Pass>& all_passes();
// Whether a pass is not left out now. Throws Error if the environment names one that there is not.
bool pass_is_on(const char* name);

// The program after all passes that are on, the bodies of its control flow as well.
Program optimized(Program program);

// Products and convolutions take over the additions and activations that follow them (passes_epilogue.cc). Bit for bit.
void fuse_epilogues(Program& program);
// Batch normalization in training takes over the addition and the relu that follow it, and its gradient that of the
// relu before it (passes_norm.cc): two passes over memory each. Bit for bit.
void fuse_norms(Program& program);
// Batch normalization with moments that do not change goes into the kernel and bias of the convolution or product
// before it (passes_batch_norm.cc). Kernels are rounded once more: a sum of K products has the error bound of K + 4.
void fold_batch_norms(Program& program);
// The gradient of a relu before max pooling is taken of what was pooled (passes_pooling.cc). Bit for bit.
void mask_before_unpooling(Program& program);
// Elementwise calls that follow each other become one, computed in tiles (passes_chains.cc). Bit for bit.
void fuse_chains(Program& program);
// Networks of convolutions compute a slice of the batch after the other, several at the same time (passes_slices.cc).
// Bit for bit.
void slice_batch(Program& program);

// For each value, whether it is the same until somebody else writes a variable: it depends on constants and on
// variables that the program does not write.
std::vector<char> steady_values(const Program& program);
// Takes the calls that compute steady values out of a program: gives a program that computes them into cells, which
// `program` then reads. A program without calls if there is nothing to take out.
Program take_steady(Program& program);

// How often each value is read: by calls, as an output of the program, as what a variable becomes.
std::vector<int> count_uses(const Program& program);

// A call of an op that checks its inputs like any other; adds its outputs to the program's values, and not itself to
// the calls.
Call make_call(Program& program, const OpDef& def, std::shared_ptr<const void> attrs, std::vector<int> inputs);
template <class Op>
Call make_call(Program& program, const char* name, Op op, std::vector<int> inputs) {
  return make_call(program, *find_op(name), std::make_shared<Op>(std::move(op)), std::move(inputs));
}

}  // namespace kcore
