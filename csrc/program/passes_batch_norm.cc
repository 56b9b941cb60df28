// y = conv(x, k, bias); z = batch_norm_inference(y, mean, variance, gamma, beta) is a convolution with another kernel
// and bias: with scale = gamma / sqrt(variance + epsilon), k scale and beta + (bias - mean) scale. Both depend on
// variables and constants alone, so they are computed when those change, not in each run (executor.h).
#include "program/passes.h"

namespace kcore {
namespace {

int given(const Call& call, std::size_t i) { return i < call.inputs.size() ? call.inputs[i] : -1; }

class Folding {
 public:
  explicit Folding(Program& program)
      : program_(program),
        count_(count_uses(program)),
        steady_(steady_values(program)),
        writer_(program.values.size()) {
    for (const Call& call : program.calls)
      for (int value : call.outputs) writer_[value] = &call;
  }

  void run() {
    for (const Call& call : program_.calls)
      if (const Call* product = product_before(call))
        fold(*product, call);
      else
        calls_.push_back(call);
    program_.calls = std::move(calls_);
    remove_unused(program_);  // the products, which nobody reads now
  }

 private:
  bool all_steady(const Call& call) const {
    for (std::size_t i = 1; i < call.inputs.size(); ++i)
      if (call.inputs[i] >= 0 && !steady_[call.inputs[i]]) return false;
    return true;
  }

  // What `norm` normalizes the result of, if that can take the normalization over; or null.
  const Call* product_before(const Call& norm) const {
    if (norm.def != find_op("batch_norm_inference") || !all_steady(norm)) return nullptr;
    const int y = norm.inputs[0];
    const Call* call = count_[y] == 1 ? writer_[y] : nullptr;
    const DType dtype = program_.values[y].dtype;
    if (!call || (dtype != DType::float32 && dtype != DType::float64) || !all_steady(*call) || given(*call, 3) >= 0)
      return nullptr;
    if (call->def == find_op("conv")) {
      const auto& op = *static_cast<const ops::conv*>(call->attrs.get());
      return op.activation == "linear" && !op.statistics ? call : nullptr;
    }
    if (call->def == find_op("matmul")) {
      const auto& op = *static_cast<const ops::matmul*>(call->attrs.get());
      return op.activation == "linear" && !op.statistics && !op.transpose_b &&
                     program_.values[call->inputs[1]].shape.rank() == 2
                 ? call
                 : nullptr;
    }
    return nullptr;
  }

  void fold(const Call& product, const Call& norm) {
    const int gamma = given(norm, 3), beta = given(norm, 4), bias = given(product, 2);
    const double epsilon = static_cast<const ops::batch_norm_inference*>(norm.attrs.get())->epsilon;
    int scale = add("rsqrt", ops::rsqrt{}, {add("add", ops::add{}, {norm.inputs[2], number(norm.inputs[2], epsilon)})});
    if (gamma >= 0) scale = add("multiply", ops::multiply{}, {scale, gamma});
    const int mean = bias < 0 ? norm.inputs[1] : add("subtract", ops::subtract{}, {norm.inputs[1], bias});
    const int shift = add("multiply", ops::multiply{}, {mean, scale});
    const int kernel = add("multiply", ops::multiply{}, {product.inputs[1], scale});
    const int start =
        beta < 0 ? add("negative", ops::negative{}, {shift}) : add("subtract", ops::subtract{}, {beta, shift});
    Call made = make_call(program_, *product.def, product.attrs, {product.inputs[0], kernel, start});
    made.outputs = norm.outputs;
    calls_.push_back(std::move(made));
  }

  template <class Op>
  int add(const char* name, Op op, std::vector<int> inputs) {
    calls_.push_back(make_call(program_, name, op, std::move(inputs)));
    return calls_.back().outputs[0];
  }

  // A constant of the dtype of `like`.
  int number(int like, double x) {
    Array array = Array::empty({program_.values[like].dtype, {}});
    if (array.dtype() == DType::float64)
      *static_cast<double*>(array.data()) = x;
    else
      *static_cast<float*>(array.data()) = static_cast<float>(x);
    const int value = static_cast<int>(program_.values.size());
    program_.values.push_back(array.spec());
    program_.constants.push_back({value, std::move(array)});
    return value;
  }

  Program& program_;
  std::vector<int> count_;
  std::vector<char> steady_;
  std::vector<const Call*> writer_;
  std::vector<Call> calls_;
};

}  // namespace

void fold_batch_norms(Program& program) { Folding(program).run(); }

}  // namespace kcore
