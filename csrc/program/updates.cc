// Which calls write a variable over its old value, and when: after all that can fail, so that a step which fails has
// changed nothing.
#include <algorithm>

#include "ops/chain.h"
#include "program/planner.h"

namespace kcore {
namespace {

// Whether a call can neither fail nor allocate.
bool is_safe(const Program& program, const Call& call) {
  if (call.def->is_view) return true;
  if (!call.bodies.empty() || !(call.def->is_elementwise || call.def->is_update || call.def == &chain_def()))
    return false;
  const auto spec = [&](int value) -> const TensorSpec& { return program.values[static_cast<std::size_t>(value)]; };
  const Shape& shape = spec(call.outputs[0]).shape;
  const auto fits = [&](int value) {
    if (value < 0) return true;
    // bfloat16 is widened into memory of its own, what repeats is copied.
    return spec(value).dtype != DType::bfloat16 && (spec(value).shape == shape || spec(value).shape.size() == 1);
  };
  const auto no_bfloat16 = [&](int value) { return spec(value).dtype != DType::bfloat16; };
  return std::all_of(call.inputs.begin(), call.inputs.end(), fits) &&
         std::all_of(call.outputs.begin(), call.outputs.end(), no_bfloat16);
}

// Whether output `o` of the call may be written over what a variable held before, `old`, as far as the call knows.
bool may_overwrite(const Program& program, const Call& call, std::size_t o, int old) {
  if (program.values[old] != program.values[call.outputs[o]]) return false;
  const auto reads = std::count(call.inputs.begin(), call.inputs.end(), old);
  if (call.def->is_update) return reads == 1 && call.inputs[o == 0 ? 0 : o + 1] == old;
  if (call.def != &chain_def()) return reads > 0 && call.def->is_elementwise;
  const auto& chain = *static_cast<const ChainAttrs*>(call.attrs.get());
  const auto at = std::find(call.inputs.begin(), call.inputs.end(), old) - call.inputs.begin();
  return reads == 1 && may_share(chain, static_cast<int>(at), static_cast<int>(o));
}

// For each value the variable that it is the new value of, or -1.
std::vector<int> new_values(const Program& program) {
  std::vector<int> variable(program.values.size(), -1);
  for (std::size_t i = 0; i < program.variables.size(); ++i)
    if (program.variables[i].before >= 0 && program.variables[i].after >= 0)
      variable[program.variables[i].after] = static_cast<int>(i);
  return variable;
}

}  // namespace

std::size_t put_updates_last(Program& program) {
  const std::vector<int> variable = new_values(program);
  const std::size_t count = program.calls.size();
  // Backwards: whether a call and all that depend on it are safe.
  std::vector<char> pinned(program.values.size()), movable(count), last(program.values.size());
  for (std::size_t i = count; i-- > 0;) {
    const Call& call = program.calls[i];
    movable[i] = is_safe(program, call) &&
                 std::none_of(call.outputs.begin(), call.outputs.end(), [&](int value) { return pinned[value]; });
    if (!movable[i])
      for (int value : call.inputs)
        if (value >= 0) pinned[value] = true;
  }
  std::vector<Call> calls, moved;
  for (std::size_t i = 0; i < count; ++i) {
    Call& call = program.calls[i];
    bool moves = std::any_of(call.inputs.begin(), call.inputs.end(), [&](int x) { return x >= 0 && last[x]; });
    for (std::size_t o = 0; movable[i] && !moves && o < call.outputs.size(); ++o) {
      const int v = variable[call.outputs[o]];
      moves = v >= 0 && may_overwrite(program, call, o, program.variables[static_cast<std::size_t>(v)].before);
    }
    if (moves)
      for (int value : call.outputs) last[value] = true;
    (moves ? moved : calls).push_back(std::move(call));
  }
  const std::size_t first = calls.size();
  std::move(moved.begin(), moved.end(), std::back_inserter(calls));
  program.calls = std::move(calls);
  return first;
}

std::vector<Update> find_updates(const Program& program, const std::vector<int>& roots, std::size_t first_update) {
  if (first_update == program.calls.size()) return {};
  const std::vector<int> variable = new_values(program);
  std::vector<int> outlives(program.values.size());  // how often what lies there is given out
  for (int value : program.outputs) ++outlives[roots[value]];
  for (const Program::Variable& v : program.variables)
    if (v.after >= 0) ++outlives[roots[v.after]];
  std::vector<std::size_t> last(program.values.size());  // the call that reads a root last
  for (std::size_t i = 0; i < program.calls.size(); ++i)
    for (int value : program.calls[i].inputs)
      if (value >= 0) last[roots[value]] = i;
  std::vector<Update> updates;
  for (std::size_t i = first_update; i < program.calls.size(); ++i) {
    const Call& call = program.calls[i];
    if (call.def->is_view) continue;
    for (std::size_t o = 0; o < call.outputs.size(); ++o) {
      const int y = call.outputs[o], v = variable[y];
      if (v < 0 || outlives[roots[y]] != 1) continue;
      const int old = program.variables[static_cast<std::size_t>(v)].before;
      const auto hidden = [&](int x) { return x >= 0 && x != old && roots[x] == old; };  // a view of it
      if (outlives[old] == 0 && last[old] == i && may_overwrite(program, call, o, old) &&
          std::none_of(call.inputs.begin(), call.inputs.end(), hidden))
        updates.push_back({y, static_cast<std::size_t>(v)});
    }
  }
  return updates;
}

}  // namespace kcore
