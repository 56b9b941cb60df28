// infer of the three convolution ops.
#include "ops/conv_shape.h"

#include <span>

#include "ops/activation.h"
#include "ops/column_moments.h"

namespace kcore::ops {
namespace {

// Attributes beyond this are mistakes, and below it no product of two overflows.
constexpr std::int64_t kLimit = (std::int64_t{1} << 31) - 1;

using Sizes = std::span<const std::int64_t>;

struct List {
  Sizes values;
};
std::ostream& operator<<(std::ostream& out, const List& list) {
  out << "(";
  for (std::size_t i = 0; i < list.values.size(); ++i) out << (i ? ", " : "") << list.values[i];
  return out << (list.values.size() == 1 ? ",)" : ")");
}

Sizes spatial(const Shape& shape, int first) {
  return {shape.begin() + first, static_cast<std::size_t>(shape.rank() - 2)};
}

template <class Op>
ConvShape describe(const Op& op, Sizes in, Sizes kernel) {
  ConvShape s;
  s.rank = static_cast<int>(in.size());
  s.groups = op.groups;
  for (int i = 0; i < s.rank; ++i) {
    ConvAxis& a = s.axis[3 - s.rank + i];
    a.in = in[i];
    a.kernel = kernel[i];
    if (!op.strides.empty()) a.stride = op.strides[i];
    if (!op.dilations.empty()) a.dilation = op.dilations[i];
    if (!op.pads.empty()) a.before = op.pads[2 * i], a.after = op.pads[2 * i + 1];
    a.out = (a.in + a.before + a.after - a.reach()) / a.stride + 1;
  }
  return s;
}

void check_list(const Infer& c, const char* name, const Ints& values, int count, std::int64_t low) {
  c.require(static_cast<int>(values.size()) == count, "expected ", count, " values for ", name, ", received ",
            List{values});
  for (std::int64_t value : values)
    c.require(value >= low && value <= kLimit, "expected ", name, " between ", low, " and ", kLimit, ", received ",
              List{values});
}

// Ranks and attributes; what describe() relies on.
template <class Op>
void check_attributes(const Op& op, const Infer& c) {
  c.require_floating(0);
  c.require_same_dtype();
  const int rank = c.shape(0).rank() - 2;
  c.require(rank >= 1 && rank <= 3, "expected ", c.name(0),
            " of shape (batch, spatial..., channels) with 1, 2 or 3 spatial ", "dimensions, received shape ",
            c.shape(0));
  c.require(c.shape(1).rank() == rank + 2, "expected ", c.name(1), " with ", rank + 2, " dimensions, received shape ",
            c.shape(1), "; ", c.name(0), " is ", c.shape(0));
  if (!op.strides.empty()) check_list(c, "strides", op.strides, rank, 1);
  if (!op.dilations.empty()) check_list(c, "dilations", op.dilations, rank, 1);
  if (!op.pads.empty()) check_list(c, "pads", op.pads, 2 * rank, -kLimit);
  c.require(op.groups >= 1 && op.groups <= kLimit, "expected groups of at least 1, received ", op.groups);
}

void check_kernel_sizes(const Infer& c, Sizes kernel) {
  for (std::int64_t size : kernel)
    c.require(size >= 1 && size <= kLimit, "expected kernel sizes between 1 and ", kLimit, ", received ", List{kernel});
}

// Padding is less than the kernel's reach (a position sees at least one pixel), and the kernel fits the padded input.
void check_fit(const Infer& c, const ConvShape& s) {
  for (int i = 3 - s.rank; i < 3; ++i) {
    const ConvAxis& a = s.axis[i];
    c.require(a.before < a.reach() && a.after < a.reach(), "expected pads below the kernel's reach of ", a.reach(),
              " in spatial dimension ", i - 3 + s.rank, ", received (", a.before, ", ", a.after, ")");
    c.require(a.in + a.before + a.after >= a.reach(), "expected at least ", a.reach() - a.before - a.after,
              " pixels in spatial dimension ", i - 3 + s.rank, ", received input ", s.x_shape(), " for kernel ",
              s.kernel_shape(), " with dilation ", a.dilation, " and pads (", a.before, ", ", a.after,
              "): the output would be empty");
  }
}

std::string kernel_pattern(int rank, const std::string& channels) {
  constexpr const char* sizes[] = {"k", "kh, kw", "kd, kh, kw"};
  return kcore::concat("(", sizes[rank - 1], ", ", channels, ", filters)");
}

void check_groups(const Infer& c, const ConvShape& s) {
  c.require(s.channels % s.groups == 0, "expected channels divisible by groups, received ", s.channels,
            " channels and ", s.groups, " groups");
  c.require(s.filters % s.groups == 0, "expected filters divisible by groups, received ", s.filters, " filters and ",
            s.groups, " groups");
}

}  // namespace

bool ConvShape::pointwise() const {
  for (const ConvAxis& a : axis)
    if (a.kernel != 1 || a.stride != 1 || a.before != 0 || a.after != 0) return false;
  return true;
}

Shape ConvShape::x_shape() const {
  Shape shape{batch};
  for (int i = 3 - rank; i < 3; ++i) shape.push_back(axis[i].in);
  shape.push_back(channels);
  return shape;
}

Shape ConvShape::y_shape() const {
  Shape shape{batch};
  for (int i = 3 - rank; i < 3; ++i) shape.push_back(axis[i].out);
  shape.push_back(filters);
  return shape;
}

Shape ConvShape::kernel_shape() const {
  Shape shape;
  for (int i = 3 - rank; i < 3; ++i) shape.push_back(axis[i].kernel);
  shape.push_back(group_channels());
  shape.push_back(filters);
  return shape;
}

ConvShape shape_of(const conv& op, const Shape& x, const Shape& kernel) {
  ConvShape s = describe(op, spatial(x, 1), spatial(kernel, 0));
  s.batch = x[0], s.channels = x.last(), s.filters = kernel.last();
  return s;
}

ConvShape shape_of(const conv_input_grad& op, const Shape& dy, const Shape& kernel) {
  ConvShape s = describe(op, op.input_shape, spatial(kernel, 0));
  s.batch = dy[0], s.channels = kernel.last(1) * op.groups, s.filters = kernel.last();
  return s;
}

ConvShape shape_of(const conv_kernel_grad& op, const Shape& x, const Shape& dy) {
  ConvShape s = describe(op, spatial(x, 1), op.kernel_shape);
  s.batch = x[0], s.channels = x.last(), s.filters = dy.last();
  return s;
}

void infer(const conv& op, Infer& c) {
  check_attributes(op, c);
  check_kernel_sizes(c, spatial(c.shape(1), 0));
  const ConvShape s = shape_of(op, c.shape(0), c.shape(1));
  check_groups(c, s);
  c.require(c.shape(1).last(1) == s.group_channels(), "expected kernel of shape ",
            kernel_pattern(s.rank, std::to_string(s.group_channels())), ", received ", c.shape(1), "; input is ",
            c.shape(0), op.groups == 1 ? std::string() : kcore::concat(" in ", op.groups, " groups"));
  check_fit(c, s);
  require_activation(c, op.activation);
  if (c.has(2)) c.require_shape(2, {s.filters});
  if (c.has(3)) c.require_shape(3, s.y_shape());
  c.out(c.dtype(0), s.y_shape());
  if (op.statistics) infer_moments(c, s.filters);
}

void infer(const conv_input_grad& op, Infer& c) {
  check_attributes(op, c);
  check_kernel_sizes(c, spatial(c.shape(1), 0));
  check_list(c, "input_shape", op.input_shape, c.shape(0).rank() - 2, 0);
  const ConvShape s = shape_of(op, c.shape(0), c.shape(1));
  check_groups(c, s);
  check_fit(c, s);
  c.require_shape(0, s.y_shape());
  c.out(c.dtype(0), s.x_shape());
}

void infer(const conv_kernel_grad& op, Infer& c) {
  check_attributes(op, c);
  check_list(c, "kernel_shape", op.kernel_shape, c.shape(0).rank() - 2, 1);
  const ConvShape s = shape_of(op, c.shape(0), c.shape(1));
  check_groups(c, s);
  check_fit(c, s);
  c.require_shape(1, s.y_shape());
  c.out(c.dtype(0), s.kernel_shape());
}

}  // namespace kcore::ops
