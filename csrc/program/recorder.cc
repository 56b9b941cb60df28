// Numbers the arrays that it meets by their identity, and tells constants from what depends on the run.
#include "program/recorder.h"

#include "base/check.h"

namespace kcore {
namespace {

thread_local Recorder* innermost = nullptr;

}  // namespace

Unheard::Unheard() : recorder_(innermost) { innermost = nullptr; }
Unheard::~Unheard() { innermost = recorder_; }

Recorder* Recorder::active() { return innermost; }

Recorder::Recorder(const std::vector<Array>& inputs) : outer_(innermost), listening_(true) {
  for (const Array& array : inputs) {
    inputs_.push_back(array.reshaped(array.shape()));
    program_.inputs.push_back(add(inputs_.back(), false));
  }
  innermost = this;
}

Recorder::~Recorder() { stop(); }

void Recorder::stop() {
  if (!listening_) return;
  listening_ = false;
  innermost = outer_;
}

int Recorder::add(const Array& array, bool constant) {
  const int number = static_cast<int>(program_.values.size());
  program_.values.push_back(array.spec());
  constant_.push_back(constant);
  numbers_[array.id()] = number;
  if (constant) kept_[number] = array;
  return number;
}

int Recorder::value_of(const Array& array) {
  const auto found = numbers_.find(array.id());
  return found != numbers_.end() ? found->second : add(array, true);  // what was there before is a constant
}

void Recorder::called(const OpDef& def, const std::shared_ptr<void>& attrs, const Views& views,
                      const std::vector<Array>& inputs, const std::vector<Array>& outputs) {
  Call call{&def, attrs, {}, {}};
  bool constant = true;
  std::size_t next = 0;
  for (const TensorView& view : views) {
    call.inputs.push_back(view.absent ? -1 : value_of(inputs[next++]));
    if (!view.absent) constant = constant && constant_[call.inputs.back()];
  }
  for (const Array& array : outputs) call.outputs.push_back(add(array, constant));
  if (!constant) program_.calls.push_back(std::move(call));
}

void Recorder::read(const std::shared_ptr<Cell>& cell) {
  if (!variables_.try_emplace(cell.get(), program_.variables.size()).second) return;
  // Under an identity of its own: two variables, or a variable and an input, may hold the same array this time.
  cell->set(cell->value().reshaped(cell->value().shape()));
  program_.variables.push_back({cell, add(cell->value(), false), -1});
  originals_.emplace_back();
}

void Recorder::writes(const std::shared_ptr<Cell>& cell) {
  read(cell);
  Array& original = originals_[variables_[cell.get()]];
  if (!original.id()) original = cell->value();
}

const Array& Recorder::before(const std::shared_ptr<Cell>& cell) const {
  const auto found = variables_.find(cell.get());
  const bool written = found != variables_.end() && originals_[found->second].id();
  return written ? originals_[found->second] : cell->value();
}

void Recorder::looked_at(const Array& array, const char* how) {
  const auto found = numbers_.find(array.id());
  if (found == numbers_.end() || constant_[found->second]) return;
  throw RecordingError(concat(
      "[", how, "] a value that changes from step to step was asked for while the step is recorded: a tensor of shape ",
      array.shape(), " and dtype ", array.dtype(),
      ". Use kcore.ops on the tensor instead of NumPy or Python on its value (cond or where for `if`, while_loop for "
      "`while`), return it and look at it outside, or do not record: compile with run_eagerly=True, or call the "
      "function without kcore.function"));
}

Program Recorder::finish(const std::vector<Array>& outputs) {
  stop();
  for (const Array& array : outputs) program_.outputs.push_back(value_of(array));
  for (std::size_t i = 0; i < originals_.size(); ++i) {
    Program::Variable& variable = program_.variables[i];
    if (originals_[i].id() && variable.cell->value().id() != originals_[i].id())
      variable.after = value_of(variable.cell->value());
  }
  for (auto& [value, array] : kept_) program_.constants.push_back({value, array});
  remove_unused(program_);
  return std::move(program_);
}

void Recorder::abort() {
  stop();
  for (std::size_t i = 0; i < originals_.size(); ++i)
    if (originals_[i].id()) program_.variables[i].cell->set(originals_[i]);
}

}  // namespace kcore
