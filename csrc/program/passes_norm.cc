// A batch normalization in training reads its input for the statistics and again for the result; an addition and a relu
// after it would read and write that result once or twice more. Here they become its own:
//   y = batch_norm_train(x); z = add(y, shortcut); relu(z)    -> batch_norm_train(x, shortcut, relu)
//   g = relu_grad(dy, relu(y)); batch_norm_grad(g, x)         -> batch_norm_grad(dy, x, scale, shift)
// The gradient knows where y was above zero from x, which it reads anyway. With a shortcut it does not, and g is the
// shortcut's gradient besides: there relu_grad stays. bfloat16, which would be rounded less often, is left as it is.
#include "program/passes.h"

namespace kcore {
namespace {

bool is(const Call& call, const char* name) { return call.def == find_op(name); }

class Norms {
 public:
  explicit Norms(Program& program) : program_(program), count_(count_uses(program)) {
    const std::size_t values = program.values.size();
    writer_.resize(values, -1);
    reader_.resize(values, -1);
    for (std::size_t i = 0; i < program.calls.size(); ++i) {
      for (int value : program.calls[i].outputs) writer_[value] = static_cast<int>(i);
      for (int value : program.calls[i].inputs)
        if (value >= 0) reader_[value] = static_cast<int>(i);
    }
    taken_.resize(program.calls.size());
  }

  void run() {
    for (int i = 0; i < static_cast<int>(program_.calls.size()); ++i) {
      if (is(program_.calls[i], "batch_norm_train")) take_what_follows(i);
      if (is(program_.calls[i], "relu_grad")) give_to_gradient(i);
    }
    std::vector<Call> calls;
    for (std::size_t i = 0; i < taken_.size(); ++i)
      if (!taken_[i]) calls.push_back(std::move(program_.calls[i]));
    program_.calls = std::move(calls);
  }

 private:
  // The only call that reads a value, which is of op `name`; or -1.
  int only_reader(int value, const char* name) const {
    const int at = count_[value] == 1 ? reader_[value] : -1;
    return at >= 0 && is(program_.calls[at], name) ? at : -1;
  }

  // The normalization stays where it is, for its moments may be read right away.
  void take_what_follows(int i) {
    Call& norm = program_.calls[i];
    auto op = std::make_shared<ops::batch_norm_train>(*static_cast<const ops::batch_norm_train*>(norm.attrs.get()));
    std::vector<int> inputs = norm.inputs;
    inputs.resize(4, -1);
    int y = norm.outputs[0];
    const DType dtype = program_.values[y].dtype;
    if (op->activation != "linear" || inputs[3] >= 0 || (dtype != DType::float32 && dtype != DType::float64)) return;
    const int sum = only_reader(y, "add");
    if (sum >= 0) {
      const Call& add = program_.calls[sum];
      const int other = add.inputs[add.inputs[0] == y ? 1 : 0];
      if (writer_[other] < i && program_.values[other].shape == program_.values[y].shape) {
        inputs[3] = other;
        taken_[sum] = true;
        y = add.outputs[0];
      }
    }
    const int relu = only_reader(y, "relu");
    if (relu >= 0) {
      op->activation = std::string("relu");  // not the literal: GCC 12 warns of its copy
      taken_[relu] = true;
      y = program_.calls[relu].outputs[0];
    }
    if (y == norm.outputs[0]) return;
    Call made = make_call(program_, "batch_norm_train", std::move(*op), std::move(inputs));
    made.outputs[0] = y;
    made.outputs[1] = norm.outputs[1];
    made.outputs[2] = norm.outputs[2];
    norm = std::move(made);
    writer_[y] = i;
  }

  void give_to_gradient(int i) {
    const Call& call = program_.calls[i];
    const int from = writer_[call.inputs[1]], grad = only_reader(call.outputs[0], "batch_norm_grad");
    if (from < 0 || grad < 0 || !is(program_.calls[from], "batch_norm_train")) return;
    const Call &norm = program_.calls[from], &old = program_.calls[grad];
    std::vector<int> inputs = old.inputs;
    inputs.resize(7, -1);
    const bool matches = norm.outputs.size() == 5 && norm.outputs[0] == call.inputs[1] && norm.inputs[3] < 0 &&
                         inputs[0] == call.outputs[0] && inputs[1] == norm.inputs[0] && inputs[3] == norm.outputs[1] &&
                         inputs[5] < 0;
    if (!matches) return;
    inputs[0] = call.inputs[0];
    inputs[5] = norm.outputs[3];
    inputs[6] = norm.outputs[4];
    std::vector<int> outputs = old.outputs;
    program_.calls[grad] = make_call(program_, *old.def, old.attrs, std::move(inputs));
    program_.calls[grad].outputs = std::move(outputs);
    reader_[call.inputs[0]] = grad;
    taken_[i] = true;
  }

  Program& program_;
  const std::vector<int> count_;
  std::vector<int> writer_, reader_;  // of each value, the call that makes it and the last one that reads it; or -1
  std::vector<char> taken_;           // calls that are part of another one
};

}  // namespace

void fuse_norms(Program& program) { Norms(program).run(); }

}  // namespace kcore
