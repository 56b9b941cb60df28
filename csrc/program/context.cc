// Makes the views, and points those to constants, which stay.
#include "program/context.h"

#include <algorithm>

namespace kcore {

Context::Context(const Program& program, const Plan& plan) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < program.calls.size(); ++i) {
    const Call& call = program.calls[i];
    if (i == plan.first_update) first_update_ = calls_.size();
    if (call.def->is_view) continue;
    Running running{&call, {}, {}, nullptr};
    for (int value : call.inputs)
      running.inputs.push_back(value < 0 ? TensorView() : TensorView(nullptr, program.values[value]));
    for (int value : call.outputs) running.outputs.push_back(TensorView(nullptr, program.values[value]));
    if (!call.bodies.empty()) {
      running.control = std::make_unique<Control>(call);
      bytes = std::max(bytes, running.control->bytes());
    }
    calls_.push_back(std::move(running));
  }
  if (plan.first_update >= program.calls.size()) first_update_ = calls_.size();
  if (bytes) control_memory_ = allocate(bytes);
  const auto use = [&](int value, TensorView& view) {
    if (value < 0) return;
    const Place& place = plan.places[plan.roots[value]];
    switch (place.where) {
      case Where::arena: arena.push_back({&view, place.at}); break;
      case Where::input: input.push_back({&view, place.at}); break;
      case Where::variable: variable.push_back({&view, place.at}); break;
      case Where::fresh: fresh.push_back({&view, place.at}); break;
      case Where::update: update.push_back({&view, place.at}); break;
      case Where::constant: view.data = program.constants[place.at].array.data(); break;
    }
  };
  for (Running& running : calls_) {
    if (running.control) running.control->place(control_memory_.get());
    for (std::size_t k = 0; k < running.inputs.size(); ++k) use(running.call->inputs[k], running.inputs[k]);
    for (std::size_t k = 0; k < running.outputs.size(); ++k) use(running.call->outputs[k], running.outputs[k]);
  }
}

void Context::run_calls() { run(0, first_update_); }
void Context::run_updates() { run(first_update_, calls_.size()); }

void Context::reserve(std::size_t bytes) {
  workspace_.clear();
  workspace_.take(bytes);
  workspace_.clear();  // to one block, which stays
}

void Context::run(std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    Running& running = calls_[i];
    if (running.control)
      running.control->run(running.inputs, running.outputs);
    else
      run_op(*running.call->def, running.call->attrs.get(), running.inputs, running.outputs, workspace_);
  }
}

}  // namespace kcore
