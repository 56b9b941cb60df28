// kcore/program.h on top of native.h. Not in one file with it: to applications `Program` is another class than inside.
#include "kcore/program.h"
#include "program/native.h"

namespace kcore::v1 {
namespace {

std::vector<Argument> arguments(const std::vector<NativeProgram::Argument>& given) {
  std::vector<Argument> result;
  for (const NativeProgram::Argument& argument : given)
    result.push_back({argument.name, argument.spec.dtype, argument.spec.shape});
  return result;
}

NativeOptions native(const LoadOptions& options) {
  return {options.name, options.batch, options.self_test, options.memory_limit};
}

}  // namespace

Program::Program(std::shared_ptr<const NativeProgram> program)
    : program_(std::move(program)),
      inputs_(arguments(program_->inputs)),
      outputs_(arguments(program_->outputs)),
      variables_(arguments(program_->variables)) {}

Program Program::load(const std::string& path, const LoadOptions& options) {
  return Program(NativeProgram::read(path, native(options)));
}
Program Program::parse(const void* bytes, std::size_t size, const LoadOptions& options) {
  return Program(NativeProgram::parse(bytes, size, native(options)));
}
std::string Program::to_string() const { return program_->to_string(); }

Context::Context(const Program& program, int threads) : context_(new NativeContext(program.program_, threads)) {}
Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;
bool Context::run(const void* const* inputs, void* const* outputs) noexcept { return context_->run(inputs, outputs); }
const char* Context::error() const noexcept { return context_->error(); }
void Context::warm_up() { context_->warm_up(); }
void Context::reset() { context_->reset(); }
TensorView Context::variable(const std::string& name) const { return context_->variable(name); }
void Context::set_variable(const std::string& name, const void* value) { context_->set_variable(name, value); }
void Context::save(const std::string& path) const { context_->save(path); }
void Context::load(const std::string& path) { context_->load(path); }

}  // namespace kcore::v1
