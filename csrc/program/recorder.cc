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

Recorder::Recorder(const std::vector<Array>& inputs, bool fold, bool symbolic)
    : outer_(innermost), listening_(true), fold_(fold), symbolic_(symbolic) {
  if (outer_) outer_->need_values("a step is recorded in the step");
  for (const Array& array : inputs) {
    inputs_.push_back(symbolic ? symbol(array.spec()) : array.reshaped(array.shape()));
    program_.inputs.push_back(add(inputs_.back(), false));
  }
  innermost = this;
}

std::unique_ptr<Recorder> Recorder::of_body(const std::vector<Array>& inputs) {
  if (innermost) innermost->need_values("a loop or a branch is recorded in it");
  std::unique_ptr<Recorder> recorder(new Recorder);
  for (const Array& array : inputs) {
    recorder->inputs_.push_back(Array::symbolic(array.spec()));
    recorder->program_.inputs.push_back(recorder->add(recorder->inputs_.back(), false));
  }
  recorder->is_body_ = recorder->listening_ = true;
  recorder->fold_ = !innermost || innermost->fold_;
  recorder->outer_ = innermost;
  return innermost = recorder.get(), std::move(recorder);
}

Recorder::~Recorder() { stop(); }

bool Recorder::varies(const Array& array) const {
  const auto found = numbers_.find(array.id());
  if (found != numbers_.end()) return !constant_[found->second];
  return is_body_ && outer_ && outer_->varies(array);
}

void Recorder::need_values(const char* what) {
  if (!symbolic_) return;
  needs_values_ = true;
  throw NeedsValues(what);
}

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
  if (found != numbers_.end()) return found->second;
  if (array.is_symbolic() && !varies(array))
    throw RecordingError(
        "[loop] a tensor of a loop's or a branch's function was used after the function had ended. Return it instead");
  if (!varies(array)) return add(array, true);  // what was there before is a constant
  captured_.push_back(array);
  program_.inputs.push_back(add(array, false));
  return program_.inputs.back();
}

void Recorder::called(const OpDef& def, const std::shared_ptr<void>& attrs, const Views& views,
                      const std::vector<Array>& inputs, const std::vector<Array>& outputs, const Bodies& bodies) {
  for (const Array& array : inputs)
    if (array.is_symbolic() && !varies(array)) return;  // shapes are traced, of a layer that is built, say
  Call call{&def, attrs, {}, {}, bodies};
  bool constant = true;
  std::size_t next = 0;
  for (const TensorView& view : views) {
    call.inputs.push_back(view.absent ? -1 : value_of(inputs[next++]));
    if (!view.absent) constant = constant && constant_[call.inputs.back()];
  }
  for (const Array& array : outputs) {
    call.outputs.push_back(add(array, constant));
    if (!fold_) kept_.erase(call.outputs.back());
  }
  if (!constant || !fold_) program_.calls.push_back(std::move(call));
}

const Array& Recorder::current(const std::shared_ptr<Cell>& cell) const {
  const auto found = variables_.find(cell.get());
  return symbolic_ && found != variables_.end() ? now_[found->second] : cell->value();
}

const Array& Recorder::read(const std::shared_ptr<Cell>& cell) {
  note_read(cell);
  return current(cell);
}

void Recorder::note_read(const std::shared_ptr<Cell>& cell) {
  if (holds(cell.get())) return;
  if (is_body_) return outer_->note_read(cell);
  if (!variables_.try_emplace(cell.get(), program_.variables.size()).second) return;
  // Under an identity of its own: two variables, or a variable and an input, may hold the same array this time.
  const Array& value = cell->value();
  const bool counts = value.shape().rank() == 0 && !is_floating(value.dtype());
  Array own = symbolic_ && !counts ? symbol(value.spec()) : value.reshaped(value.shape());
  program_.variables.push_back({cell, add(own, false), -1});
  originals_.emplace_back();
  if (symbolic_)
    now_.push_back(std::move(own));
  else
    cell->set(std::move(own));
}

void Recorder::write(const std::shared_ptr<Cell>& cell, const Array& value) {
  if (holds(cell.get())) return cell->set(value);
  note_read(cell);
  if (is_body_ && variables_.try_emplace(cell.get(), program_.variables.size()).second) {
    program_.variables.push_back({cell, -1, -1});
    originals_.emplace_back();
  }
  Array& original = originals_[variables_[cell.get()]];
  if (!original.id()) original = current(cell);
  if (symbolic_)
    now_[variables_[cell.get()]] = value;
  else
    cell->set(value);
}

void Recorder::hold(const std::shared_ptr<Cell>& cell, const Array& value) {
  need_values("variables are given other values for a while in it");
  held_[cell.get()].push_back(cell->value());
  cell->set(value);
}

void Recorder::release(const std::shared_ptr<Cell>& cell) {
  std::vector<Array>& before = held_.at(cell.get());
  cell->set(before.back());
  before.pop_back();
  if (before.empty()) held_.erase(cell.get());
}

void Recorder::made() {
  if (is_body_)
    throw RecordingError(
        "[Variable] a variable was made in a loop or a branch that is recorded. Build layers and make Variables "
        "before");
  made_ = true;
}

const Array& Recorder::before(const std::shared_ptr<Cell>& cell) const {
  if (symbolic_) return cell->value();
  const auto found = variables_.find(cell.get());
  const bool written = found != variables_.end() && originals_[found->second].id();
  return written ? originals_[found->second] : cell->value();
}

void Recorder::looked_at(const Array& array, const char* how) {
  if (!varies(array)) return;
  throw RecordingError(concat(
      "[", how, "] a value that changes from step to step was asked for while the step is recorded: a tensor of shape ",
      array.shape(), " and dtype ", array.dtype(),
      ". Use kcore.ops on the tensor instead of NumPy or Python on its value (cond or where for `if`, while_loop for "
      "`while`), return it and look at it outside, or do not record: compile with run_eagerly=True, or call the "
      "function without kcore.function"));
}

Program Recorder::finish(const std::vector<Array>& outputs) {
  stop();
  if (needs_values_) throw NeedsValues("values were asked for in it");  // and somebody has caught the error
  for (const Array& array : outputs) program_.outputs.push_back(value_of(array));
  for (std::size_t i = 0; i < originals_.size(); ++i) {
    Program::Variable& variable = program_.variables[i];
    const Array& now = current(variable.cell);
    if (originals_[i].id() && now.id() != originals_[i].id()) variable.after = value_of(now);
  }
  if (symbolic_) inputs_.clear(), originals_.clear(), now_.clear(), variables_.clear();
  for (auto& [value, array] : kept_) program_.constants.push_back({value, array});
  remove_unused(program_);
  return std::move(program_);
}

Recorder::Body Recorder::finish_body(const std::vector<Array>& outputs) {
  for (const Array& array : outputs) program_.outputs.push_back(value_of(array));
  abort();
  program_.variables.clear();
  for (auto& [value, array] : kept_) program_.constants.push_back({value, array});
  remove_unused(program_);
  return {std::make_shared<const Program>(std::move(program_)), captured_};
}

void Recorder::abort() {
  stop();
  if (symbolic_) return;
  for (std::size_t i = 0; i < originals_.size(); ++i)
    if (originals_[i].id()) program_.variables[i].cell->set(originals_[i]);
}

}  // namespace kcore
