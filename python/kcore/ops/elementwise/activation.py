"""Activations with kernels of their own, elementwise; each with its gradient right below."""

from __future__ import annotations

import math
from typing import Any

from kcore.autograd import Tensor, apply, vjp
from kcore.ops.elementwise.arithmetic import add, minimum, multiply, square, subtract
from kcore.ops.elementwise.exponential import exp
from kcore.ops.elementwise.logic import greater, where
from kcore.ops.elementwise.trigonometry import tanh
from kcore.ops.operands import as_float, as_tensor
from kcore.ops.public import public


@public
def relu(x: Any) -> Tensor:
    """max(x, 0)."""
    return apply("relu", (as_tensor(x),))


@vjp("relu")
def relu_vjp(node, dy):
    # The output, not the input: the two are positive together, and only one need be kept.
    return [apply("relu_grad", (dy, node.outputs[0]))]


def _linear_in_dy(op):
    """The vjp of a piecewise linear *_grad op: linear in dy, and flat in x almost everywhere."""

    def rule(node, ddx):
        return [apply(op, (ddx, node.inputs[1]), node.attrs) if node.needs[0] else None, None]

    return rule


vjp("relu_grad")(_linear_in_dy("relu_grad"))
vjp("leaky_relu_grad")(_linear_in_dy("leaky_relu_grad"))


@public
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    return apply("leaky_relu", (as_float(x),), {"negative_slope": float(negative_slope)})


@vjp("leaky_relu")
def leaky_relu_vjp(node, dy):
    return [apply("leaky_relu_grad", (dy, node.inputs[0]), node.attrs)]


@public
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha * (e^x - 1)."""
    return apply("elu", (as_float(x),), {"alpha": float(alpha)})


@vjp("elu")
def elu_vjp(node, dy):
    return [apply("elu_grad", (dy, node.inputs[0]), node.attrs)]


@vjp("elu_grad")
def elu_grad_vjp(node, ddx):
    dy, x = node.inputs
    curve = where(greater(x, 0.0), 0.0, multiply(exp(minimum(x, 0.0)), node.attrs["alpha"]))
    return [
        apply("elu_grad", (ddx, x), node.attrs) if node.needs[0] else None,
        multiply(multiply(ddx, dy), curve) if node.needs[1] else None,
    ]


@public
def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^-x)."""
    return apply("sigmoid", (as_float(x),))


@vjp("sigmoid")
def sigmoid_vjp(node, dy):
    return [apply("sigmoid_grad", (dy, node.outputs[0]))]


@vjp("sigmoid_grad")
def sigmoid_grad_vjp(node, ddx):
    dy, y = node.inputs  # dx = dy y (1 - y)
    return [
        apply("sigmoid_grad", (ddx, y)) if node.needs[0] else None,
        multiply(multiply(ddx, dy), subtract(1.0, multiply(y, 2.0))) if node.needs[1] else None,
    ]


@public
def softplus(x: Any) -> Tensor:
    """log(1 + e^x) without overflow."""
    return apply("softplus", (as_float(x),))


@vjp("softplus")
def softplus_vjp(node, dy):
    return [multiply(dy, sigmoid(node.inputs[0]))]


@public
def silu(x: Any) -> Tensor:
    """x * sigmoid(x)."""
    return apply("silu", (as_float(x),))


swish = silu


@vjp("silu")
def silu_vjp(node, dy):
    return [apply("silu_grad", (dy, node.inputs[0]))]


@vjp("silu_grad")
def silu_grad_vjp(node, ddx):
    dy, x = node.inputs  # dx = dy (s + x s'), s = sigmoid(x)
    s = sigmoid(x)
    slope = multiply(s, subtract(1.0, s))
    curve = multiply(slope, add(2.0, multiply(x, subtract(1.0, multiply(s, 2.0)))))
    return [
        apply("silu_grad", (ddx, x)) if node.needs[0] else None,
        multiply(multiply(ddx, dy), curve) if node.needs[1] else None,
    ]


@public
def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x P(N <= x) for a standard normal N; by tanh if `approximate`. Hendrycks and Gimpel, arXiv 1606.08415."""
    return apply("gelu", (as_float(x),), {"approximate": bool(approximate)})


@vjp("gelu")
def gelu_vjp(node, dy):
    return [apply("gelu_grad", (dy, node.inputs[0]), node.attrs)]


@vjp("gelu_grad")
def gelu_grad_vjp(node, ddx):
    dy, x = node.inputs
    if node.attrs["approximate"]:
        k, c = math.sqrt(2.0 / math.pi), 0.044715
        x2 = square(x)
        t = tanh(multiply(multiply(x, add(1.0, multiply(x2, c))), k))
        du = multiply(add(1.0, multiply(x2, 3 * c)), k)
        sech2 = subtract(1.0, square(t))
        # d/dx of (1 + t) / 2 + x sech2 du / 2
        curve = multiply(sech2, add(du, multiply(x, subtract(multiply(x, 3 * c * k), multiply(t, square(du))))))
    else:
        density = multiply(exp(multiply(square(x), -0.5)), 1.0 / math.sqrt(2.0 * math.pi))
        curve = multiply(density, subtract(2.0, square(x)))
    return [
        apply("gelu_grad", (ddx, x), node.attrs) if node.needs[0] else None,
        multiply(multiply(ddx, dy), curve) if node.needs[1] else None,
    ]
