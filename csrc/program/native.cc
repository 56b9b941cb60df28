// A run fills in addresses and computes; then what could not be computed in place is copied.
#include "program/native.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <exception>

#include "base/check.h"
#include "base/parallel.h"
#include "program/context.h"
#include "program/file.h"
#include "program/tensors.h"

namespace kcore {
namespace {

void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes && to != from) std::memcpy(to, from, bytes);
}

Array copy_of(const Array& array) {
  const Array result = Array::empty(array.spec());
  copy(result.data(), array.data(), bytes_of(array.spec()));
  return result;
}

Array zeros(const TensorSpec& spec) {
  const Array array = Array::empty(spec);
  if (bytes_of(spec)) std::memset(array.data(), 0, bytes_of(spec));
  return array;
}

std::size_t machine_memory() {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGE_SIZE));
}

}  // namespace

struct NativeProgram::Parts {
  Program program;
  Plan plan;
  std::vector<Array> test_inputs;  // of the program's specs
};

NativeProgram::NativeProgram(const ProgramFile& file, const NativeOptions& options) : parts_(new Parts) {
  const std::string name = options.name.empty() ? file.names().front() : options.name;
  const std::size_t limit = options.memory_limit ? options.memory_limit : machine_memory();
  ProgramFile::Loaded loaded = file.load(name, options.batch, limit);
  for (NamedSpec& input : loaded.inputs) inputs.push_back({std::move(input.name), input.spec});
  for (NamedSpec& output : loaded.outputs) outputs.push_back({std::move(output.name), output.spec});
  for (const Program::Variable& variable : loaded.program.variables)
    variables.push_back({variable.cell->name(), variable.cell->value().spec()});
  parts_->program = std::move(loaded.program);
  parts_->plan = plan_memory(parts_->program);
  if (parts_->plan.arena_bytes > limit)
    throw Error(ErrorKind::value, "[load] its values take more than the memory that it may use");

  const ProgramFile::Test test = file.test(name);
  bool fits = test.inputs.size() == inputs.size();
  for (std::size_t i = 0; fits && i < inputs.size(); ++i) fits = test.inputs[i].spec() == inputs[i].spec;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    parts_->test_inputs.push_back(fits ? test.inputs[i] : zeros(inputs[i].spec));
  if (!options.self_test) return;
  if (!fits) {  // the test is of another batch
    if (!file.has_free_batch(name) || test.batch == options.batch)
      throw Error(ErrorKind::value, concat("[load] expected a test of ", name, " with its inputs"));
    NativeOptions other = options;
    other.name = name;
    other.batch = test.batch;
    NativeProgram(file, other);
    return;
  }
  std::vector<Array> got;
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const Argument& output : outputs) {
    got.push_back(Array::empty(output.spec));
    to.push_back(got.back().data());
  }
  for (const Array& input : parts_->test_inputs) from.push_back(input.data());
  // A context for this one test: it must not outlive this object.
  NativeContext context(std::shared_ptr<const NativeProgram>(std::shared_ptr<void>(), this), 0);
  if (!context.run(from.data(), to.data()))
    throw Error(ErrorKind::value, concat("[load] the self-test of ", name, " failed: ", context.error()));
  check_test(name, test, got);
}

std::shared_ptr<const NativeProgram> NativeProgram::read(const std::string& path, const NativeOptions& options) {
  return std::make_shared<NativeProgram>(ProgramFile::read(path), options);
}
std::shared_ptr<const NativeProgram> NativeProgram::parse(const void* bytes, std::size_t size,
                                                          const NativeOptions& options) {
  return std::make_shared<NativeProgram>(ProgramFile::parse(bytes, size), options);
}

NativeProgram::~NativeProgram() = default;

std::string NativeProgram::to_string() const { return kcore::to_string(parts_->program, &parts_->plan); }

struct NativeContext::Parts {
  Parts(const Program& program, const Plan& plan) : context(program, plan) {}

  Context context;
  std::shared_ptr<void> arena;
  struct Variable {
    Array now, next;     // next only if it is written
    bool shared = true;  // now is the program's
  };
  std::vector<Variable> variables;
  // In whose memory each value that outlives a run is computed: of the variable, or else of the output.
  struct Target {
    int variable = -1, output = -1;
  };
  std::vector<Target> targets;
};

NativeContext::NativeContext(std::shared_ptr<const NativeProgram> program, int threads)
    : program_(std::move(program)), threads_(threads) {
  const Program& p = program_->parts_->program;
  const Plan& plan = program_->parts_->plan;
  parts_ = std::make_unique<Parts>(p, plan);
  parts_->arena = allocate(plan.arena_bytes);
  for (const Context::Use& use : parts_->context.arena)
    use.view->data = static_cast<char*>(parts_->arena.get()) + use.at;
  parts_->targets.resize(plan.fresh.size());
  const auto target = [&](int value) -> Parts::Target* {
    const Place& place = plan.places[plan.roots[value]];
    if (place.where != Where::fresh) return nullptr;
    Parts::Target& found = parts_->targets[place.at];
    return found.variable < 0 && found.output < 0 ? &found : nullptr;
  };
  parts_->variables.resize(p.variables.size());
  for (std::size_t i = 0; i < p.variables.size(); ++i) {
    if (p.variables[i].after < 0) continue;
    if (Parts::Target* free = target(p.variables[i].after)) free->variable = static_cast<int>(i);
    parts_->variables[i].next = Array::empty(p.variables[i].cell->value().spec());
  }
  for (std::size_t i = 0; i < p.outputs.size(); ++i)
    if (Parts::Target* free = target(p.outputs[i])) free->output = static_cast<int>(i);
  reset();
  warm_up();
}

