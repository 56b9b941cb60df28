// Values whose lives do not overlap share memory: the largest first, each at the lowest offset that is free for as long
// as it lives (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", arXiv 2001.03288).
#include "program/planner.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "ops/chain.h"
#include "program/passes.h"

namespace kcore {
namespace {

constexpr std::size_t kAlignment = 64;

struct Life {
  int root;
  std::size_t bytes, offset = 0;
  int first, last;  // calls that write and read it first and last
};

std::size_t room_for(const TensorSpec& spec) {
  return (std::max<std::size_t>(bytes_of(spec), 1) + kAlignment - 1) / kAlignment * kAlignment;
}

// Sets the offsets; gives the bytes in all.
std::size_t pack(std::vector<Life>& lives) {
  std::sort(lives.begin(), lives.end(),
            [](const Life& a, const Life& b) { return a.bytes != b.bytes ? a.bytes > b.bytes : a.root < b.root; });
  std::vector<const Life*> placed;  // by offset
  std::size_t end = 0;
  for (Life& life : lives) {
    std::size_t offset = 0;
    for (const Life* other : placed) {
      if (other->last < life.first || life.last < other->first) continue;
      if (offset + life.bytes <= other->offset) break;
      offset = std::max(offset, other->offset + other->bytes);
    }
    life.offset = offset;
    end = std::max(end, offset + life.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &life,
                                   [](const Life* a, const Life* b) { return a->offset < b->offset; }),
                  &life);
  }
  return end;
}

// Whether a chain reads something in `root` after it has begun to write the output.
bool is_read_later(const Call& call, const std::vector<int>& roots, int root, int output) {
  if (call.def != &chain_def()) return false;
  const auto& chain = *static_cast<const ChainAttrs*>(call.attrs.get());
  for (std::size_t k = 0; k < call.inputs.size(); ++k)
    if (roots[call.inputs[k]] == root && !may_share(chain, static_cast<int>(k), output)) return true;
  return false;
}

// Lets a call write its output where an input lies that nobody reads afterwards: `roots` are those of views before, and
// of values in one place after. Updates have their places.
void share_in_place(const Program& program, const std::vector<Update>& updates, std::vector<int>& roots) {
  constexpr int kLater = std::numeric_limits<int>::max();
  std::vector<int> last(program.values.size(), -1);  // the call that reads a root last
  std::vector<char> computed(program.values.size());
  for (std::size_t i = 0; i < program.calls.size(); ++i) {
    for (int value : program.calls[i].inputs)
      if (value >= 0) last[roots[value]] = static_cast<int>(i);
    for (int value : program.calls[i].outputs) computed[roots[value]] = true;
  }
  const auto outlives = [&](int value) { last[roots[value]] = kLater; };
  for (int value : program.outputs) outlives(value);
  for (const Program::Variable& variable : program.variables) {
    if (variable.after >= 0) outlives(variable.after);
    if (variable.before >= 0) computed[roots[variable.before]] = false;
  }
  for (int value : program.inputs) computed[roots[value]] = false;
  for (const Program::Constant& constant : program.constants) computed[roots[constant.value]] = false;

  std::vector<char> updated(program.values.size());
  for (const Update& update : updates) updated[static_cast<std::size_t>(update.value)] = true;

  std::vector<int> place(program.values.size());
  std::iota(place.begin(), place.end(), 0);
  for (std::size_t i = 0; i < program.calls.size(); ++i) {
    const Call& call = program.calls[i];
    if (call.def != &chain_def() && !call.def->is_elementwise) continue;
    std::vector<int> taken;  // roots that an output of the call lies in
    for (std::size_t o = 0; o < call.outputs.size(); ++o) {
      const int y = call.outputs[o];
      if (updated[static_cast<std::size_t>(y)]) continue;
      for (int x : call.inputs) {
        if (x < 0 || !computed[roots[x]] || last[roots[x]] != static_cast<int>(i) ||
            program.values[x] != program.values[y] || std::count(taken.begin(), taken.end(), roots[x]) ||
            is_read_later(call, roots, roots[x], static_cast<int>(o)))
          continue;
        place[roots[y]] = place[roots[x]];
        taken.push_back(roots[x]);
        break;
      }
    }
  }
  for (int& root : roots) root = place[root];
}

}  // namespace

Plan plan_memory(const Program& program) { return plan_memory(program, program.calls.size()); }

Plan plan_memory(const Program& program, std::size_t first_update) {
  const std::size_t count = program.values.size();
  Plan plan;
  plan.roots.resize(count);
  plan.places.resize(count);
  std::iota(plan.roots.begin(), plan.roots.end(), 0);
  for (const Call& call : program.calls)
    if (call.def->is_view) plan.roots[call.outputs[0]] = plan.roots[call.inputs[0]];
  const std::vector<int> views = plan.roots;
  plan.first_update = first_update;
  plan.updates = find_updates(program, views, first_update);
  if (pass_is_on("in_place")) share_in_place(program, plan.updates, plan.roots);

  std::vector<char> in_arena(count);
  for (const Call& call : program.calls)
    for (int value : call.outputs) in_arena[plan.roots[value]] = true;
  const auto put = [&](int value, Where where, std::size_t at) {
    plan.places[value] = {where, at};
    in_arena[value] = false;
  };
  for (std::size_t i = 0; i < program.inputs.size(); ++i) put(program.inputs[i], Where::input, i);
  for (std::size_t i = 0; i < program.constants.size(); ++i) put(program.constants[i].value, Where::constant, i);
  for (std::size_t i = 0; i < program.variables.size(); ++i)
    if (program.variables[i].before >= 0) put(program.variables[i].before, Where::variable, i);
  for (std::size_t i = 0; i < plan.updates.size(); ++i) put(plan.updates[i].value, Where::update, i);
  const auto outlives = [&](int value) {
    const int root = plan.roots[value];
    if (!in_arena[root]) return;
    put(root, Where::fresh, plan.fresh.size());
    plan.fresh.push_back(root);
  };
  for (int value : program.outputs) outlives(value);
  for (const Program::Variable& variable : program.variables)
    if (variable.after >= 0) outlives(variable.after);

  std::vector<int> first(count, -1), last(count, -1);
  for (std::size_t i = 0; i < program.calls.size(); ++i) {
    const auto touch = [&](int value) {
      if (value < 0) return;
      const int root = plan.roots[value];
      if (first[root] < 0) first[root] = static_cast<int>(i);
      last[root] = static_cast<int>(i);
    };
    for (int value : program.calls[i].inputs) touch(value);
    for (int value : program.calls[i].outputs) touch(value);
  }
  std::vector<Life> lives;
  for (std::size_t i = 0; i < count; ++i)
    if (in_arena[i]) lives.push_back({static_cast<int>(i), room_for(program.values[i]), 0, first[i], last[i]});
  plan.arena_bytes = pack(lives);
  for (const Life& life : lives) plan.places[life.root] = {Where::arena, life.offset};
  for (std::size_t i = 0; i < count; ++i)
    if (views[i] == static_cast<int>(i) && first[plan.roots[i]] >= 0 && in_arena[plan.roots[i]])
      plan.value_bytes += room_for(program.values[i]);
  return plan;
}

}  // namespace kcore
