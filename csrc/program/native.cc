// A run fills in addresses and computes; then what could not be computed in place is copied.
#include "program/native.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>

#include "base/check.h"
#include "base/parallel.h"
#include "program/context.h"
#include "program/file.h"
#include "program/passes.h"
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

// A variable: its memory now, and after a run that writes it.
struct Slot {
  Array now, next;
  bool shared = true;  // now is the program's
};

// A program with the memory of one run at a time; its i-th variable is slots[places[i]].
class Runner {
 public:
  Runner(const Program& program, const Plan& plan, const std::vector<int>& places)
      : program_(program), plan_(plan), places_(places), context_(program, plan), arena_(allocate(plan.arena_bytes)) {
    for (const Context::Use& use : context_.arena) use.view->data = static_cast<char*>(arena_.get()) + use.at;
    targets_.resize(plan.fresh.size());
    for (std::size_t i = 0; i < program.variables.size(); ++i)
      if (program.variables[i].after >= 0)
        if (Target* free = target(program.variables[i].after)) free->variable = places[i];
    for (std::size_t i = 0; i < program.outputs.size(); ++i)
      if (Target* free = target(program.outputs[i])) free->output = static_cast<int>(i);
  }

  void compute(const void* const* inputs, void* const* outputs, const std::vector<Slot>& slots) {
    for (const Context::Use& use : context_.input) use.view->data = const_cast<void*>(inputs[use.at]);
    for (const Context::Use& use : context_.variable) use.view->data = slots[places_[use.at]].now.data();
    for (const Context::Use& use : context_.fresh) use.view->data = data_of(targets_[use.at], outputs, slots);
    context_.run_calls();
  }

  // Copies what could not be computed in place; the variables then have their new values.
  void commit(const void* const* inputs, void* const* outputs, std::vector<Slot>& slots) const noexcept {
    const auto from = [&](int value) -> const void* {
      const Place& place = plan_.places[plan_.roots[value]];
      switch (place.where) {
        case Where::input: return inputs[place.at];
        case Where::variable: return slots[places_[place.at]].now.data();
        case Where::constant: return program_.constants[place.at].array.data();
        default: return data_of(targets_[place.at], outputs, slots);
      }
    };
    for (std::size_t i = 0; i < program_.outputs.size(); ++i)
      copy(outputs[i], from(program_.outputs[i]), bytes_of(program_.values[program_.outputs[i]]));
    const auto& variables = program_.variables;
    for (std::size_t i = 0; i < variables.size(); ++i)
      if (variables[i].after >= 0)
        copy(slots[places_[i]].next.data(), from(variables[i].after), bytes_of(program_.values[variables[i].after]));
    for (std::size_t i = 0; i < variables.size(); ++i)
      if (variables[i].after >= 0) std::swap(slots[places_[i]].now, slots[places_[i]].next);
  }

 private:
  // In whose memory a value that outlives a run is computed: of the variable, or else of the output.
  struct Target {
    int variable = -1, output = -1;
  };
  // Of a value, unless its memory is somebody else's.
  Target* target(int value) {
    const Place& place = plan_.places[plan_.roots[value]];
    if (place.where != Where::fresh) return nullptr;
    Target& found = targets_[place.at];
    return found.variable < 0 && found.output < 0 ? &found : nullptr;
  }
  static void* data_of(const Target& target, void* const* outputs, const std::vector<Slot>& slots) {
    return target.variable >= 0 ? slots[target.variable].next.data() : outputs[target.output];
  }

  const Program& program_;
  const Plan& plan_;
  const std::vector<int>& places_;
  Context context_;
  std::shared_ptr<void> arena_;
  std::vector<Target> targets_;
};

// A program, its plan, and which of the cells its variables are.
struct Planned {
  Program program;
  Plan plan;
  std::vector<int> places;

  // New cells are added.
  void make(Program made, std::vector<std::shared_ptr<Cell>>& cells) {
    program = std::move(made);
    plan = plan_memory(program);
    for (const Program::Variable& variable : program.variables) {
      const auto found = std::find(cells.begin(), cells.end(), variable.cell);
      places.push_back(static_cast<int>(found - cells.begin()));
      if (found == cells.end()) cells.push_back(variable.cell);
    }
  }
};

}  // namespace

struct NativeProgram::Parts {
  Planned step;
  // Computes what depends on variables alone that the step does not write.
  Planned preparation;
  std::vector<std::shared_ptr<Cell>> cells;  // those with names, then those that the preparation writes
  std::vector<Array> test_inputs;            // of the program's specs

  void prepare(std::vector<Slot>& slots) const {
    if (preparation.program.calls.empty()) return;
    for (std::size_t i = 0; i < preparation.places.size(); ++i)
      if (preparation.program.variables[i].after >= 0) {
        Slot& slot = slots[preparation.places[i]];
        slot.next = Array::empty(cells[preparation.places[i]]->value().spec());
        slot.shared = false;
      }
    Runner runner(preparation.program, preparation.plan, preparation.places);
    runner.compute(nullptr, nullptr, slots);
    runner.commit(nullptr, nullptr, slots);
    for (int place : preparation.places) slots[place].next = {};
  }
};

