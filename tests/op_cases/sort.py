"""Sorting, selection and scans against NumPy."""

import numpy as np

from .case import Case, booleans, distinct, integers, normal

SCAN = "one addition or multiplication a step"


def sort(x, axis=-1):
    return np.sort(x, axis, kind="stable"), np.argsort(x, axis, kind="stable").astype("int32")


def top_k(x, k):
    # stable in descending order: sort the reversed line, then reverse
    n = x.shape[-1]
    order = (n - 1 - np.argsort(x[..., ::-1], -1, kind="stable"))[..., ::-1][..., :k]
    return np.take_along_axis(x, order, -1), order.astype("int32")


def in_top_k(targets, predictions, k):
    result = []
    for target, row in zip(targets, predictions):
        inside = 0 <= target < len(row) and not np.isnan(row[target])
        result.append(bool(inside and (row > row[target]).sum() < k))
    return np.array(result)


def searchsorted(sorted_sequence, values, side="left"):
    return np.searchsorted(sorted_sequence, values, side).astype("int32")


def flipped(scan):
    return lambda *xs, axis=-1, reverse=False: (
        np.flip(scan(*[np.flip(x, axis) for x in xs], axis), axis) if reverse else scan(*xs, axis)
    )


def linear_scan(a, b, axis):
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    y = np.zeros_like(b)
    for k in range(len(b)):
        y[k] = (a[k] * y[k - 1] if k else 0) + b[k]
    return np.moveaxis(y, 0, axis)


cumsum, cumprod, scan = flipped(np.cumsum), flipped(np.cumprod), flipped(linear_scan)
X = distinct(4, 5, 6)
TIES = integers(0, 3, 5, 9)
WITH_NAN = np.array([[1.0, np.nan, -np.inf, 0.0, np.nan, np.inf], [3.0, 3.0, 2.0, np.nan, -0.0, 0.0]])
LONG = np.stack([np.arange(150.0), -np.arange(150.0), np.where(np.arange(150) % 29 == 28, np.nan, 0), np.zeros(150)])
WITH_ZERO = np.where(np.arange(6) == 3, 0.0, normal(4, 6))

CASES = [
    Case("sort", [X], sort, {"axis": 1}),
    Case("sort", [TIES], sort, {"axis": -1}, grad=False, name="ties"),
    Case("sort", [WITH_NAN], sort, {"axis": -1}, grad=False, name="nan"),
    Case("sort", [booleans(7)], sort, {"axis": 0}, grad=False, name="bool"),
    Case("top_k", [X], top_k, {"k": 3}),
    Case("top_k", [TIES], top_k, {"k": 9}, grad=False, name="ties"),
    Case("top_k", [normal(3, 200)], top_k, {"k": 1}, name="one"),
    Case("top_k", [X], top_k, {"k": 0}, grad=False, name="none"),
    Case("top_k", [WITH_NAN], top_k, {"k": 3}, grad=False, name="nan"),
    # Rows of several blocks: all of a block get in, none does, NaNs take all places, equal ones none.
    Case("top_k", [LONG], top_k, {"k": 4}, grad=False, name="long"),
    Case("top_k", [booleans(100)], top_k, {"k": 70}, grad=False, name="bool"),
    Case("in_top_k", [integers(-1, 6, 40), normal(40, 5)], in_top_k, {"k": 2}, grad=False),
    Case("in_top_k", [integers(0, 3, 9), integers(0, 2, 9, 3) * 1.0], in_top_k, {"k": 1}, grad=False, name="ties"),
    Case(
        "searchsorted", [np.array([1.0, 2.0, 2.0, 5.0]), np.array([[0.0, 1.0], [2.0, 9.0]])], searchsorted, grad=False
    ),
    Case(
        "searchsorted",
        [np.array([1, 2, 2, 5], "int32"), integers(0, 7, 9)],
        searchsorted,
        {"side": "right"},
        grad=False,
        name="right",
    ),
    Case("cumsum", [normal(4, 5, 6)], cumsum, {"axis": 1}, ulps=8, why=SCAN),
    Case("cumsum", [normal(4, 50)], cumsum, {"axis": -1, "reverse": True}, ulps=32, why=SCAN, name="reverse"),
    Case("cumsum", [normal(11, 7)], cumsum, {"axis": -1}, ulps=8, why=SCAN, name="rows"),
    Case("cumsum", [integers(0, 9, 3, 4)], cumsum, {"axis": 0}, grad=False, name="integers"),
    Case("cumprod", [normal(4, 5, 6)], cumprod, {"axis": 1}, ulps=16, why=SCAN),
    Case("cumprod", [WITH_ZERO], cumprod, {"axis": -1}, ulps=16, why=SCAN, name="zero"),
    Case(
        "linear_scan", [normal(4, 5, 2), normal(4, 5, 2, key=1)], scan, {"axis": 1, "reverse": False}, ulps=16, why=SCAN
    ),
    Case(
        "linear_scan",
        [normal(4, 6), normal(4, 6, key=1)],
        scan,
        {"axis": -1, "reverse": True},
        ulps=16,
        why=SCAN,
        name="reverse",
    ),
]
