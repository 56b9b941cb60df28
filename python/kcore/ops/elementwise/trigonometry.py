"""Circular and hyperbolic functions, elementwise; each with its gradient right below."""

from __future__ import annotations

from typing import Any

from kcore.autograd import Tensor, apply, vjp
from kcore.ops.elementwise.arithmetic import add, divide, multiply, negative, square, subtract
from kcore.ops.elementwise.exponential import rsqrt
from kcore.ops.operands import as_float, sum_to, together
from kcore.ops.public import public


@public
def arctan2(x1: Any, x2: Any) -> Tensor:
    """The angle of the point (x2, x1), in (-pi, pi]."""
    return apply("arctan2", together(x1, x2, floating=True))


@vjp("arctan2")
def arctan2_vjp(node, dy):
    a, b = node.inputs
    scale = divide(dy, add(square(a), square(b)))
    return [
        sum_to(multiply(scale, b), a.shape) if node.needs[0] else None,
        sum_to(negative(multiply(scale, a)), b.shape) if node.needs[1] else None,
    ]


@public
def sin(x: Any) -> Tensor:
    """Sine of an angle in radians."""
    return apply("sin", (as_float(x),))


@vjp("sin")
def sin_vjp(node, dy):
    return [multiply(dy, cos(node.inputs[0]))]


@public
def cos(x: Any) -> Tensor:
    """Cosine of an angle in radians."""
    return apply("cos", (as_float(x),))


@vjp("cos")
def cos_vjp(node, dy):
    return [negative(multiply(dy, sin(node.inputs[0])))]


@public
def tan(x: Any) -> Tensor:
    """Tangent of an angle in radians."""
    return apply("tan", (as_float(x),))


@vjp("tan")
def tan_vjp(node, dy):
    return [multiply(dy, add(square(node.outputs[0]), 1.0))]


@public
def arcsin(x: Any) -> Tensor:
    """The angle in [-pi/2, pi/2] whose sine is x."""
    return apply("asin", (as_float(x),))


@vjp("asin")
def arcsin_vjp(node, dy):
    return [multiply(dy, rsqrt(subtract(1.0, square(node.inputs[0]))))]


@public
def arccos(x: Any) -> Tensor:
    """The angle in [0, pi] whose cosine is x."""
    return apply("acos", (as_float(x),))


@vjp("acos")
def arccos_vjp(node, dy):
    return [negative(multiply(dy, rsqrt(subtract(1.0, square(node.inputs[0])))))]


@public
def arctan(x: Any) -> Tensor:
    """The angle in (-pi/2, pi/2) whose tangent is x."""
    return apply("atan", (as_float(x),))


@vjp("atan")
def arctan_vjp(node, dy):
    return [divide(dy, add(square(node.inputs[0]), 1.0))]


@public
def sinh(x: Any) -> Tensor:
    """Hyperbolic sine."""
    return apply("sinh", (as_float(x),))


@vjp("sinh")
def sinh_vjp(node, dy):
    return [multiply(dy, cosh(node.inputs[0]))]


@public
def cosh(x: Any) -> Tensor:
    """Hyperbolic cosine."""
    return apply("cosh", (as_float(x),))


@vjp("cosh")
def cosh_vjp(node, dy):
    return [multiply(dy, sinh(node.inputs[0]))]


@public
def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""
    return apply("tanh", (as_float(x),))


@vjp("tanh")
def tanh_vjp(node, dy):
    return [apply("tanh_grad", (dy, node.outputs[0]))]


@vjp("tanh_grad")
def tanh_grad_vjp(node, ddx):
    dy, y = node.inputs  # dx = dy (1 - y^2)
    return [
        apply("tanh_grad", (ddx, y)) if node.needs[0] else None,
        multiply(multiply(ddx, dy), multiply(y, -2.0)) if node.needs[1] else None,
    ]


@public
def arcsinh(x: Any) -> Tensor:
    """Inverse hyperbolic sine."""
    return apply("asinh", (as_float(x),))


@vjp("asinh")
def arcsinh_vjp(node, dy):
    return [multiply(dy, rsqrt(add(square(node.inputs[0]), 1.0)))]


@public
def arccosh(x: Any) -> Tensor:
    """Inverse hyperbolic cosine."""
    return apply("acosh", (as_float(x),))


@vjp("acosh")
def arccosh_vjp(node, dy):
    return [multiply(dy, rsqrt(subtract(square(node.inputs[0]), 1.0)))]


@public
def arctanh(x: Any) -> Tensor:
    """Inverse hyperbolic tangent."""
    return apply("atanh", (as_float(x),))


@vjp("atanh")
def arctanh_vjp(node, dy):
    return [divide(dy, subtract(1.0, square(node.inputs[0])))]
