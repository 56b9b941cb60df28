// THE list of passes, and what they share.
#include "program/passes.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/check.h"

namespace kcore {

const std::vector<Pass>& all_passes() {
  static const std::vector<Pass> passes = {
      {"batch_norm", &fold_batch_norms},
      {"epilogue", &fuse_epilogues},
      {"norm", &fuse_norms},
      {"pooling", &mask_before_unpooling},
      {"chains", &fuse_chains},
      {"slices", &slice_batch},
      {"in_place", nullptr},
      {"updates", nullptr},
  };
  return passes;
}

bool pass_is_on(const char* name) {
  const char* given = std::getenv("KCORE_PASSES");
  const std::string text = given ? given : "";
  bool on = true;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find(',', from), text.size());
    const std::string word = text.substr(from, end - from);
    bool known = false;
    for (const Pass& pass : all_passes()) known = known || word == concat("-", pass.name);
    if (!known) {
      std::string names;
      for (const Pass& pass : all_passes()) names += concat(names.empty() ? "-" : ", -", pass.name);
      throw Error(ErrorKind::value, concat("[KCORE_PASSES] expected some of ", names, ", received '", word, "'"));
    }
    on = on && word != concat("-", name);
    from = end + 1;
  }
  return on;
}

Program optimized(Program program) {
  for (Call& call : program.calls)
    for (auto& body : call.bodies) body = std::make_shared<const Program>(optimized(*body));
  for (const Pass& pass : all_passes())
    if (pass.run && pass_is_on(pass.name)) pass.run(program);
  remove_unused(program);
  return program;
}

std::vector<int> count_uses(const Program& program) {
  std::vector<int> count(program.values.size());
  for (const Call& call : program.calls)
    for (int value : call.inputs)
      if (value >= 0) ++count[value];
  for (int value : program.outputs) ++count[value];
  for (const Program::Variable& variable : program.variables)
    if (variable.after >= 0) ++count[variable.after];
  return count;
}

std::vector<char> steady_values(const Program& program) {
  std::vector<char> steady(program.values.size());
  for (const Program::Constant& constant : program.constants) steady[constant.value] = true;
  for (const Program::Variable& variable : program.variables)
    if (variable.before >= 0 && variable.after < 0) steady[variable.before] = true;
  for (const Call& call : program.calls) {
    if (!call.bodies.empty()) continue;
    const bool all =
        std::all_of(call.inputs.begin(), call.inputs.end(), [&](int value) { return value < 0 || steady[value]; });
    if (all)
      for (int value : call.outputs) steady[value] = true;
  }
  return steady;
}

Program take_steady(Program& program) {
  const std::vector<char> steady = steady_values(program);
  const auto is_steady = [&](const Call& call) { return steady[call.outputs[0]] != 0; };
  const auto computes = [&](const Call& call) { return is_steady(call) && !call.def->is_view; };
  const auto& calls = program.calls;
  if (std::none_of(calls.begin(), calls.end(), computes) || std::all_of(calls.begin(), calls.end(), is_steady))
    return {};
  Program taken = program;
  taken.inputs.clear();
  taken.outputs.clear();
  for (Program::Variable& variable : taken.variables) variable.after = -1;
  std::vector<Call> steady_calls, rest;
  std::vector<char> made(program.values.size()), wanted(program.values.size());
  for (const Call& call : calls) {
    (is_steady(call) ? steady_calls : rest).push_back(call);
    for (int value : call.outputs) made[value] = is_steady(call);
  }
  for (const Call& call : rest)
    for (int value : call.inputs)
      if (value >= 0) wanted[value] = true;
  for (int value : program.outputs) wanted[value] = true;
  for (const Program::Variable& variable : program.variables)
    if (variable.after >= 0) wanted[variable.after] = true;
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (!made[i] || !wanted[i]) continue;
    const int value = static_cast<int>(i);
    const auto cell = std::make_shared<Cell>("(prepared)", Array::symbolic(program.values[i]));
    taken.variables.push_back({cell, -1, value});
    program.variables.push_back({cell, value, -1});
  }
  taken.calls = std::move(steady_calls);
  program.calls = std::move(rest);
  remove_unused(taken);
  remove_unused(program);
  return taken;
}

Call make_call(Program& program, const OpDef& def, std::shared_ptr<const void> attrs, std::vector<int> inputs) {
  Views views;
  for (int value : inputs)
    views.push_back(value < 0 ? TensorView() : TensorView(nullptr, program.values[static_cast<std::size_t>(value)]));
  Call call{&def, attrs, std::move(inputs), {}, {}};
  for (const TensorSpec& spec : infer_op(def, attrs.get(), views)) {
    call.outputs.push_back(static_cast<int>(program.values.size()));
    program.values.push_back(spec);
  }
  return call;
}

}  // namespace kcore
