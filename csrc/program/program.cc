// What does not depend on how a program was made or how it runs.
#include "program/program.h"

#include <algorithm>
#include <cstdio>

#include "base/check.h"
#include "ops/chain.h"
#include "program/control.h"
#include "program/planner.h"

namespace kcore {
namespace {

// Lists attributes that differ from their defaults.
class Printer : public AttrVisitor {
 public:
  void visit(const char* name, bool& value) override { add(name, value ? "true" : "false"); }
  void visit(const char* name, std::int64_t& value) override { add(name, std::to_string(value)); }
  void visit(const char* name, double& value) override { add(name, concat(value)); }
  void visit(const char* name, Ints& value) override {
    std::string text = "[";
    for (std::size_t i = 0; i < value.size(); ++i) text += concat(i ? ", " : "", value[i]);
    add(name, text + "]");
  }
  void visit(const char* name, DType& value) override { add(name, name_of(value)); }
  void visit(const char* name, std::string& value) override { add(name, value); }
  std::vector<std::string> attrs;

 private:
  void add(const char* name, const std::string& value) { attrs.push_back(concat(name, "=", value)); }
};

std::string attributes(const Call& call) {
  Printer given, defaults;
  call.def->visit_attrs(const_cast<void*>(call.attrs.get()), given);  // the printer only reads
  call.def->visit_attrs(call.def->make_attrs().get(), defaults);
  std::string text;
  for (std::size_t i = 0; i < given.attrs.size(); ++i)
    if (given.attrs[i] != defaults.attrs[i]) text += concat("  ", given.attrs[i]);
  return text;
}

std::string describe(const TensorSpec& spec) { return concat(name_of(spec.dtype), " ", spec.shape); }

std::string list(const std::vector<int>& values) {
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i)
    text += concat(i ? ", " : "", values[i] < 0 ? std::string("none") : concat("%", values[i]));
  return text;
}

// What the call of a loop or a branch runs, indented.
std::string bodies_of(const Call& call) {
  std::string text;
  for (std::size_t i = 0; i < call.bodies.size(); ++i) {
    text += concat("  ", body_name(*call.def, i), ":\n");
    const std::string body = to_string(*call.bodies[i]);
    for (std::size_t from = 0; from < body.size();) {
      const std::size_t end = body.find('\n', from) + 1;
      text += "    " + body.substr(from, end - from);
      from = end;
    }
  }
  return text;
}

// What a chain does: "  [t0 = multiply(%3, %4); %5 = add(t0, %2)]".
std::string steps_of(const Call& call) {
  if (call.def != &chain_def()) return "";
  const auto& chain = *static_cast<const ChainAttrs*>(call.attrs.get());
  const auto result = [&](std::size_t step) {
    const int output = chain.steps[step].output;
    return output < 0 ? concat("t", step) : concat("%", call.outputs[static_cast<std::size_t>(output)]);
  };
  std::string text;
  for (std::size_t s = 0; s < chain.steps.size(); ++s) {
    const ChainStep& step = chain.steps[s];
    text += concat(s ? "; " : "  [", result(s), " = ", step.def->name, "(");
    for (std::size_t k = 0; k < step.inputs.size(); ++k) {
      const auto input = static_cast<std::size_t>(step.inputs[k]);
      text += concat(k ? ", " : "",
                     input < ChainStep::kResult ? concat("%", call.inputs[input]) : result(input - ChainStep::kResult));
    }
    text += ")" + attributes({step.def, step.attrs, {}, {}, {}});
  }
  return text + "]";
}

// What a call reads and writes, and whether it writes where it reads.
std::string traffic(const Program& program, const Call& call, const Plan* plan) {
  if (call.def->is_view) return "";
  std::size_t read = 0, written = 0;
  for (int value : call.inputs)
    if (value >= 0) read += bytes_of(program.values[value]);
  for (int value : call.outputs) written += bytes_of(program.values[value]);
  bool in_place = false;
  if (plan)
    for (int input : call.inputs)
      for (int output : call.outputs) in_place = in_place || (input >= 0 && plan->roots[input] == plan->roots[output]);
  if (plan)
    for (int output : call.outputs) in_place = in_place || plan->places[plan->roots[output]].where == Where::update;
  return concat("  # reads ", in_bytes(read), ", writes ", in_bytes(written), in_place ? ", in place" : "");
}

}  // namespace

void remove_unused(Program& program) {
  std::vector<char> used(program.values.size());
  for (int value : program.outputs) used[value] = true;
  for (const Program::Variable& variable : program.variables)
    if (variable.after >= 0) used[variable.after] = true;
  std::vector<Call> calls;
  for (auto call = program.calls.rbegin(); call != program.calls.rend(); ++call) {
    if (std::none_of(call->outputs.begin(), call->outputs.end(), [&](int value) { return used[value]; })) continue;
    for (int value : call->inputs)
      if (value >= 0) used[value] = true;
    calls.push_back(std::move(*call));
  }
  std::reverse(calls.begin(), calls.end());
  program.calls = std::move(calls);
  std::erase_if(program.constants, [&](const Program::Constant& constant) { return !used[constant.value]; });
  for (Program::Variable& variable : program.variables)
    if (variable.before >= 0 && !used[variable.before]) variable.before = -1;
  std::erase_if(program.variables,
                [](const Program::Variable& variable) { return variable.before < 0 && variable.after < 0; });
}

std::size_t bytes_of(const TensorSpec& spec) {
  return static_cast<std::size_t>(spec.shape.size() * size_of(spec.dtype));
}

std::string in_bytes(std::size_t bytes) {
  static constexpr const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  double amount = static_cast<double>(bytes);
  int unit = 0;
  while (amount >= 999.5 && unit < 4) amount /= 1000, ++unit;
  char text[32];
  std::snprintf(text, sizeof text, unit && amount < 9.95 ? "%.1f %s" : "%.0f %s", amount, units[unit]);
  return text;
}

std::string to_string(const Program& program, const Plan* plan) {
  std::string text;
  for (int value : program.inputs) text += concat("%", value, " ", describe(program.values[value]), " = input\n");
  for (const Program::Variable& variable : program.variables)
    if (variable.before >= 0)
      text += concat("%", variable.before, " ", describe(program.values[variable.before]), " = ", variable.cell->name(),
                     "\n");
  for (const Program::Constant& constant : program.constants)
    text += concat("%", constant.value, " ", describe(program.values[constant.value]), " = constant\n");
  for (const Call& call : program.calls) {
    for (std::size_t i = 0; i < call.outputs.size(); ++i)
      text += concat(i ? ", " : "", "%", call.outputs[i], " ", describe(program.values[call.outputs[i]]));
    text += concat(" = ", call.def->name, "(", list(call.inputs), ")", attributes(call), steps_of(call),
                   traffic(program, call, plan), "\n", bodies_of(call));
  }
  for (const Program::Variable& variable : program.variables)
    if (variable.after >= 0) text += concat(variable.cell->name(), " = %", variable.after, "\n");
  return text + concat("return ", list(program.outputs), "\n");
}

}  // namespace kcore
