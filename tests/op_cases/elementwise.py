"""Elementwise ops against NumPy in float64."""

import math

import numpy as np

from .case import Case, booleans, distinct, integers, normal, positive

_erf = np.vectorize(math.erf, otypes=[np.float64])
_own = "polynomial of at most 3 ULP, and its gradient"
_libm = "own float32, C library's float64; tests/test_math.py has the bounds"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(x))


def gelu(x, approximate=True):
    if approximate:
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + _erf(x / np.sqrt(2)))


def elu_grad(dy, x, alpha):
    return dy * np.where(x > 0, 1, alpha * np.exp(x))


def silu_grad(dy, x):
    return dy * sigmoid(x) * (1 + x * (1 - sigmoid(x)))


def gelu_grad(dy, x, approximate):
    if approximate:
        k, c = np.sqrt(2 / np.pi), 0.044715
        t = np.tanh(k * (x + c * x**3))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * c * x * x))
    return dy * (0.5 * (1 + _erf(x / np.sqrt(2))) + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))


X = distinct(7, 9)  # odd sizes leave a tail behind the vector loops
UNIT = distinct(3, 5) * 0.9  # inside (-1, 1)

CASES = [
    Case("exp", [X], np.exp, ulps=4, why=_own),
    Case("expm1", [X], np.expm1, why=_libm),
    Case("log", [positive(5, 7)], np.log, why=_own),
    Case("log1p", [positive(5, 7)], np.log1p, why=_libm),
    Case("sqrt", [positive(5, 7)], np.sqrt),
    Case("rsqrt", [positive(5, 7)], lambda x: 1 / np.sqrt(x)),
    Case("reciprocal", [positive(5, 7)], lambda x: 1 / x),
    Case("sin", [X], np.sin, why=_libm),
    Case("cos", [X], np.cos, why=_libm),
    Case("tan", [UNIT], np.tan, why=_libm),
    Case("asin", [UNIT], np.arcsin, why=_libm),
    Case("acos", [UNIT], np.arccos, why=_libm),
    Case("atan", [X], np.arctan, why=_libm),
    Case("sinh", [X], np.sinh, why=_libm),
    Case("cosh", [X], np.cosh, why=_libm),
    Case("tanh", [X], np.tanh, why=_own),
    Case("asinh", [X], np.arcsinh, why=_libm),
    Case("acosh", [1 + positive(5, 7)], np.arccosh, why=_libm),
    Case("atanh", [UNIT], np.arctanh, why=_libm),
    Case("erf", [X], _erf, why=_libm),
    Case("floor", [X], np.floor, grad=False),
    Case("ceil", [X], np.ceil, grad=False),
    Case("trunc", [X], np.trunc, grad=False),
    Case("round", [np.array([0.5, 1.5, 2.5, -0.5, -1.2])], np.round, grad=False),
    Case("sigmoid", [X], sigmoid, why=_own),
    Case("softplus", [X], lambda x: np.log1p(np.exp(x)), why=_libm),
    Case("silu", [X], lambda x: x * sigmoid(x), why=_own),
    Case("elu", [X], elu, attrs={"alpha": 0.7}, why=_libm),
    Case(
        "leaky_relu",
        [X],
        lambda x, negative_slope: np.where(x > 0, x, negative_slope * x),
        attrs={"negative_slope": 0.1},
    ),
    Case(
        "gelu", [X], gelu, attrs={"approximate": True}, ulps=8, why="rounding of the argument, twice for the slope of x"
    ),
    Case(
        "gelu",
        [X],
        gelu,
        attrs={"approximate": False},
        ulps=4,
        why=_own,
        name="erf",
    ),
    Case("negative", [X], np.negative),
    Case("negative", [integers(-9, 9, 6)], np.negative, grad=False, name="int32"),
    Case("absolute", [X], np.abs),
    Case("sign", [X], np.sign, grad=False),
    Case("square", [X], np.square),
    Case("relu", [X], lambda x: np.maximum(x, 0)),
    Case("isnan", [np.array([1.0, np.nan, np.inf])], np.isnan, grad=False),
    Case("isinf", [np.array([1.0, np.nan, np.inf, -np.inf])], np.isinf, grad=False),
    Case("isfinite", [np.array([1.0, np.nan, np.inf, -np.inf])], np.isfinite, grad=False),
    Case("logical_not", [booleans(9)], np.logical_not, grad=False),
    Case("clip", [X], lambda x, low, high: np.clip(x, low, high), attrs={"low": -1.02, "high": 0.83}),
    Case("cast", [X], lambda x, dtype: x, attrs={"dtype": "float64"}, why="exact"),
    Case("cast", [X * 3], lambda x, dtype: x.astype(dtype), attrs={"dtype": "int32"}, grad=False, name="int32"),
    Case("cast", [integers(-2, 3, 9)], lambda x, dtype: x != 0, attrs={"dtype": "bool"}, grad=False, name="bool"),
    # broadcasting: equal shapes, scalars on either side, rows, columns, middle dimensions
    Case("add", [X, normal(7, 9)], np.add),
    Case("add", [normal(4, 5, 3), normal(3)], np.add, name="row"),
    Case("add", [normal(70, 13, 3), normal(3)], np.add, name="many short rows"),
    Case("add", [normal(4, 1, 3), normal(5, 1)], np.add, name="outer"),
    Case("add", [normal(), normal(3, 2)], np.add, name="scalar"),
    Case("add", [normal(2, 1, 4, 1, 3), normal(1, 5, 4, 2, 1)], np.add, name="five"),
    Case("add", [integers(-5, 5, 4, 1), integers(-5, 5, 1, 6)], np.add, grad=False, name="int32"),
    Case("subtract", [normal(4, 1), normal(1, 5)], np.subtract),
    Case("multiply", [normal(4, 3), normal(3)], np.multiply),
    Case("divide", [normal(4, 3), positive(4, 1)], np.divide),
    Case("power", [positive(4, 3), normal(4, 1)], np.power, ulps=8, why=_libm),
    Case("maximum", [distinct(4, 3), distinct(4, 3, key=1) + 0.05], np.maximum),
    Case("minimum", [distinct(4, 3), distinct(4, 3, key=1) + 0.05], np.minimum),
    Case(
        "mod", [distinct(6, 5), positive(5)], np.mod, scale=lambda a, b: np.abs(a).max(), why="the quotient's rounding"
    ),
    Case("mod", [integers(-9, 9, 8), integers(1, 5, 8)], np.mod, grad=False, name="int32"),
    Case("floor_divide", [distinct(6, 5), positive(5)], np.floor_divide, grad=False),
    Case("floor_divide", [integers(-9, 9, 8), integers(1, 5, 8)], np.floor_divide, grad=False, name="int32"),
    Case("arctan2", [distinct(4, 3), positive(4, 3)], np.arctan2, why=_libm),
    *(
        Case(op, [integers(0, 3, 5, 1), integers(0, 3, 4)], getattr(np, op), grad=False)
        for op in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    ),
    *(
        Case(op, [booleans(5, 1), booleans(4)], getattr(np, op), grad=False)
        for op in ("logical_and", "logical_or", "logical_xor")
    ),
    Case("relu_grad", [normal(7, 9), X], lambda dy, x: np.where(x > 0, dy, 0)),
    Case(
        "leaky_relu_grad",
        [normal(7, 9), X],
        lambda dy, x, negative_slope: np.where(x > 0, dy, negative_slope * dy),
        attrs={"negative_slope": 0.3},
    ),
    Case("sigmoid_grad", [normal(7, 9), sigmoid(X)], lambda dy, y: dy * y * (1 - y)),
    Case("tanh_grad", [normal(7, 9), np.tanh(X)], lambda dy, y: dy * (1 - y * y), why="cancellation of 1 - y^2"),
    Case("elu_grad", [normal(7, 9), X], elu_grad, attrs={"alpha": 0.7}, why=_own),
    Case("silu_grad", [normal(7, 9), X], silu_grad, ulps=8, why=_own),
    Case("gelu_grad", [normal(7, 9), X], gelu_grad, attrs={"approximate": True}, ulps=8, why="as gelu"),
    Case(
        "gelu_grad",
        [normal(7, 9), X],
        gelu_grad,
        attrs={"approximate": False},
        ulps=8,
        why="as gelu",
        name="erf",
    ),
    Case("where", [booleans(4, 3), normal(4, 3), normal(4, 3, key=1)], np.where),
    Case("where", [booleans(4, 1), normal(3), normal()], np.where, name="broadcast"),
    Case("where", [booleans(5), normal(901, 5), normal()], np.where, name="many short rows"),
]
