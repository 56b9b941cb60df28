"""Ops that move elements: exact, so the tolerance is zero."""

import numpy as np

from .case import Case, booleans, integers, normal

_exact = dict(ulps=0, why="copies")


def _slice(x, start, size, step):
    index = np.ix_(*[s + by * np.arange(n) for s, n, by in zip(start, size, step)])
    return x[index]


def _place(x, shape, start, step, value=0.0):
    y = np.full(shape, value, x.dtype)
    y[np.ix_(*[s + by * np.arange(n) for s, n, by in zip(start, x.shape, step)])] = x
    return y


CASES = [
    Case("reshape", [normal(4, 6)], lambda x, shape: x.reshape(shape), attrs={"shape": [3, -1]}, **_exact),
    Case("reshape", [normal(1)], lambda x, shape: x.reshape(shape), attrs={"shape": []}, name="scalar", **_exact),
    *(
        Case("transpose", [normal(*shape)], lambda x, axes: x.transpose(axes), attrs={"axes": axes}, **_exact)
        for shape, axes in [
            ((5, 7), [1, 0]),
            ((2, 3, 4), [0, 2, 1]),
            ((2, 3, 4), [2, 0, 1]),
            ((3, 1, 4, 2), [3, 1, 0, 2]),
            ((67, 41), [1, 0]),  # more than a tile either way
            ((3, 35, 2, 5), [1, 3, 0, 2]),
        ]
    ),
    Case("transpose", [booleans(3, 4)], lambda x, axes: x.T, attrs={"axes": [1, 0]}, grad=False, name="bool", **_exact),
    Case(
        "broadcast_to", [normal(3, 1)], lambda x, shape: np.broadcast_to(x, shape), attrs={"shape": [2, 3, 4]}, **_exact
    ),
    Case(
        "concat",
        [normal(2, 3), normal(2, 1), normal(2, 4)],
        lambda *xs, axis: np.concatenate(xs, axis),
        attrs={"axis": 1},
        **_exact,
    ),
    Case(
        "concat", [normal(0, 3), normal(2, 3)], lambda *xs, axis: np.concatenate(xs, axis), attrs={"axis": 0}, **_exact
    ),
    Case(
        "concat",
        [integers(0, 9, 2), integers(0, 9, 3)],
        lambda *xs, axis: np.concatenate(xs),
        grad=False,
        attrs={"axis": 0},
    ),
    Case("slice", [normal(5, 7)], _slice, attrs={"start": [1, 2], "size": [3, 4], "step": [1, 1]}, **_exact),
    Case(
        "slice",
        [normal(5, 7)],
        _slice,
        attrs={"start": [4, 0], "size": [3, 4], "step": [-2, 2]},
        name="steps",
        **_exact,
    ),
    Case(
        "place",
        [normal(3, 4)],
        _place,
        attrs={"shape": [5, 9], "start": [1, 2], "step": [1, 2], "value": 1.5},
        **_exact,
    ),
    Case("place", [normal(3)], _place, attrs={"shape": [9], "start": [8], "step": [-4]}, name="reversed", **_exact),
    *(
        Case("roll", [normal(3, 5, 2)], lambda x, shift, axis: np.roll(x, shift, axis), attrs=attrs, **_exact)
        for attrs in [{"shift": 2, "axis": 1}, {"shift": -7, "axis": -1}, {"shift": 0, "axis": 0}]
    ),
    Case(
        "full",
        [],
        lambda shape, value, dtype: np.full(shape, value, dtype),
        grad=False,
        attrs={"shape": [2, 3], "value": 2.5, "dtype": "float32"},
        **_exact,
    ),
]
