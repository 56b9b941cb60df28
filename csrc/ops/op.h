// What an op is, and what its family file writes:
//
//   void infer(const matmul& op, Infer& c)   checks inputs and attributes, names the specs of the outputs
//   void run(const matmul& op, Run& c)       computes them: picks the kernel, splits the work
//
// bfloat16 is stored, and computed with in float32. infer treats it as any float dtype; run does not see it: its
// bfloat16 inputs have been widened, and its float32 outputs are rounded afterwards (bfloat16.cc). Only the ops that
// registry.cc lists as taking it read and write it themselves.
//
// Both are in namespace kcore::ops, one pair for each line of ops.def. run is only called with inputs that infer
// accepted, outputs of the specs it named, and at least one element to write.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/array.h"
#include "base/check.h"
#include "base/precision.h"
#include "base/scratch.h"
#include "kcore/ops.h"

namespace kcore {

struct OpDef;

class Infer {
 public:
  Infer(const OpDef& def, const Views& inputs) : def_(def), inputs_(inputs) {}

  int size() const { return static_cast<int>(inputs_.size()); }
  bool has(int i) const { return i < size() && !inputs_[i].absent; }
  const TensorSpec& in(int i) const { return inputs_[i].spec; }
  const Shape& shape(int i) const { return in(i).shape; }
  DType dtype(int i) const { return in(i).dtype; }
  std::string name(int i) const;

  void out(DType dtype, const Shape& shape) { outputs_.push_back({dtype, shape}); }
  void out(const TensorSpec& spec) { outputs_.push_back(spec); }

  // Throws "[op] <parts>".
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    fail_with(ErrorKind::value, concat(parts...));
  }
  template <class... Parts>
  void require(bool condition, const Parts&... parts) const {
    if (!condition) fail(parts...);
  }

  // Checks that most ops need. Each names the input, what was expected and what came.
  void require_rank(int i, int rank) const;
  void require_shape(int i, const Shape& expected) const;
  void require_floating(int i) const;
  void require_dtype(int i, DType dtype) const;
  void require_integer(int i) const;
  // All given inputs from `first` on have the dtype of input `first`.
  void require_same_dtype(int first = 0) const;
  // An axis in [-rank, rank) as one in [0, rank).
  int axis(std::int64_t axis, int rank) const;
  // The shape that a and b broadcast to.
  Shape broadcast(const Shape& a, const Shape& b) const;

  Specs take() { return std::move(outputs_); }

 private:
  [[noreturn]] void fail_with(ErrorKind kind, const std::string& message) const;
  const OpDef& def_;
  const Views& inputs_;
  Specs outputs_;
};

class Run {
 public:
  Run(const OpDef& def, const Views& inputs, const Views& outputs, Workspace& workspace)
      : def_(def), inputs_(inputs), outputs_(outputs), workspace_(workspace) {}

  int size() const { return static_cast<int>(inputs_.size()); }
  bool has(int i) const { return i < size() && !inputs_[i].absent; }
  const TensorSpec& in(int i) const { return inputs_[i].spec; }
  const TensorSpec& out(int i) const { return outputs_[i].spec; }
  const Shape& shape(int i) const { return in(i).shape; }
  DType dtype(int i) const { return in(i).dtype; }

  // What products of float32 must keep.
  Precision precision() const { return precision_; }
  // Says that nothing is lost at a looser precision.
  void allow(Precision precision) { precision_ = std::max(precision_, precision); }

  // Data of the i-th input or output; nullptr for an absent input.
  template <class T = void>
  const T* input(int i) const {
    return i < size() ? static_cast<const T*>(inputs_[i].data) : nullptr;
  }
  template <class T = void>
  T* output(int i) const {
    return static_cast<T*>(outputs_[i].data);
  }

