"""Arithmetic and rounding, elementwise; each op with its gradient right below."""

from __future__ import annotations

import math
from typing import Any

from kcore.autograd import Tensor, apply, vjp
from kcore.autograd.dtype import is_floating
from kcore.ops.elementwise.logic import (
    cast,
    equal,
    greater,
    greater_equal,
    isfinite,
    isnan,
    less_equal,
    logical_and,
    logical_or,
    where,
)
from kcore.ops.operands import as_float, as_tensor, sum_to, together
from kcore.ops.public import public


@public
def add(x1: Any, x2: Any) -> Tensor:
    """x1 + x2, elementwise with broadcasting.

    >>> kcore.ops.add([1.0, 2.0], 1.0).numpy().tolist()
    [2.0, 3.0]
    """
    return apply("add", together(x1, x2, numeric=True))


@vjp("add")
def add_vjp(node, dy):
    return [sum_to(dy, x.shape) if need else None for x, need in zip(node.inputs, node.needs)]


@public
def subtract(x1: Any, x2: Any) -> Tensor:
    """x1 - x2, elementwise with broadcasting."""
    return apply("subtract", together(x1, x2, numeric=True))


@vjp("subtract")
def subtract_vjp(node, dy):
    a, b = node.inputs
    return [sum_to(dy, a.shape) if node.needs[0] else None, sum_to(negative(dy), b.shape) if node.needs[1] else None]


@public
def multiply(x1: Any, x2: Any) -> Tensor:
    """x1 * x2, elementwise with broadcasting."""
    return apply("multiply", together(x1, x2, numeric=True))


@vjp("multiply")
def multiply_vjp(node, dy):
    a, b = node.inputs
    return [
        sum_to(multiply(dy, b), a.shape) if node.needs[0] else None,
        sum_to(multiply(dy, a), b.shape) if node.needs[1] else None,
    ]


