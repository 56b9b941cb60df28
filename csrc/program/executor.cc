// The views of every call are made once per context; a run only fills in the addresses that differ from the last one.
#include "program/executor.h"

#include <utility>

#include "base/check.h"

namespace kcore {

// What one run at a time needs: the views of the calls and the addresses that they hold.
struct Context {
  struct Operands {
    Views inputs, outputs;
  };
  std::vector<Operands> calls;  // of those that compute: a reshape has none
  std::vector<const Call*> run;
  // For each root that is not in the arena, the views that point to it; for those in the arena, the offset too.
  struct Use {
    TensorView* view;
    std::size_t at;
  };
  std::vector<Use> arena, input, variable, fresh;
  Workspace workspace;
  void* base = nullptr;  // the arena that the views point into now
};

namespace {

std::unique_ptr<Context> make_context(const Program& program, const Plan& plan) {
  auto context = std::make_unique<Context>();
  for (const Call& call : program.calls) {
    if (call.def->is_view) continue;
    context->run.push_back(&call);
    Context::Operands operands;
    for (int value : call.inputs)
      operands.inputs.push_back(value < 0 ? TensorView() : TensorView(nullptr, program.values[value]));
    for (int value : call.outputs) operands.outputs.push_back(TensorView(nullptr, program.values[value]));
    context->calls.push_back(std::move(operands));
  }
  const auto use = [&](int value, TensorView& view) {
    if (value < 0) return;
    const Place& place = plan.places[plan.roots[value]];
    switch (place.where) {
      case Where::arena: context->arena.push_back({&view, place.at}); break;
      case Where::input: context->input.push_back({&view, place.at}); break;
      case Where::variable: context->variable.push_back({&view, place.at}); break;
      case Where::fresh: context->fresh.push_back({&view, place.at}); break;
      case Where::constant: view.data = program.constants[place.at].array.data(); break;
    }
  };
  for (std::size_t i = 0; i < context->run.size(); ++i) {
    const Call& call = *context->run[i];
    for (std::size_t k = 0; k < call.inputs.size(); ++k) use(call.inputs[k], context->calls[i].inputs[k]);
    for (std::size_t k = 0; k < call.outputs.size(); ++k) use(call.outputs[k], context->calls[i].outputs[k]);
  }
  return context;
}

}  // namespace

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
    : program_(std::move(program)), plan_(plan_memory(program_)), arenas_(std::move(arenas)) {}

Executor::~Executor() = default;

Executor::Step::Step(Executor& executor, std::vector<Array> inputs) : executor_(executor), inputs_(std::move(inputs)) {
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
  if (!context_) context_ = make_context(program, executor.plan_);
  arena_ = executor.arenas_->take(executor.plan_.arena_bytes);
}

Executor::Step::~Step() {
  if (!context_) return;
  executor_.arenas_->give(std::move(arena_));
  std::lock_guard lock(executor_.mutex_);
  executor_.idle_.push_back(std::move(context_));
}

void Executor::Step::run() {
  Context& c = *context_;
  if (c.base != arena_.memory.get()) {
    c.base = arena_.memory.get();
    for (const Context::Use& use : c.arena) use.view->data = static_cast<char*>(c.base) + use.at;
  }
  for (const Context::Use& use : c.input) use.view->data = inputs_[use.at].data();
  for (const Context::Use& use : c.variable) use.view->data = variables_[use.at].data();
  for (const Context::Use& use : c.fresh) use.view->data = fresh_[use.at].data();
  for (std::size_t i = 0; i < c.run.size(); ++i)
    run_op(*c.run[i]->def, c.run[i]->attrs.get(), c.calls[i].inputs, c.calls[i].outputs, c.workspace);
}

Array Executor::Step::array_of(int value) const {
  const Program& program = executor_.program_;
  const int root = executor_.plan_.roots[value];
  const Place& place = executor_.plan_.places[root];
  const Array& array = place.where == Where::input      ? inputs_[place.at]
                       : place.where == Where::variable ? variables_[place.at]
                       : place.where == Where::constant ? program.constants[place.at].array
                                                        : fresh_[place.at];
  return value == root ? array : array.reshaped(program.values[value].shape);
}

std::vector<Array> Executor::Step::commit() {
  const Program& program = executor_.program_;
  for (const Program::Variable& variable : program.variables)
    if (variable.after >= 0) variable.cell->set(array_of(variable.after));
  std::vector<Array> outputs;
  for (int value : program.outputs) outputs.push_back(array_of(value));
  return outputs;
}

}  // namespace kcore