  // Uninitialized, 64-byte aligned memory that lives until the op has run.
  template <class T>
  T* scratch(std::int64_t count) {
    return static_cast<T*>(workspace_.take(static_cast<std::size_t>(count) * sizeof(T)));
  }

  // Computes op with float32 arrays in place of bfloat16: for shapes that an op which takes bfloat16 has no way for.
  template <class Op>
  void run_widened(const Op& op) const {
    run_whole_widened(&op);
  }

  // Refuses outputs in the memory of an input or of each other, for ops that read inputs after they have begun to
  // write. Arrays and programs see to it; views of an application may not.
  void require_apart() const;

  // For what only the values tell (a label outside the classes).
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    fail_with(concat(parts...));
  }

 private:
  void run_whole_widened(const void* attrs) const;
  [[noreturn]] void fail_with(const std::string& message) const;
  const OpDef& def_;
  const Views& inputs_;
  const Views& outputs_;
  Workspace& workspace_;
  Precision precision_ = float32_matmul_precision();
};

// Calls body(T{}) with the C++ type of a dtype that is computed in: any but bfloat16.
template <class Body>
void for_dtype(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::boolean: return body(bool{});
    case DType::uint8: return body(std::uint8_t{});
    case DType::int32: return body(std::int32_t{});
    case DType::uint32: return body(std::uint32_t{});
    case DType::int64: return body(std::int64_t{});
    case DType::float32: return body(float{});
    case DType::float64: return body(double{});
    case DType::bfloat16: break;
  }
  throw Error(ErrorKind::type, "[for_dtype] nothing is computed in bfloat16");
}
template <class Body>
void for_floating(DType dtype, Body&& body) {
  if (dtype == DType::float64) return body(double{});
  return body(float{});
}

// Receives each attribute of an op in the order of ops.def; bindings and files read and write attributes through it.
class AttrVisitor {
 public:
  virtual ~AttrVisitor() = default;
  virtual void visit(const char* name, bool& value) = 0;
  virtual void visit(const char* name, std::int64_t& value) = 0;
  virtual void visit(const char* name, double& value) = 0;
  virtual void visit(const char* name, Ints& value) = 0;
  virtual void visit(const char* name, DType& value) = 0;
  virtual void visit(const char* name, std::string& value) = 0;
};

// A line of ops.def with the types erased. An argument's name ends in '?' if it may be absent; "xs*" is any number.
struct OpDef {
  const char* name;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::shared_ptr<void> (*make_attrs)();
  void (*visit_attrs)(void* attrs, AttrVisitor& visitor);
  void (*infer)(const void* attrs, Infer& c);
  void (*run)(const void* attrs, Run& c);
  bool is_view = false;         // the output is the first input's memory under another shape
  bool takes_bfloat16 = false;  // run reads and writes bfloat16 itself
  // Element i of the output depends on element i of the inputs alone (after broadcasting): the output may be the memory
  // of an input of its shape and dtype.
  bool is_elementwise = false;
  // The same of an optimizer's update: output 0 may be the memory of input 0, output i that of input i + 1.
  bool is_update = false;
};

const std::vector<OpDef>& all_ops();
// nullptr for an unknown name.
const OpDef* find_op(const std::string& name);

// Checks the number of inputs, then infers.
Specs infer_op(const OpDef& def, const void* attrs, const Views& inputs);
// Runs into outputs that have the inferred specs. What the workspace held is gone.
void run_op(const OpDef& def, const void* attrs, const Views& inputs, const Views& outputs, Workspace& workspace);
// Runs with float32 in place of bfloat16: run_op's way for ops that do not take it.
void run_widened(const OpDef& def, const void* attrs, const Views& inputs, const Views& outputs, Workspace& workspace);

namespace ops {
#define KCORE_OP(name, inputs, outputs, attrs) \
  void infer(const name& op, Infer& c);        \
  void run(const name& op, Run& c);
#include "kcore/ops.def"
#undef KCORE_OP
}  // namespace ops

}  // namespace kcore
