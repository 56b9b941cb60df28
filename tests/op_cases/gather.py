"""Gather and scatter against NumPy's indexing."""

import numpy as np

from .case import Case, booleans, distinct, integers, normal

SUM = "sums of the values that share an index"


def take(x, indices, axis=0):
    return np.take(x, indices, axis)


def take_grad(dy, indices, axis, size):
    dx = np.zeros(dy.shape[:axis] + (size,) + dy.shape[axis + indices.ndim :])
    rows = np.moveaxis(dx, axis, 0)
    flat = dy.reshape(dy.shape[:axis] + (-1,) + dy.shape[axis + indices.ndim :])
    for i, j in enumerate(indices.reshape(-1)):
        rows[j] += np.take(flat, i, axis)
    return dx


def along_axis_grad(dy, indices, axis, size):
    dx = np.zeros([size if i == axis else n for i, n in enumerate(dy.shape)])
    for at in np.ndindex(dy.shape):
        to = list(at)
        to[axis] = indices[at]
        dx[tuple(to)] += dy[at]
    return dx


def gather_nd(x, indices):
    return x[tuple(np.moveaxis(indices, -1, 0))]


def scatter_nd(x, indices, updates, reduction="add"):
    y = x.copy()
    combine = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum, "update": lambda a, b: b}[
        reduction
    ]
    for at in np.ndindex(indices.shape[:-1]):
        to = tuple(indices[at])
        y[to] = combine(y[to], updates[at])
    return y


def slice_update(x, updates, start):
    y = x.copy()
    y[tuple(slice(s, s + n) for s, n in zip(start, updates.shape))] = updates
    return y


def one_hot(x, num_classes, axis=-1, dtype="float32"):
    hot = (x[..., None] == np.arange(num_classes)).astype(dtype)
    return np.moveaxis(hot, -1, axis)


X = normal(5, 6, 3)
SEVERAL = integers(-5, 5, 4, 2)
MANY = integers(0, 40, 700)  # enough for the adjoint to be split over rows
ND = np.stack([integers(-5, 5, 3, 4), integers(0, 6, 3, 4, key=1)], -1)  # (3, 4, 2), some repeated
UNIQUE = np.array([[0, 1], [3, 2], [4, 5]], "int64")
TABLE = normal(40, 33)
CHOICE = distinct(5, 6)
LINE = integers(-6, 6, 5, 4, 3)

CASES = [
    Case("take", [X, SEVERAL], take, {"axis": 0}),
    Case("take", [X, SEVERAL.astype("int64")], take, {"axis": 1}, name="middle"),
    Case("take", [X, np.asarray(2, "int32")], take, {"axis": 2}, name="scalar"),
    Case("take", [TABLE, MANY], take, {"axis": 0}, name="rows"),
    Case("take", [booleans(4, 2), integers(0, 4, 3)], take, {"axis": 0}, grad=False, name="bool"),
    Case(
        "take", [integers(0, 250, 4, 2, dtype="uint8"), integers(0, 2, 3)], take, {"axis": 1}, grad=False, name="bytes"
    ),
    Case("take_grad", [normal(4, 2, 6, 3), SEVERAL], take_grad, {"axis": 0, "size": 5}, ulps=8, why=SUM),
    Case("take_grad", [normal(5, 4, 2, 3), SEVERAL], take_grad, {"axis": 1, "size": 6}, ulps=8, why=SUM, name="middle"),
    Case("take_grad", [normal(700, 33), MANY], take_grad, {"axis": 0, "size": 40}, ulps=16, why=SUM, name="rows"),
    Case("take_along_axis", [X, LINE], lambda x, i, axis: np.take_along_axis(x, i, axis), {"axis": 1}),
    Case(
        "take_along_axis",
        [normal(7, 4), integers(0, 4, 7, 1)],
        lambda x, i, axis: np.take_along_axis(x, i, axis),
        {"axis": 1},
        name="labels",
    ),
    Case("take_along_axis_grad", [normal(5, 4, 3), LINE], along_axis_grad, {"axis": 1, "size": 6}, ulps=8, why=SUM),
    Case("gather_nd", [X, ND], gather_nd),
    Case("scatter_nd", [X, ND, normal(3, 4, 3)], scatter_nd, {"reduction": "add"}, ulps=8, why=SUM),
    Case("scatter_nd", [X, ND, normal(3, 4, 3)], scatter_nd, {"reduction": "update"}, name="update"),
    Case(
        "scatter_nd",  # so large that blocks share it out, and some begin within a slice
        [normal(700, 99), integers(-700, 700, 90, 1), normal(90, 99)],
        scatter_nd,
        {"reduction": "add"},
        ulps=8,
        why=SUM,
        name="blocks",
    ),
    Case("scatter_nd", [CHOICE, UNIQUE, normal(3) * 5], scatter_nd, {"reduction": "max"}, name="max"),
    Case("scatter_nd", [CHOICE, UNIQUE, normal(3) * 5], scatter_nd, {"reduction": "min"}, name="min"),
    Case("scatter_nd", [CHOICE, UNIQUE, normal(3)], scatter_nd, {"reduction": "mul"}, second=False, name="mul"),
    Case(
        "scatter_nd",
        [integers(0, 9, 4, 5), integers(0, 4, 6, 1), integers(0, 9, 6, 5)],
        scatter_nd,
        {"reduction": "add"},
        grad=False,
        name="integers",
    ),
    Case("slice_update", [X, normal(2, 3, 1)], slice_update, {"start": [3, 1, 2]}),
    Case("slice_update", [X, normal(2, 6, 3)], slice_update, {"start": [1, 0, 0]}, name="rows"),
    Case("slice_update", [X, normal(5, 2, 3)], slice_update, {"start": [0, 4, 0]}, name="middle"),
    Case("slice_update", [X, normal(5, 6, 3, key=1)], slice_update, {"start": [0, 0, 0]}, name="all"),
    Case(
        "slice_update", [normal(300, 400), normal(220, 390)], slice_update, {"start": [70, 5]}, grad=False, name="large"
    ),
    Case(
        "slice_update",
        [integers(0, 9, 7), integers(0, 9, 3)],
        slice_update,
        {"start": [0]},
        grad=False,
        name="integers",
    ),
    Case("one_hot", [integers(-2, 7, 4, 3)], one_hot, {"num_classes": 5}, grad=False),
    Case(
        "one_hot",
        [integers(0, 5, 4, 3, dtype="int64")],
        one_hot,
        {"num_classes": 5, "axis": 1, "dtype": "int32"},
        grad=False,
        name="middle",
    ),
    Case(
        "one_hot", [integers(0, 5, 4)], one_hot, {"num_classes": 5, "axis": 0, "dtype": "bool"}, grad=False, name="bool"
    ),
]
