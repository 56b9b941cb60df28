// Programs in files: tensors (program/tensors.h) and, as JSON in the metadata, the calls that use them.
//
//   {"version": 1, "programs": {name: {
//     "inputs":    [{"name", "dtype", "shape"}],
//     "variables": [{"name", "read": bool, "after": value or null}],   the tensor of that name is what it holds at
//     first "constants": [tensor], "calls":     [{"op", "inputs": [value or -1], "attrs": {...}, "bodies": [program]}],
//     "outputs":   [{"name", "value"}],
//     "test":      {"inputs": [tensor], "outputs": [tensor], "batch": n, "tolerance": t}}}}
//
// Values are numbered in the order in which they come to be: inputs, variables that are read, constants, outputs of the
// calls. Shapes and dtypes of outputs are not stored: they are inferred again, which checks every call. An integer that
// depends on the size of the batch is {"per_batch": a, "plus": b}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "program/program.h"

namespace kcore {

// An input or output, by name.
struct NamedSpec {
  std::string name;
  TensorSpec spec;
  int batch_axis = -1;  // the dimension that is the size of the batch; -1 if none is, or the size is fixed
};

class ProgramFile {
 public:
  // Check the container, not yet the programs. Throw Error.
  static ProgramFile parse(const void* bytes, std::size_t size);
  static ProgramFile read(const std::string& path);

  std::vector<std::string> names() const;
  // Cells with the values of the file, shared by its programs.
  const std::vector<std::shared_ptr<Cell>>& variables() const;

  struct Loaded {
    Program program;
    std::vector<NamedSpec> inputs, outputs;
  };
  // A program for batches of that size, of which it takes notice if its batch is free, with every call checked. Throws
  // Error; also if the values and constants in all have more than `limit` bytes.
  Loaded load(const std::string& name, std::int64_t batch, std::size_t limit) const;
  bool has_free_batch(const std::string& name) const;

  // What a run with the variables of the file gave where the file was made.
  struct Test {
    std::vector<Array> inputs, outputs;
    std::int64_t batch = 1;
    double tolerance = 0;
  };
  Test test(const std::string& name) const;

 private:
  struct Contents;
  std::shared_ptr<const Contents> contents_;
};

// Throws Error unless the outputs are those of the test: floats up to its tolerance, relative to the largest.
void check_test(const std::string& name, const ProgramFile::Test& test, const std::vector<Array>& outputs);

// What a program is written with. Recorded for several sizes of the batch, which differ in nothing else, it is written
// with a free batch.
struct ProgramToWrite {
  std::string name;
  std::vector<std::shared_ptr<const Program>> programs;
  std::vector<std::int64_t> batches;  // of the programs
  std::vector<std::string> inputs, outputs;
  ProgramFile::Test test;  // of the first program
};
// `variables`: the names in the file of the cells that the programs use.
void write_programs(const std::string& path, const std::vector<ProgramToWrite>& programs,
                    const std::vector<std::pair<std::shared_ptr<Cell>, std::string>>& variables);

}  // namespace kcore
