// ops.def as a table, and the typed functions of kcore/ops.h on top of it.
#include <sstream>
#include <unordered_map>

#include "ops/op.h"

namespace kcore {
namespace {

std::vector<std::string> words(const char* text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

template <class Op, class... Listed>
constexpr bool is_one_of = (std::is_same_v<Op, Listed> || ...);

#define KCORE_ATTR(type, name, default_value) visitor.visit(#name, op.name);
#define KCORE_OP(name, inputs, outputs, attrs) \
  void visit_attrs([[maybe_unused]] ops::name& op, [[maybe_unused]] AttrVisitor& visitor) { attrs }
#include "kcore/ops.def"
#undef KCORE_OP
#undef KCORE_ATTR

#define KCORE_UNARY(name, dtypes, expression) || std::is_same_v<Op, ops::name>
#define KCORE_BINARY KCORE_UNARY
template <class Op>
constexpr bool is_elementwise = is_one_of<Op, ops::clip, ops::gelu, ops::gelu_grad>
#include "kernels/elementwise/binary.inc"
#include "kernels/elementwise/unary.inc"
    ;
#undef KCORE_UNARY
#undef KCORE_BINARY

// Ops that read and write bfloat16 themselves: elementwise ones, products, conversions, copies of elements of any two
// bytes, and what works on tiles (tile.h).
template <class Op>
constexpr bool takes_bfloat16 =
    is_elementwise<Op> ||
    is_one_of<Op, ops::cast, ops::where, ops::reshape, ops::transpose, ops::broadcast_to, ops::concat, ops::slice,
              ops::place, ops::roll, ops::full, ops::take, ops::take_along_axis, ops::gather_nd, ops::slice_update,
              ops::matmul, ops::conv, ops::conv_input_grad, ops::conv_kernel_grad, ops::sum, ops::mean, ops::prod,
              ops::max, ops::min, ops::any, ops::all, ops::argmax, ops::argmin, ops::softmax, ops::softmax_grad,
              ops::log_softmax, ops::log_softmax_grad, ops::layer_norm, ops::layer_norm_grad, ops::batch_norm_train,
              ops::batch_norm_grad, ops::batch_norm_inference>;

template <class Op>
OpDef define(const char* name, const char* inputs, const char* outputs) {
  return {name,
          words(inputs),
          words(outputs),
          []() -> std::shared_ptr<void> { return std::make_shared<Op>(); },
          [](void* attrs, AttrVisitor& visitor) { visit_attrs(*static_cast<Op*>(attrs), visitor); },
          [](const void* attrs, Infer& c) { infer(*static_cast<const Op*>(attrs), c); },
          [](const void* attrs, Run& c) { run(*static_cast<const Op*>(attrs), c); },
          std::is_same_v<Op, ops::reshape>,
          takes_bfloat16<Op>,
          is_elementwise<Op> || is_one_of<Op, ops::where>,
          is_one_of<Op, ops::sgd, ops::rmsprop, ops::adagrad, ops::adadelta, ops::adam, ops::adamax, ops::nadam,
                    ops::lion, ops::ftrl>};
}

}  // namespace

const std::vector<OpDef>& all_ops() {
  static const std::vector<OpDef> table = {
#define KCORE_OP(name, inputs, outputs, attrs) define<ops::name>(#name, inputs, outputs),
#include "kcore/ops.def"
#undef KCORE_OP
  };
  return table;
}

const OpDef* find_op(const std::string& name) {
  static const std::unordered_map<std::string, const OpDef*> index = [] {
    std::unordered_map<std::string, const OpDef*> map;
    for (const OpDef& def : all_ops()) map[def.name] = &def;
    return map;
  }();
  auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

namespace {

void run_checked(const char* name, const void* op, const Views& inputs, const Views& outputs) {
  const OpDef& def = *find_op(name);
  const Specs specs = infer_op(def, op, inputs);
  Infer c(def, inputs);
  c.require(specs.size() == outputs.size(), "expected ", specs.size(), " outputs, received ", outputs.size());
  for (std::size_t i = 0; i < specs.size(); ++i)
    c.require(outputs[i].spec == specs[i], "expected output ", i, " of ", specs[i].dtype, " ", specs[i].shape,
              ", received ", outputs[i].spec.dtype, " ", outputs[i].spec.shape);
  Workspace workspace;
  run_op(def, op, inputs, outputs, workspace);
}

}  // namespace

#define KCORE_OP(name, inputs, outputs, attrs)                                                     \
  Specs infer(const ops::name& op, const Views& in) { return infer_op(*find_op(#name), &op, in); } \
  void run(const ops::name& op, const Views& in, const Views& out) { run_checked(#name, &op, in, out); }
#include "kcore/ops.def"
#undef KCORE_OP

}  // namespace kcore
