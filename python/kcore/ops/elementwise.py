"""Elementwise ops, each with its gradient right below. x and y (...) of one shape; a and b broadcast."""

from __future__ import annotations

import math
from typing import Any

from kcore.autograd import Tensor, apply, standardize_dtype, vjp
from kcore.autograd.dtype import is_floating
from kcore.ops.operands import as_float, as_tensor, cast_to, full_of, sum_to, together
from kcore.ops.public import public

# --- arithmetic -------------------------------------------------------------------------------------------------------


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
        slope = multiply(node.outputs[0], log(where(greater(a, 0), a, 1.0)))
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


# --- exponentials and roots -------------------------------------------------------------------------------------------


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


# --- trigonometry -----------------------------------------------------------------------------------------------------


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


@public
def erf(x: Any) -> Tensor:
    """The error function."""
    return apply("erf", (as_float(x),))


@vjp("erf")
def erf_vjp(node, dy):
    return [multiply(dy, multiply(exp(negative(square(node.inputs[0]))), 2.0 / math.sqrt(math.pi)))]


# --- rounding, with gradient 0 ----------------------------------------------------------------------------------------


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


# --- activations with kernels of their own ----------------------------------------------------------------------------


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


# --- comparisons, logic, choice ---------------------------------------------------------------------------------------


@public
def equal(x1: Any, x2: Any) -> Tensor:
    """x1 == x2 as bool."""
    return apply("equal", together(x1, x2))


@public
def not_equal(x1: Any, x2: Any) -> Tensor:
    """x1 != x2 as bool."""
    return apply("not_equal", together(x1, x2))


@public
def less(x1: Any, x2: Any) -> Tensor:
    """x1 < x2 as bool."""
    return apply("less", together(x1, x2))


@public
def less_equal(x1: Any, x2: Any) -> Tensor:
    """x1 <= x2 as bool."""
    return apply("less_equal", together(x1, x2))


@public
def greater(x1: Any, x2: Any) -> Tensor:
    """x1 > x2 as bool."""
    return apply("greater", together(x1, x2))


@public
def greater_equal(x1: Any, x2: Any) -> Tensor:
    """x1 >= x2 as bool."""
    return apply("greater_equal", together(x1, x2))


def _logical(op: str, *xs: Any) -> Tensor:
    return apply(op, [cast_to(as_tensor(x), "bool") for x in xs])


@public
def logical_and(x1: Any, x2: Any) -> Tensor:
    """Whether both are true (not 0)."""
    return _logical("logical_and", x1, x2)


@public
def logical_or(x1: Any, x2: Any) -> Tensor:
    """Whether either is true (not 0)."""
    return _logical("logical_or", x1, x2)


@public
def logical_xor(x1: Any, x2: Any) -> Tensor:
    """Whether just one is true (not 0)."""
    return _logical("logical_xor", x1, x2)


@public
def logical_not(x: Any) -> Tensor:
    """Whether x is false (0)."""
    return _logical("logical_not", x)


def _predicate(op: str, x: Any, of_integers: bool) -> Tensor:
    x = as_tensor(x)
    return apply(op, (x,)) if is_floating(x.dtype) else full_of(x.shape, of_integers, "bool")


@public
def isnan(x: Any) -> Tensor:
    """Whether x is NaN."""
    return _predicate("isnan", x, False)


@public
def isinf(x: Any) -> Tensor:
    """Whether x is infinite."""
    return _predicate("isinf", x, False)


@public
def isfinite(x: Any) -> Tensor:
    """Whether x is neither infinite nor NaN."""
    return _predicate("isfinite", x, True)


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
    largest = 3.4028234663852886e38 if x.dtype == "float32" else 1.7976931348623157e308
    x = where(isnan(x), nan, x)
    x = where(equal(x, math.inf), largest if posinf is None else posinf, x)
    return where(equal(x, -math.inf), -largest if neginf is None else neginf, x)


@public
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where `condition` is true, else x2; with only a condition, the indices where it is true (as `nonzero`)."""
    condition = cast_to(as_tensor(condition), "bool")
    if x1 is None and x2 is None:
        from kcore.ops.sort import nonzero  # a sibling family, wanted in this one case

        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("[where] expected both x1 and x2, or neither")
    return apply("where", (condition, *together(x1, x2)))


@vjp("where")
def where_vjp(node, dy):
    condition, a, b = node.inputs
    zero = full_of((), 0.0, dy.dtype)
    return [
        None,
        sum_to(apply("where", (condition, dy, zero)), a.shape) if node.needs[1] else None,
        sum_to(apply("where", (condition, zero, dy)), b.shape) if node.needs[2] else None,
    ]


@public
def cast(x: Any, dtype: Any) -> Tensor:
    """x in another dtype. Floats are truncated to integers; everything but 0 is True.

    >>> kcore.ops.cast([1.7, -1.7], "int32").numpy().tolist()
    [1, -1]
    """
    return cast_to(as_tensor(x), standardize_dtype(dtype))


@vjp("cast")
def cast_vjp(node, dy):
    return [cast_to(dy, node.inputs[0].dtype)]
