// Elementwise calls on values of one shape, each of which reads what another has made, become one call (ops/chain.h).
//
// A call joins the chain of a value that it reads, and the chain moves to where the call is. It must not have been read
// in between by others, for these would then come too early.
#include <algorithm>
#include <map>

#include "ops/chain.h"
#include "program/passes.h"

namespace kcore {
namespace {

constexpr std::size_t kMostSteps = 16;  // tiles of 4 KB: what L1 and a little of L2 hold

// A call, or those that it has taken in, in order; empty when they are in another.
struct Group {
  std::vector<Call> calls;
  bool read = false;  // by a call outside
};

class Chaining {
 public:
  explicit Chaining(Program& program)
      : program_(program), count_(count_uses(program)), groups_(program.calls.size()), at_(program.values.size(), -1) {}

  void run() {
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      groups_[i].calls = {program_.calls[i]};
      const Call call = program_.calls[i];
      if (can_join(call)) join(i);
      for (int value : call.inputs)
        if (value >= 0 && at_[value] >= 0 && at_[value] != static_cast<int>(i))
          groups_[static_cast<std::size_t>(at_[value])].read = true;
      for (int value : call.outputs) at_[value] = static_cast<int>(i);
    }
    program_.calls.clear();
    for (const Group& group : groups_) {
      if (group.calls.size() == 1) program_.calls.push_back(group.calls[0]);
      if (group.calls.size() > 1) program_.calls.push_back(chain_of(group.calls));
    }
  }

 private:
  const Shape& shape_of(const Call& call) const { return program_.values[call.outputs[0]].shape; }

  bool can_join(const Call& call) const {
    const auto fits = [&](int value) { return value >= 0 && repeats(program_.values[value].shape, shape_of(call)); };
    return can_chain(*call.def) && shape_of(call).size() > 0 &&
           std::all_of(call.inputs.begin(), call.inputs.end(), fits);
  }

  // Whether a part is the whole, or one element, or the last dimensions of the whole.
  static bool repeats(const Shape& part, const Shape& whole) {
    if (part.size() == 1) return true;
    int from = 0;
    while (from < part.rank() && part[from] == 1) ++from;
    for (int i = part.rank() - 1; i >= from; --i)
      if (part[i] != whole.last(part.rank() - 1 - i)) return false;
    return true;
  }

  // Takes in the groups of elementwise calls whose results call i reads.
  void join(std::size_t i) {
    const Call call = groups_[i].calls[0];
    std::vector<Call> calls;
    for (int value : call.inputs) {
      if (at_[value] < 0 || at_[value] == static_cast<int>(i)) continue;
      Group& group = groups_[static_cast<std::size_t>(at_[value])];
      if (group.calls.empty() || group.read || !can_join(group.calls[0]) ||
          shape_of(group.calls[0]) != shape_of(call) || calls.size() + group.calls.size() >= kMostSteps)
        continue;
      for (const Call& member : group.calls)
        for (int output : member.outputs) at_[output] = static_cast<int>(i);
      calls.insert(calls.end(), group.calls.begin(), group.calls.end());
      group.calls.clear();
    }
    calls.push_back(call);
    groups_[i].calls = std::move(calls);
  }

  Call chain_of(const std::vector<Call>& calls) {
    auto chain = std::make_shared<ChainAttrs>();
    Call made{&chain_def(), nullptr, {}, {}, {}};
    std::map<int, int> number;       // of values, as steps name them
    std::map<int, int> read_inside;  // how often
    std::vector<DType> dtypes;
    for (const Call& call : calls) {
      ChainStep step;
      step.def = call.def;
      step.attrs = call.attrs;
      step.dtype = program_.values[call.outputs[0]].dtype;
      for (int value : call.inputs) {
        ++read_inside[value];
        const auto [at, added] = number.try_emplace(value, static_cast<int>(made.inputs.size()));
        if (added) {
          made.inputs.push_back(value);
          dtypes.push_back(program_.values[value].dtype);
        }
        step.inputs.push_back(at->second);
      }
      number[call.outputs[0]] = ChainStep::kResult + static_cast<int>(chain->steps.size());
      chain->steps.push_back(std::move(step));
    }
    for (std::size_t s = 0; s < calls.size(); ++s) {
      const int value = calls[s].outputs[0];
      if (count_[value] == read_inside[value]) continue;
      chain->steps[s].output = static_cast<int>(made.outputs.size());
      made.outputs.push_back(value);
    }
    prepare_chain(*chain, dtypes);
    made.attrs = std::move(chain);
    return made;
  }

  Program& program_;
  std::vector<int> count_;
  std::vector<Group> groups_;  // by the position of the last call
  std::vector<int> at_;        // the group that makes a value
};

}  // namespace

void fuse_chains(Program& program) { Chaining(program).run(); }

}  // namespace kcore
