// A run takes memory and a context, and gives them back.
#include "program/executor.h"

#include <atomic>
#include <utility>

#include "base/check.h"
#include "base/parallel.h"
#include "program/context.h"
#include "program/passes.h"

namespace kcore {
namespace {

constexpr std::size_t kUpdateWorkspace = 4096;  // what a chain of kMostSteps asks for to know its inputs

int updates_held = 0;                  // under the lock of the cells
std::atomic<int> updates_running = 0;  // steps that write over variables now

void end_update() {
  --updates_running;
  updates_running.notify_all();
}

}  // namespace

void hold_updates() { ++updates_held; }
void release_updates() { --updates_held; }
void wait_for_updates() {
  for (int running; (running = updates_running);) updates_running.wait(running);
}

Arenas::Arena Arenas::take(std::size_t bytes) {
  {
    std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      Arena arena = std::move(free_.back());
      free_.pop_back();
      if (arena.bytes >= bytes) return arena;
    }
  }
  return {allocate(bytes), bytes};
}

void Arenas::give(Arena arena) {
  std::lock_guard lock(mutex_);
  free_.push_back(std::move(arena));
}

Executor::Executor(Program program, std::shared_ptr<Arenas> arenas)
    : recorded_(std::move(program)), program_(optimized(recorded_)), arenas_(std::move(arenas)) {
  Program steady = take_steady(program_);
  const std::size_t first_update = pass_is_on("updates") ? put_updates_last(program_) : program_.calls.size();
  plan_ = plan_memory(program_, first_update);
  if (!steady.calls.empty()) preparation_ = std::make_unique<Executor>(std::move(steady), arenas_);
}

Executor::~Executor() = default;

std::string Executor::summary() const {
  const std::size_t before = recorded_.calls.size(), now = program_.calls.size();
  return concat(now, " calls of ops", now == before ? "" : concat(", ", before, " as recorded"), "; ",
                in_bytes(plan_.arena_bytes), " of memory for values of ", in_bytes(plan_.value_bytes));
}

std::string Executor::to_string() const {
  const std::string text = concat("# ", summary(), "\n", kcore::to_string(program_, &plan_));
  return preparation_ ? concat(text, "\n# computed when variables have changed:\n", preparation_->to_string()) : text;
}

void Executor::wait() const {
  const auto wait_for = [](const Program& program) {
    bool waited = false;
    for (const Program::Variable& variable : program.variables) waited |= variable.cell->wait();
    return waited;
  };
  while (wait_for(program_) || (preparation_ && wait_for(preparation_->program()))) continue;
}

void Executor::prepare() {
  if (!preparation_) return;
  std::vector<std::uint64_t> ids;
  for (const Program::Variable& variable : preparation_->program().variables)
    if (variable.before >= 0) ids.push_back(variable.cell->value().id());
  if (ids == prepared_from_) return;
  Step step(*preparation_, {});
  step.run();
  step.commit();
  prepared_from_ = std::move(ids);
}

Executor::Step::Step(Executor& executor, std::vector<Array> inputs) : executor_(executor), inputs_(std::move(inputs)) {
  executor.wait();
  executor.prepare();
  const Program& program = executor.program_;
  if (inputs_.size() != program.inputs.size())
    throw Error(ErrorKind::value,
                concat("[program] expected ", program.inputs.size(), " inputs, received ", inputs_.size()));
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const TensorSpec& expected = program.values[program.inputs[i]];
    if (inputs_[i].spec() != expected || inputs_[i].is_symbolic())
      throw Error(ErrorKind::value, concat("[program] expected input ", i, " of shape ", expected.shape, " and dtype ",
                                           expected.dtype, ", received ", inputs_[i].shape(), " ", inputs_[i].dtype()));
  }
  for (const Program::Variable& variable : program.variables) {
    variables_.push_back(variable.cell->value());
    if (variable.before >= 0 && variables_.back().spec() != program.values[variable.before])
      throw Error(ErrorKind::value,
                  concat("[program] expected ", variable.cell->name(), " of shape ",
                         program.values[variable.before].shape, ", received ", variables_.back().shape()));
  }
  for (int root : executor.plan_.fresh) fresh_.push_back(Array::empty(program.values[root]));
  {
    std::lock_guard lock(executor.mutex_);
    if (!executor.idle_.empty()) {
      context_ = std::move(executor.idle_.back());
      executor.idle_.pop_back();
    }
  }
  if (!context_) context_ = std::make_unique<Context>(program, executor.plan_);
  arena_ = executor.arenas_->take(executor.plan_.arena_bytes);
}

