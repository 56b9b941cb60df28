// The checks shared by all ops, and the two steps every call takes: infer, then run.
#include "ops/op.h"

#include <algorithm>
#include <functional>

namespace kcore {

std::string Infer::name(int i) const {
  const auto& names = def_.inputs;
  if (names.size() == 1 && names[0].back() == '*')
    return names[0].substr(0, names[0].size() - 1) + "[" + std::to_string(i) + "]";
  std::string name = names[static_cast<std::size_t>(i)];
  if (name.back() == '?') name.pop_back();
  return name;
}

void Infer::fail_with(ErrorKind kind, const std::string& message) const {
  throw Error(kind, concat("[", def_.name, "] ", message));
}

void Run::fail_with(const std::string& message) const {
  throw Error(ErrorKind::value, concat("[", def_.name, "] ", message));
}

void Run::require_apart() const {
  const auto overlap = [](const TensorView& a, const TensorView& b) {
    const auto bytes = [](const TensorView& v) { return v.spec.shape.size() * size_of(v.spec.dtype); };
    const char *from_a = static_cast<const char*>(a.data), *from_b = static_cast<const char*>(b.data);
    const std::less<> before;  // pointers into different arrays
    return bytes(a) > 0 && bytes(b) > 0 && before(from_a, from_b + bytes(b)) && before(from_b, from_a + bytes(a));
  };
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    for (std::size_t j = 0; j < inputs_.size(); ++j)
      if (!inputs_[j].absent && overlap(outputs_[i], inputs_[j]))
        fail("expected outputs with memory of their own, received output ", i, " in that of input ", j);
    for (std::size_t j = 0; j < i; ++j)
      if (overlap(outputs_[i], outputs_[j]))
        fail("expected outputs with memory of their own, received output ", i, " in that of output ", j);
  }
}

void Infer::require_rank(int i, int rank) const {
  require(shape(i).rank() == rank, "expected ", name(i), " with ", rank, " dimensions, received shape ", shape(i));
}

void Infer::require_shape(int i, const Shape& expected) const {
  require(shape(i) == expected, "expected ", name(i), " of shape ", expected, ", received ", shape(i));
}

void Infer::require_floating(int i) const {
  if (!is_floating(dtype(i)))
    fail_with(ErrorKind::type, concat("expected ", name(i), " of a float dtype, received ", dtype(i)));
}

void Infer::require_dtype(int i, DType expected) const {
  if (dtype(i) != expected)
    fail_with(ErrorKind::type, concat("expected ", name(i), " of dtype ", expected, ", received ", dtype(i)));
}

void Infer::require_integer(int i) const {
  if (is_floating(dtype(i)) || dtype(i) == DType::boolean)
    fail_with(ErrorKind::type, concat("expected ", name(i), " of an integer dtype, received ", dtype(i)));
}

void Infer::require_same_dtype(int first) const {
  for (int i = first; i < size(); ++i)
    if (has(i) && dtype(i) != dtype(first))
      fail_with(ErrorKind::type, concat("expected ", name(i), " of the same dtype as ", name(first), ", ", dtype(first),
                                        ", received ", dtype(i)));
}

int Infer::axis(std::int64_t axis, int rank) const {
  require(axis >= -rank && axis < rank, "expected an axis in [", -rank, ", ", rank, "), received ", axis);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Shape Infer::broadcast(const Shape& a, const Shape& b) const {
  Shape out;
  const int rank = std::max(a.rank(), b.rank());
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const std::int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    require(da == db || da == 1 || db == 1, "expected shapes that broadcast, received ", a, " and ", b);
    out.push_back(da == 1 ? db : da);
  }
  return out;
}

Specs infer_op(const OpDef& def, const void* attrs, const Views& inputs) {
  const bool variadic = def.inputs.size() == 1 && def.inputs[0].back() == '*';
  Infer c(def, inputs);
  if (variadic) {
    c.require(!inputs.empty(), "expected at least one input, received none");
    for (int i = 0; i < c.size(); ++i) c.require(c.has(i), "expected a tensor for ", c.name(i), ", received None");
  } else {
    if (inputs.size() > def.inputs.size())
      c.fail("expected at most ", def.inputs.size(), " inputs, received ", inputs.size());
    for (std::size_t i = 0; i < def.inputs.size(); ++i)
      c.require(def.inputs[i].back() == '?' || c.has(static_cast<int>(i)), "expected a tensor for ",
                c.name(static_cast<int>(i)), ", received None");
  }
  def.infer(attrs, c);
  return c.take();
}

void run_op(const OpDef& def, const void* attrs, const Views& inputs, const Views& outputs, Workspace& workspace) {
  // No outputs with elements: nothing to compute, and kernels need not think of empty arrays.
  if (std::all_of(outputs.begin(), outputs.end(), [](const TensorView& y) { return y.spec.shape.size() == 0; })) return;
  const auto bfloat16 = [](const TensorView& x) { return !x.absent && x.spec.dtype == DType::bfloat16; };
  workspace.clear();
  if (!def.takes_bfloat16 &&
      (std::any_of(inputs.begin(), inputs.end(), bfloat16) || std::any_of(outputs.begin(), outputs.end(), bfloat16))) {
    run_widened(def, attrs, inputs, outputs, workspace);
  } else {
    Run c(def, inputs, outputs, workspace);
    def.run(attrs, c);
  }
}

}  // namespace kcore
