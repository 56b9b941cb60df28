"""Exponentials, logarithms, roots and the error function, elementwise; each with its gradient right below."""

from __future__ import annotations

import math
from typing import Any

from kcore.autograd import Tensor, apply, vjp
from kcore.ops.elementwise.arithmetic import abs, add, divide, maximum, multiply, negative, power, square, subtract
from kcore.ops.operands import as_float, together
from kcore.ops.public import public


@public
def exp(x: Any) -> Tensor:
    """e to the power of x."""
    return apply("exp", (as_float(x),))


@vjp("exp")
def exp_vjp(node, dy):
    return [multiply(dy, node.outputs[0])]


@public
def expm1(x: Any) -> Tensor:
    """e^x - 1, accurate near 0."""
    return apply("expm1", (as_float(x),))


@vjp("expm1")
def expm1_vjp(node, dy):
    return [multiply(dy, add(node.outputs[0], 1.0))]


@public
def exp2(x: Any) -> Tensor:
    """2 to the power of x."""
    return power(2.0, as_float(x))


@public
def log(x: Any) -> Tensor:
    """The natural logarithm; -inf at 0, NaN below."""
    return apply("log", (as_float(x),))


@vjp("log")
def log_vjp(node, dy):
    return [divide(dy, node.inputs[0])]


@public
def log1p(x: Any) -> Tensor:
    """log(1 + x), accurate near 0."""
    return apply("log1p", (as_float(x),))


@vjp("log1p")
def log1p_vjp(node, dy):
    return [divide(dy, add(node.inputs[0], 1.0))]


@public
def log2(x: Any) -> Tensor:
    """The logarithm to base 2."""
    return multiply(log(x), 1.0 / math.log(2.0))


@public
def log10(x: Any) -> Tensor:
    """The logarithm to base 10."""
    return multiply(log(x), 1.0 / math.log(10.0))


@public
def logaddexp(x1: Any, x2: Any) -> Tensor:
    """log(e^x1 + e^x2) without overflow."""
    x1, x2 = together(x1, x2, floating=True)
    return add(maximum(x1, x2), log1p(exp(negative(abs(subtract(x1, x2))))))


@public
def sqrt(x: Any) -> Tensor:
    """The square root; NaN below 0."""
    return apply("sqrt", (as_float(x),))


@vjp("sqrt")
def sqrt_vjp(node, dy):
    return [divide(multiply(dy, 0.5), node.outputs[0])]


@public
def rsqrt(x: Any) -> Tensor:
    """1 / sqrt(x)."""
    return apply("rsqrt", (as_float(x),))


@vjp("rsqrt")
def rsqrt_vjp(node, dy):
    y = node.outputs[0]
    return [multiply(multiply(dy, -0.5), multiply(y, square(y)))]


@public
def erf(x: Any) -> Tensor:
    """The error function."""
    return apply("erf", (as_float(x),))


@vjp("erf")
def erf_vjp(node, dy):
    return [multiply(dy, multiply(exp(negative(square(node.inputs[0]))), 2.0 / math.sqrt(math.pi)))]
