// matmul and conv add a bias and a residual and apply an activation while a tile of their result is hot. Here the calls
// that do this after them become theirs: y = matmul(a, b); z = add(y, bias); relu(z) -> matmul(a, b, bias, relu).
//
// The product moves to where the call was that it takes over, so that a residual made in between is there. Sums are
// rounded as before: bfloat16, which would be rounded less often, is left as it is.
#include <list>

#include "program/passes.h"

namespace kcore {
namespace {

bool is(const Call& call, const char* name) { return call.def == find_op(name); }

// What the product ops have in common; their attributes are copied, for calls of other programs may share them.
struct Product {
  std::shared_ptr<void> attrs;
  std::string* activation = nullptr;

  explicit Product(const Call& call) {
    if (is(call, "matmul")) {
      auto op = std::make_shared<ops::matmul>(*static_cast<const ops::matmul*>(call.attrs.get()));
      if (!op->statistics) activation = &op->activation;
      attrs = std::move(op);
    } else if (is(call, "conv")) {
      auto op = std::make_shared<ops::conv>(*static_cast<const ops::conv*>(call.attrs.get()));
      if (!op->statistics) activation = &op->activation;
      attrs = std::move(op);
    }
  }
  // Whether something may follow.
  bool is_open() const { return activation && *activation == "linear"; }
};

class Fusion {
 public:
  explicit Fusion(Program& program)
      : program_(program), count_(count_uses(program)), calls_(program.calls.begin(), program.calls.end()) {
    writer_.resize(program.values.size(), calls_.end());
    for (auto call = calls_.begin(); call != calls_.end(); ++call)
      for (int value : call->outputs) writer_[value] = call;
  }

  void run() {
    for (auto call = calls_.begin(); call != calls_.end(); ++call) {
      if (is(*call, "add"))
        take_sum(call, call->inputs[0], call->inputs[1]) || take_sum(call, call->inputs[1], call->inputs[0]);
      else
        for (const char* activation : {"relu", "sigmoid", "tanh"})
          if (is(*call, activation)) {
            take_activation(call, activation);
            break;
          }
    }
    program_.calls.assign(calls_.begin(), calls_.end());
    remove_unused(program_);  // reshapes between a product and what it took over
  }

 private:
  using At = std::list<Call>::iterator;

  // The product that `value` is the result of, perhaps under other shapes, if nobody else wants that; or the end.
  At product_of(int value) {
    for (;;) {
      const At call = count_[value] == 1 ? writer_[value] : calls_.end();
      if (call == calls_.end()) return call;
      if (!call->def->is_view) {
        const TensorSpec& spec = program_.values[value];
        const bool exact = spec.dtype == DType::float32 || spec.dtype == DType::float64;
        return exact && spec.shape.size() > 0 && Product(*call).is_open() ? call : calls_.end();
      }
      value = call->inputs[0];
    }
  }

  // add(y, other) at `at`.
  bool take_sum(At at, int y, int other) {
    const At product = product_of(y);
    if (product == calls_.end()) return false;
    const Shape shape = program_.values[product->outputs[0]].shape;
    const Shape seen = program_.values[y].shape;  // as the addition sees the product
    const Shape addend = program_.values[other].shape;
    std::vector<int> inputs = product->inputs;
    inputs.resize(4, -1);
    if (program_.values[at->outputs[0]].shape != seen || inputs[3] >= 0) return false;
    if (addend == seen) {
      inputs[3] = reshaped(at, other, shape);
    } else if (inputs[2] < 0 && addend.size() == shape.last() && is_trailing(addend, seen)) {
      inputs[2] = reshaped(at, other, Shape{shape.last()});
    } else {
      return false;
    }
    replace(at, product, Product(*product).attrs, std::move(inputs));
    return true;
  }

  void take_activation(At at, const char* activation) {
    const At product = product_of(at->inputs[0]);
    if (product == calls_.end()) return;
    const Product made(*product);
    *made.activation = activation;
    replace(at, product, made.attrs, product->inputs);
  }

  // Whether the addend repeats over the leading dimensions, and over nothing else.
  static bool is_trailing(const Shape& addend, const Shape& seen) {
    int from = 0;
    while (from < addend.rank() && addend[from] == 1) ++from;
    for (int i = addend.rank() - 1; i >= from; --i)
      if (addend[i] != seen.last(addend.rank() - 1 - i)) return false;
    return true;
  }

  // The value under another shape, for the call at `at`.
  int reshaped(At at, int value, const Shape& shape) {
    if (program_.values[value].shape == shape) return value;
    const At view = calls_.insert(at, make_call(program_, "reshape", reshape_to(shape), {value}));
    written(view, 1);
    return view->outputs[0];
  }
  static ops::reshape reshape_to(const Shape& shape) { return {.shape = {shape.begin(), shape.end()}}; }

  // The product moves to the call at `at`, whose result becomes its own, under another shape where need be.
  void replace(At at, At product, std::shared_ptr<void> attrs, std::vector<int> inputs) {
    const int result = at->outputs[0];
    const OpDef& def = *product->def;
    calls_.erase(product);
    Call made = make_call(program_, def, std::move(attrs), std::move(inputs));
    const int y = made.outputs[0];
    if (program_.values[y].shape != program_.values[result].shape) {
      written(calls_.insert(at, std::move(made)), 1);
      made = make_call(program_, "reshape", reshape_to(program_.values[result].shape), {y});
    }
    made.outputs = {result};
    *at = std::move(made);
    written(at, count_[result]);
  }

  void written(At call, int uses) {
    writer_.resize(program_.values.size(), calls_.end());
    count_.resize(program_.values.size());
    for (int value : call->outputs) writer_[value] = call, count_[value] = uses;
  }

  Program& program_;
  std::vector<int> count_;
  std::list<Call> calls_;
  std::vector<At> writer_;  // the call that a value is an output of, or the end
};

}  // namespace

void fuse_epilogues(Program& program) { Fusion(program).run(); }

}  // namespace kcore