NativeProgram::NativeProgram(const ProgramFile& file, const NativeOptions& options) : parts_(new Parts) {
  const std::string name = options.name.empty() ? file.names().front() : options.name;
  const std::size_t limit = options.memory_limit ? options.memory_limit : machine_memory();
  ProgramFile::Loaded loaded = file.load(name, options.batch, limit);
  for (NamedSpec& input : loaded.inputs) inputs.push_back({std::move(input.name), input.spec});
  for (NamedSpec& output : loaded.outputs) outputs.push_back({std::move(output.name), output.spec});
  for (const Program::Variable& variable : loaded.program.variables) {
    variables.push_back({variable.cell->name(), variable.cell->value().spec()});
    parts_->cells.push_back(variable.cell);
  }
  Program program = optimized(std::move(loaded.program));
  Program steady = take_steady(program);
  parts_->step.make(std::move(program), parts_->cells);
  parts_->preparation.make(std::move(steady), parts_->cells);
  std::vector<Slot> slots;
  for (const auto& cell : parts_->cells) slots.push_back({cell->value(), {}});
  parts_->prepare(slots);
  for (std::size_t i = variables.size(); i < slots.size(); ++i) parts_->cells[i]->set(slots[i].now);

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

namespace {

std::shared_ptr<const NativeProgram> make(const ProgramFile& file, const NativeOptions& options) {
  try {
    return std::make_shared<NativeProgram>(file, options);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::value, "[load] not enough memory for the program");
  }
}

}  // namespace

std::shared_ptr<const NativeProgram> NativeProgram::read(const std::string& path, const NativeOptions& options) {
  return make(ProgramFile::read(path), options);
}
std::shared_ptr<const NativeProgram> NativeProgram::parse(const void* bytes, std::size_t size,
                                                          const NativeOptions& options) {
  return make(ProgramFile::parse(bytes, size), options);
}

NativeProgram::~NativeProgram() = default;

std::string NativeProgram::to_string() const { return kcore::to_string(parts_->step.program, &parts_->step.plan); }

struct NativeContext::Parts {
  explicit Parts(const Planned& step) : runner(step.program, step.plan, step.places) {}
  Runner runner;
  std::vector<Slot> slots;
};

NativeContext::NativeContext(std::shared_ptr<const NativeProgram> program, int threads)
    : program_(std::move(program)), threads_(threads) {
  const Planned& step = program_->parts_->step;
  parts_ = std::make_unique<Parts>(step);
  parts_->slots.resize(program_->parts_->cells.size());
  for (std::size_t i = 0; i < step.places.size(); ++i)
    if (step.program.variables[i].after >= 0)
      parts_->slots[step.places[i]].next = Array::empty(step.program.variables[i].cell->value().spec());
  reset();
  warm_up();
}

NativeContext::~NativeContext() = default;

void NativeContext::reset() {
  const auto& cells = program_->parts_->cells;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    Slot& slot = parts_->slots[i];
    slot.shared = !slot.next.id();
    slot.now = slot.shared ? cells[i]->value() : copy_of(cells[i]->value());
  }
}

void NativeContext::compute(const void* const* inputs, void* const* outputs) {
  const Caller caller;
  const ThreadLimit limit(threads_);
  parts_->runner.compute(inputs, outputs, parts_->slots);
}

bool NativeContext::run(const void* const* inputs, void* const* outputs) noexcept {
  try {
    compute(inputs, outputs);
  } catch (const std::exception& error) {
    std::snprintf(error_, sizeof error_, "%s", error.what());
    return false;
  }
  parts_->runner.commit(inputs, outputs, parts_->slots);
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

TensorView NativeContext::variable(const std::string& name) const { return parts_->slots[index_of(name)].now.view(); }

void NativeContext::set_variable(const std::string& name, const void* value) {
  assign(index_of(name), value);
  program_->parts_->prepare(parts_->slots);
}

void NativeContext::assign(std::size_t index, const void* value) {
  Slot& slot = parts_->slots[index];
  if (slot.shared) slot.now = Array::empty(slot.now.spec());
  slot.shared = false;
  copy(slot.now.data(), value, bytes_of(slot.now.spec()));
}

void NativeContext::save(const std::string& path) const {
  TensorFile file;
  for (std::size_t i = 0; i < program_->variables.size(); ++i)
    file.tensors.emplace_back(program_->variables[i].name, parts_->slots[i].now);
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
  for (std::size_t i = 0; i < found.size(); ++i) assign(i, found[i]->data());
  program_->parts_->prepare(parts_->slots);
}

}  // namespace kcore