Executor::Step::~Step() {
  for (const Update& update : lent_)
    executor_.program_.variables[update.variable].cell->settle(variables_[update.variable]);
  if (!lent_.empty()) end_update();
  if (!context_) return;
  executor_.arenas_->give(std::move(arena_));
  std::lock_guard lock(executor_.mutex_);
  executor_.idle_.push_back(std::move(context_));
}

void Executor::Step::run() {
  const Caller caller;
  Context& c = *context_;
  if (c.base != arena_.memory.get()) {
    c.base = arena_.memory.get();
    for (const Context::Use& use : c.arena) use.view->data = static_cast<char*>(c.base) + use.at;
  }
  for (const Context::Use& use : c.input) use.view->data = inputs_[use.at].data();
  for (const Context::Use& use : c.variable) use.view->data = variables_[use.at].data();
  for (const Context::Use& use : c.fresh) use.view->data = fresh_[use.at].data();
  c.run_calls();
}

bool Executor::Step::prepare_update() {
  const Program& program = executor_.program_;
  const Plan& plan = executor_.plan_;
  ready_ = true;
  if (plan.first_update == program.calls.size()) return false;
  context_->reserve(kUpdateWorkspace);
  std::vector<Update> lent;
  for (const Update& update : plan.updates) {
    const Cell& cell = *program.variables[update.variable].cell;
    const Array& value = variables_[update.variable];
    // The cell's array and this step's copy of it.
    if (!updates_held && !cell.is_lent() && cell.value().id() == value.id() && value.is_held_by(2))
      lent.push_back(update);
    const bool over = !lent.empty() && lent.back().value == update.value;
    updated_.push_back(over ? value : Array::empty(program.values[update.value]));
  }
  lent_ = std::move(lent);
  if (lent_.empty()) return true;
  ++updates_running;
  for (const Update& update : lent_) program.variables[update.variable].cell->lend();
  return true;
}

std::size_t Executor::Step::bytes_to_update() const {
  std::size_t bytes = 0;
  for (const Update& update : executor_.plan_.updates) bytes += bytes_of(executor_.program_.values[update.value]);
  return bytes;
}

void Executor::Step::update() noexcept {
  const Caller caller;
  for (const Context::Use& use : context_->update) use.view->data = updated_[use.at].data();
  context_->run_updates();
}

Array Executor::Step::array_of(int value) const {
  const Program& program = executor_.program_;
  const int root = executor_.plan_.roots[value];
  const Place& place = executor_.plan_.places[root];
  const Array& array = place.where == Where::input      ? inputs_[place.at]
                       : place.where == Where::variable ? variables_[place.at]
                       : place.where == Where::constant ? program.constants[place.at].array
                       : place.where == Where::update   ? updated_[place.at]
                                                        : fresh_[place.at];
  return value == root ? array : array.reshaped(program.values[value].shape);
}

std::vector<Array> Executor::Step::commit() {
  if (!ready_ && prepare_update()) update();
  const Program& program = executor_.program_;
  std::vector<char> over(program.variables.size());
  for (const Update& update : lent_) over[update.variable] = true;
  std::vector<Array> outputs, values(program.variables.size());
  for (int value : program.outputs) outputs.push_back(array_of(value));
  for (std::size_t i = 0; i < values.size(); ++i)
    if (program.variables[i].after >= 0) values[i] = array_of(program.variables[i].after);
  // Other steps may write over these. They began later than this one and do not wait for it.
  const auto wait = [&] {
    bool waited = false;
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i].id() && !over[i]) waited |= program.variables[i].cell->wait();
    return waited;
  };
  while (wait()) continue;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i].id()) continue;
    if (over[i])
      program.variables[i].cell->settle(values[i].reshaped(values[i].shape()));  // another value, another identity
    else
      program.variables[i].cell->set(std::move(values[i]));
  }
  if (!lent_.empty()) end_update();
  lent_.clear();
  return outputs;
}

}  // namespace kcore