NativeContext::~NativeContext() = default;

void NativeContext::reset() {
  const Program& p = program_->parts_->program;
  for (std::size_t i = 0; i < p.variables.size(); ++i) {
    const Array& value = p.variables[i].cell->value();
    const bool shared = p.variables[i].after < 0;
    parts_->variables[i].now = shared ? value : copy_of(value);
    parts_->variables[i].shared = shared;
  }
}

void NativeContext::compute(const void* const* inputs, void* const* outputs) {
  const Caller caller;
  const ThreadLimit limit(threads_);
  for (const Context::Use& use : parts_->context.input) use.view->data = const_cast<void*>(inputs[use.at]);
  for (const Context::Use& use : parts_->context.variable) use.view->data = parts_->variables[use.at].now.data();
  for (const Context::Use& use : parts_->context.fresh) {
    const Parts::Target& target = parts_->targets[use.at];
    use.view->data = target.variable >= 0 ? parts_->variables[target.variable].next.data() : outputs[target.output];
  }
  parts_->context.run_calls();
}

void NativeContext::commit(const void* const* inputs, void* const* outputs) noexcept {
  const Program& p = program_->parts_->program;
  const Plan& plan = program_->parts_->plan;
  const auto data_of = [&](int value) -> const void* {
    const Place& place = plan.places[plan.roots[value]];
    switch (place.where) {
      case Where::input: return inputs[place.at];
      case Where::variable: return parts_->variables[place.at].now.data();
      case Where::constant: return p.constants[place.at].array.data();
      default: break;
    }
    const Parts::Target& target = parts_->targets[place.at];
    return target.variable >= 0 ? parts_->variables[target.variable].next.data() : outputs[target.output];
  };
  for (std::size_t i = 0; i < p.outputs.size(); ++i)
    copy(outputs[i], data_of(p.outputs[i]), bytes_of(p.values[p.outputs[i]]));
  for (std::size_t i = 0; i < p.variables.size(); ++i)
    if (p.variables[i].after >= 0)
      copy(parts_->variables[i].next.data(), data_of(p.variables[i].after), bytes_of(p.values[p.variables[i].after]));
  for (std::size_t i = 0; i < p.variables.size(); ++i)
    if (p.variables[i].after >= 0) std::swap(parts_->variables[i].now, parts_->variables[i].next);
}

bool NativeContext::run(const void* const* inputs, void* const* outputs) noexcept {
  try {
    compute(inputs, outputs);
  } catch (const std::exception& error) {
    std::snprintf(error_, sizeof error_, "%s", error.what());
    return false;
  }
  commit(inputs, outputs);
  return true;
}

void NativeContext::warm_up() {
  std::vector<Array> outputs;
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const Array& input : program_->parts_->test_inputs) from.push_back(input.data());
  for (const NativeProgram::Argument& output : program_->outputs) {
    outputs.push_back(Array::empty(output.spec));
    to.push_back(outputs.back().data());
  }
  for (int i = 0; i < 2; ++i) {  // the first run finds out how much working memory an op takes, the second has it
    try {
      compute(from.data(), to.data());
    } catch (const Error&) {  // zeros may not be what the program takes
    }
  }
}

std::size_t NativeContext::index_of(const std::string& name) const {
  const auto& variables = program_->variables;
  for (std::size_t i = 0; i < variables.size(); ++i)
    if (variables[i].name == name) return i;
  throw Error(ErrorKind::value, concat("[Context] the program has no variable named ", name));
}

TensorView NativeContext::variable(const std::string& name) const {
  return parts_->variables[index_of(name)].now.view();
}

void NativeContext::set_variable(const std::string& name, const void* value) {
  Parts::Variable& variable = parts_->variables[index_of(name)];
  if (variable.shared) variable.now = Array::empty(variable.now.spec());
  variable.shared = false;
  copy(variable.now.data(), value, bytes_of(variable.now.spec()));
}

void NativeContext::save(const std::string& path) const {
  TensorFile file;
  for (std::size_t i = 0; i < parts_->variables.size(); ++i)
    file.tensors.emplace_back(program_->variables[i].name, parts_->variables[i].now);
  write_tensors(path, file);
}

void NativeContext::load(const std::string& path) {
  const TensorFile file = read_tensors(path);
  std::vector<const Array*> found;
  for (const NativeProgram::Argument& variable : program_->variables) {
    found.push_back(nullptr);
    for (const auto& [name, array] : file.tensors)
      if (name == variable.name) found.back() = &array;
    if (!found.back())
      throw Error(ErrorKind::value, concat("[Context] ", path, " has no tensor named ", variable.name));
    if (found.back()->spec() != variable.spec)
      throw Error(ErrorKind::value,
                  concat("[Context] expected ", variable.name, " of shape ", variable.spec.shape, " and dtype ",
                         variable.spec.dtype, ", received ", found.back()->shape(), " ", found.back()->dtype()));
  }
  for (std::size_t i = 0; i < found.size(); ++i) set_variable(program_->variables[i].name, found[i]->data());
}

}  // namespace kcore
