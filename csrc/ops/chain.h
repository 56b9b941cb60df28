// A chain: elementwise ops on values of one shape, computed tile by tile, so that what one step hands to the next stays
// in L1. Programs make chains of ops that follow each other (program/passes_chains.cc); there is none in ops.def.
#pragma once

#include <memory>
#include <vector>

#include "ops/elementwise.h"

namespace kcore {

struct ChainStep {
  const OpDef* def = nullptr;
  std::shared_ptr<const void> attrs;
  std::vector<int> inputs;       // an input of the chain; from kResult on, the result of an earlier step
  DType dtype = DType::float32;  // of the result
  int output = -1;               // the output of the chain that the result is, or -1
  int slot = 0;                  // the tile that it is computed in if it is none
  ElementwiseKernel kernel;
  static constexpr int kResult = 1 << 16;
};

// Inputs have the shape of the results, or one element, or the last dimensions of that shape.
struct ChainAttrs {
  std::vector<ChainStep> steps;
  int slots = 0;
};

const OpDef& chain_def();
// Whether an op can be a step of a chain.
bool can_chain(const OpDef& def);
// Finds the kernels of the steps, and the tiles for their results. `dtypes` are those of the chain's inputs.
void prepare_chain(ChainAttrs& chain, const std::vector<DType>& dtypes);
// Whether an input of the chain may lie where the output is written.
bool may_share(const ChainAttrs& chain, int input, int output);

}  // namespace kcore
