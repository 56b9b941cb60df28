// dx = relu_grad(max_pool_grad(dp, positions), y), with p, positions = max_pool(y), becomes
// dx = max_pool_grad(relu_grad(dp, p), positions): an element that is the largest of its window is that window's p, and
// all others get zero anyway. What is masked is as small as p, and dx is written once.
#include <vector>

#include "program/passes.h"

namespace kcore {

void mask_before_unpooling(Program& program) {
  const OpDef *pool = find_op("max_pool"), *unpool = find_op("max_pool_grad"), *mask = find_op("relu_grad");
  const std::vector<int> count = count_uses(program);
  const std::vector<Call> calls = std::move(program.calls);
  std::vector<const Call*> writer(program.values.size());
  std::vector<int> masked_by(calls.size(), -1);  // for a max_pool_grad, the relu_grad that it takes in
  std::vector<char> taken(calls.size());
  std::vector<int> at(program.values.size(), -1);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    for (int value : calls[i].outputs) writer[value] = &calls[i], at[value] = static_cast<int>(i);
    if (calls[i].def != mask) continue;
    const int dy = calls[i].inputs[0], y = calls[i].inputs[1];
    const Call* from = writer[dy];
    if (!from || from->def != unpool || count[dy] != 1) continue;
    const Call* pooled = writer[from->inputs[1]];
    if (!pooled || pooled->def != pool || pooled->inputs[0] != y) continue;
    masked_by[at[dy]] = static_cast<int>(i);
    taken[i] = true;
  }
  program.calls.clear();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (taken[i]) continue;
    Call call = calls[i];
    if (masked_by[i] >= 0) {
      const int p = writer[call.inputs[1]]->outputs[0];
      program.calls.push_back(make_call(program, *mask, calls[masked_by[i]].attrs, {call.inputs[0], p}));
      call.inputs[0] = program.calls.back().outputs[0];
      call.outputs = calls[masked_by[i]].outputs;
    }
    program.calls.push_back(std::move(call));
  }
}

}  // namespace kcore