@public
def divide(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, elementwise with broadcasting; integers are divided as floats."""
    return apply("divide", together(x1, x2, floating=True))


@vjp("divide")
def divide_vjp(node, dy):
    a, b = node.inputs
    da = divide(dy, b)
    return [
        sum_to(da, a.shape) if node.needs[0] else None,
        sum_to(negative(divide(multiply(da, a), b)), b.shape) if node.needs[1] else None,
    ]


@public
def true_divide(x1: Any, x2: Any) -> Tensor:
    """x1 / x2: divide by its other name, and that of `/` in the config of a model."""
    return divide(x1, x2)


@public
def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, and 0 where x2 is 0."""
    x1, x2 = together(x1, x2, floating=True)
    zero = equal(x2, 0)
    return where(zero, 0.0, divide(x1, where(zero, 1.0, x2)))


@public
def power(x1: Any, x2: Any) -> Tensor:
    """x1 to the power of x2, elementwise with broadcasting."""
    return apply("power", together(x1, x2, numeric=True))


@vjp("power")
def power_vjp(node, dy):
    a, b = node.inputs
    da = db = None
    if node.needs[0]:
        # x ** 0 has slope 0 even at x = 0, where b * a ** (b - 1) would be 0 * inf.
        slope = multiply(b, power(a, where(equal(b, 0), 1.0, subtract(b, 1))))
        da = sum_to(multiply(dy, slope), a.shape)
    if node.needs[1]:
        slope = multiply(node.outputs[0], apply("log", (where(greater(a, 0), a, 1.0),)))
        db = sum_to(multiply(dy, slope), b.shape)
    return [da, db]


@public
def maximum(x1: Any, x2: Any) -> Tensor:
    """The larger of x1 and x2, elementwise with broadcasting; NaN if either is."""
    return apply("maximum", together(x1, x2, numeric=True))


@public
def minimum(x1: Any, x2: Any) -> Tensor:
    """The smaller of x1 and x2, elementwise with broadcasting; NaN if either is."""
    return apply("minimum", together(x1, x2, numeric=True))


@vjp("maximum")
@vjp("minimum")
def extremum_vjp(node, dy):
    a, b = node.inputs
    y = node.outputs[0]
    # Where both are equal each gets half, so that the sum of the gradients is dy.
    share = divide(dy, add(cast(equal(a, y), dy.dtype), cast(equal(b, y), dy.dtype)))
    return [sum_to(where(equal(x, y), share, 0.0), x.shape) if need else None for x, need in zip((a, b), node.needs)]


@public
def mod(x1: Any, x2: Any) -> Tensor:
    """The remainder of x1 / x2, with the sign of x2."""
    return apply("mod", together(x1, x2, numeric=True))


@vjp("mod")
def mod_vjp(node, dy):
    a, b = node.inputs
    return [
        sum_to(dy, a.shape) if node.needs[0] else None,
        sum_to(negative(multiply(dy, floor(divide(a, b)))), b.shape) if node.needs[1] else None,
    ]


@public
def floor_divide(x1: Any, x2: Any) -> Tensor:
    """x1 / x2 rounded down."""
    return apply("floor_divide", together(x1, x2, numeric=True))


@public
def negative(x: Any) -> Tensor:
    """-x."""
    return apply("negative", together(x, numeric=True))


@vjp("negative")
def negative_vjp(node, dy):
    return [negative(dy)]


@public
def absolute(x: Any) -> Tensor:
    """|x|."""
    return apply("absolute", together(x, numeric=True))


abs = absolute


@vjp("absolute")
def absolute_vjp(node, dy):
    return [multiply(dy, sign(node.inputs[0]))]


@public
def sign(x: Any) -> Tensor:
    """-1, 0 or 1; NaN for NaN."""
    return apply("sign", together(x, numeric=True))


@public
def square(x: Any) -> Tensor:
    """x * x."""
    return apply("square", together(x, numeric=True))


@vjp("square")
def square_vjp(node, dy):
    return [multiply(multiply(dy, node.inputs[0]), 2.0)]


@public
def reciprocal(x: Any) -> Tensor:
    """1 / x."""
    return apply("reciprocal", (as_float(x),))


@vjp("reciprocal")
def reciprocal_vjp(node, dy):
    return [negative(multiply(dy, square(node.outputs[0])))]


@public
def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """x moved into [x_min, x_max]; the bounds are numbers, or tensors that broadcast."""
    x = together(x, numeric=True)[0]
    if isinstance(x_min, (int, float)) and isinstance(x_max, (int, float)) and x_min <= x_max:
        return apply("clip", (x,), {"low": float(x_min), "high": float(x_max)})
    if x_min is not None:
        x = maximum(x, x_min)
    return x if x_max is None else minimum(x, x_max)


@vjp("clip")
def clip_vjp(node, dy):
    x = node.inputs[0]
    inside = logical_and(greater_equal(x, node.attrs["low"]), less_equal(x, node.attrs["high"]))
    return [where(inside, dy, 0.0)]


def _rounded(op: str, x: Any) -> Tensor:
    x = as_tensor(x)
    return apply(op, (x,)) if is_floating(x.dtype) else x


@public
def floor(x: Any) -> Tensor:
    """The largest whole number not above x."""
    return _rounded("floor", x)


@public
def ceil(x: Any) -> Tensor:
    """The smallest whole number not below x."""
    return _rounded("ceil", x)


@public
def trunc(x: Any) -> Tensor:
    """x without its fraction."""
    return _rounded("trunc", x)


@public
def round(x: Any, decimals: int = 0) -> Tensor:
    """The nearest number of `decimals` decimals, halves to even."""
    if decimals == 0:
        return _rounded("round", x)
    scale = 10.0**decimals
    return divide(_rounded("round", multiply(x, scale)), scale)


@public
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |x1 - x2| <= atol + rtol * |x2|."""
    x1, x2 = together(x1, x2, floating=True)
    close = less_equal(abs(subtract(x1, x2)), add(multiply(abs(x2), rtol), atol))
    close = logical_or(logical_and(close, isfinite(x2)), equal(x1, x2))
    return logical_or(close, logical_and(isnan(x1), isnan(x2))) if equal_nan else close


@public
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with NaN and infinities replaced; None stands for the largest and lowest finite numbers."""
    x = as_float(x)
    largest = {"bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38}.get(x.dtype, 1.7976931348623157e308)
    x = where(isnan(x), nan, x)
    x = where(equal(x, math.inf), largest if posinf is None else posinf, x)
    return where(equal(x, -math.inf), -largest if neginf is None else neginf, x)
