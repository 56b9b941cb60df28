// Programs that a model was exported to (model.export, kcore.export.training_program), run without Python:
//
//   const kcore::Program program = kcore::Program::load("digits.kcore");
//   kcore::Context context(program);                    // one for each thread
//   std::vector<float> x(...), y(...);                  // as program.inputs() and outputs() say
//   if (!context.run({x.data()}, {y.data()})) std::puts(context.error());
//
// Loading checks the file completely, runs the self-test in it, and throws kcore::Error. Afterwards run() neither
// allocates, nor throws, nor takes a lock (with one thread: several wait for each other).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "kcore/tensor.h"

namespace kcore {

class NativeProgram;
class NativeContext;

inline namespace v1 {

// An input, an output or a variable.
struct Argument {
  std::string name;
  DType dtype = DType::float32;
  Shape shape;
  // How many bytes the caller's buffer has.
  std::size_t bytes() const { return static_cast<std::size_t>(shape.size() * size_of(dtype)); }
};

struct LoadOptions {
  // Which program, of a file with several; the first one if it is empty.
  std::string name = {};
  // The size of the batch, for a program that was exported with a free one.
  std::int64_t batch = 1;
  // Whether the results for the inputs in the file are compared with those in the file.
  bool self_test = true;
  // Most bytes for all values of a run; 0 is the memory of the machine. A file from a stranger may ask for any.
  std::size_t memory_limit = 0;
};

// What a file holds. Copies share it; any number of threads may use it.
class Program {
 public:
  static Program load(const std::string& path, const LoadOptions& options = {});
  // The same from the bytes of a file, which are not needed afterwards.
  static Program parse(const void* bytes, std::size_t size, const LoadOptions& options = {});

  const std::vector<Argument>& inputs() const { return inputs_; }
  const std::vector<Argument>& outputs() const { return outputs_; }
  // What it reads and writes beside them: weights, the states of recurrent layers, the optimizer's.
  const std::vector<Argument>& variables() const { return variables_; }
  // One line for each call of an op.
  std::string to_string() const;

 private:
  friend class Context;
  explicit Program(std::shared_ptr<const NativeProgram> program);
  std::shared_ptr<const NativeProgram> program_;
  std::vector<Argument> inputs_, outputs_, variables_;
};

// What one thread needs to run a program: working memory, and variables of its own where the program writes them. Those
// that it only reads are shared.
class Context {
 public:
  // Runs the program for once, so that all working memory is there. threads: how many a run may use; 0 is all.
  explicit Context(const Program& program, int threads = 0);
  ~Context();
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;

  // Reads the caller's inputs and writes the caller's outputs, as many and as large as the program says; none overlap.
  // False if it failed because of a value (a label outside of the classes); the variables are then as they were.
  bool run(const void* const* inputs, void* const* outputs) noexcept;
  bool run(std::initializer_list<const void*> inputs, std::initializer_list<void*> outputs) noexcept {
    return run(inputs.begin(), outputs.begin());
  }
  // Why the last run failed.
  const char* error() const noexcept;

  // Some working memory belongs to the thread: call it in another thread than the one that made the context, before the
  // first run there.
  void warm_up();
  // Variables hold what they hold in the file.
  void reset();
  // What a variable holds now; valid until the next run. Throws Error for an unknown name.
  TensorView variable(const std::string& name) const;
  void set_variable(const std::string& name, const void* value);
  // Writes all variables, in the safetensors format. kcore.export.load_weights puts them into a model.
  void save(const std::string& path) const;
  // Reads variables that save, or kcore.export.save_weights, wrote.
  void load(const std::string& path);

 private:
  std::unique_ptr<NativeContext> context_;
};

}  // namespace v1
}  // namespace kcore
