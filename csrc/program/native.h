// What kcore/program.h offers to applications, in terms of programs, plans and contexts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/array.h"

namespace kcore {

class ProgramFile;

struct NativeOptions {
  std::string name;
  std::int64_t batch = 1;
  bool self_test = true;
  std::size_t memory_limit = 0;
};

class NativeProgram {
 public:
  struct Argument {
    std::string name;
    TensorSpec spec;
  };
  // Throw Error.
  static std::shared_ptr<const NativeProgram> read(const std::string& path, const NativeOptions& options);
  static std::shared_ptr<const NativeProgram> parse(const void* bytes, std::size_t size, const NativeOptions& options);
  NativeProgram(const ProgramFile& file, const NativeOptions& options);
  ~NativeProgram();

  std::vector<Argument> inputs, outputs, variables;
  std::string to_string() const;

 private:
  friend class NativeContext;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Variables that are written have memory twice, before and after a run, which change places when it has succeeded.
class NativeContext {
 public:
  NativeContext(std::shared_ptr<const NativeProgram> program, int threads);
  ~NativeContext();

  bool run(const void* const* inputs, void* const* outputs) noexcept;
  const char* error() const noexcept { return error_; }
  void warm_up();
  void reset();
  TensorView variable(const std::string& name) const;
  void set_variable(const std::string& name, const void* value);
  void save(const std::string& path) const;
  void load(const std::string& path);

 private:
  struct Parts;
  void compute(const void* const* inputs, void* const* outputs);
  void assign(std::size_t index, const void* value);
  std::size_t index_of(const std::string& name) const;

  std::shared_ptr<const NativeProgram> program_;
  std::unique_ptr<Parts> parts_;
  int threads_;
  char error_[512] = "";
};

}  // namespace kcore
