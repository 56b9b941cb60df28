"""Reductions against NumPy in float64."""

import numpy as np

from .case import Case, booleans, distinct, integers, normal, positive

_sum = "64 partial sums of at most 64 terms, added up in double"


def reduction(function):
    def oracle(x, axes=(), keepdims=False):
        return function(x, axis=tuple(axes) or None, keepdims=keepdims)

    return oracle


def sum_scale(x, axes=(), keepdims=False):
    return np.sum(np.abs(x), axis=tuple(axes) or None, keepdims=keepdims)


def mean_scale(x, axes=(), keepdims=False):
    return np.mean(np.abs(x), axis=tuple(axes) or None, keepdims=keepdims)


def arg(function):
    return lambda x, axis=-1, keepdims=False: function(x, axis=axis, keepdims=keepdims).astype(np.int32)


def counted(dtype):
    return lambda x, axes: np.sum(x, axis=tuple(axes)).astype(dtype)


X = normal(3, 4, 5)
WITH_NAN = np.where(booleans(6, 70, key="nan"), normal(6, 70), np.nan)
ZEROS = normal(3, 5) * (distinct(3, 5) > 0)
FACTORS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0], [1.0, 0.0, 0.0]])

CASES = [
    # Every grouping of reduced and kept axes.
    *[
        Case("sum", [X], reduction(np.sum), attrs={"axes": axes, "keepdims": keepdims}, scale=sum_scale, why=_sum)
        for axes in ([], [0], [1], [-1], [0, 2], [1, 2], [0, 1])
        for keepdims in (False, True)
    ],
    Case("sum", [np.array(2.5)], reduction(np.sum), name="scalar"),
    Case("sum", [np.zeros((0, 3))], reduction(np.sum), attrs={"axes": [0]}, name="empty"),
    Case("sum", [normal(2, 3, 4, 3, 2)], reduction(np.sum), attrs={"axes": [0, 2, 4]}, scale=sum_scale, why=_sum),
    # Long enough to be cut into blocks, with few, some and many columns.
    Case("sum", [normal(200_003)], reduction(np.sum), scale=sum_scale, grad=False, why=_sum),
    Case("sum", [normal(70_000, 3)], reduction(np.sum), attrs={"axes": [0]}, scale=sum_scale, grad=False, why=_sum),
    Case("sum", [normal(300, 1500)], reduction(np.sum), attrs={"axes": [0]}, scale=sum_scale, grad=False, why=_sum),
    Case("sum", [1e4 + positive(150_000)], reduction(np.sum), grad=False, name="large-mean", why=_sum),
    Case("sum", [booleans(5, 90)], counted(np.int32), attrs={"axes": [1]}),
    Case("sum", [integers(0, 255, 4, 90, dtype="uint8")], counted(np.uint32), attrs={"axes": [1]}),
    Case("sum", [integers(-9, 9, 90, 4)], counted(np.int32), attrs={"axes": [0]}),
    Case("sum", [integers(-9, 9, 7, 8, dtype="int64")], counted(np.int64), attrs={"axes": [0, 1]}),
    Case("mean", [X], reduction(np.mean), scale=mean_scale, why=_sum),
    Case("mean", [X], reduction(np.mean), attrs={"axes": [0, 2], "keepdims": True}, scale=mean_scale, why=_sum),
    Case("prod", [X], reduction(np.prod), attrs={"axes": [1]}, ulps=8),
    Case("prod", [ZEROS], reduction(np.prod), attrs={"axes": [1]}, ulps=8, name="zeros"),
    Case("prod", [FACTORS], reduction(np.prod), attrs={"axes": [0], "keepdims": True}, name="exact"),
    Case("prod", [positive(7)], reduction(np.prod), ulps=8),
    Case("prod", [integers(1, 3, 9, 3)], lambda x, axes: np.prod(x, axis=0).astype(np.int32), attrs={"axes": [0]}),
    *[
        Case(op, [distinct(3, 4, 5)], reduction(function), attrs={"axes": axes}, ulps=0, why="no arithmetic")
        for op, function in (("max", np.max), ("min", np.min))
        for axes in ([], [0], [1], [0, 2])
    ],
    *[
        Case(op, [x], reduction(function), attrs={"axes": [axis]}, ulps=0, grad=False, name=name, why="no arithmetic")
        for op, function in (("max", np.max), ("min", np.min))
        for x, axis, name in (
            (WITH_NAN, 1, "nan"),
            (WITH_NAN, 0, "nan"),
            (normal(70, 80), 0, ""),
            (normal(2, 150_000), 1, ""),
            (integers(-99, 99, 5, 70), 1, "int32"),
            (integers(0, 255, 70, 5, dtype="uint8"), 0, "uint8"),
            (booleans(3, 4), 1, "bool"),
        )
    ],
    Case("any", [booleans(5, 3)], reduction(np.any), attrs={"axes": [1]}),
    Case("any", [ZEROS], reduction(np.any), attrs={"axes": [0]}, grad=False),
    Case("all", [booleans(3, 5, key=1)], reduction(np.all), attrs={"axes": [0], "keepdims": True}),
    Case("all", [integers(0, 3, 4, 80)], reduction(np.all), attrs={"axes": [1]}),
    *[
        Case(op, [x], arg(function), attrs={"axis": axis}, grad=False, name=name)
        for op, function in (("argmax", np.argmax), ("argmin", np.argmin))
        for x, axis, name in (
            (X, 0, ""),
            (X, 1, ""),
            (X, -1, ""),
            (integers(0, 4, 6, 90), 1, "ties"),
            (integers(0, 4, 90, 6), 0, "ties"),
            (WITH_NAN, 1, "nan"),
            (WITH_NAN, 0, "nan"),
            (booleans(3, 9), 1, "bool"),
        )
    ],
    Case("argmax", [X], arg(np.argmax), attrs={"axis": 1, "keepdims": True}, grad=False, name="keepdims"),
]
