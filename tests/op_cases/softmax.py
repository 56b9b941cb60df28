"""Softmax and log-softmax against their formulas in float64."""

import numpy as np

from .case import Case, normal

_exp = "an exponential of 3 ULP and a sum"


def softmax(x, axis=-1):
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x, axis=-1):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def softmax_grad(dy, y, axis):
    return y * (dy - (dy * y).sum(axis, keepdims=True))


def log_softmax_grad(dy, y, axis):
    return dy - np.exp(y) * dy.sum(axis, keepdims=True)


def softmax_grad_scale(dy, y, axis):
    return np.abs(y) * (np.abs(dy) + np.abs(dy * y).sum(axis, keepdims=True))


CASES = []
for shape, axis in (
    ((3, 5), -1),
    ((4, 3, 5), 0),
    ((4, 3, 5), 1),
    ((2, 1), -1),
    ((3, 200), 1),
    ((130, 70), 0),
    ((7,), 0),
    ((70, 23), -1),
    ((66, 24), -1),
    ((2, 20, 100), 1),
):
    x, dy, attrs = normal(*shape) * 3, normal(*shape, key="dy"), {"axis": axis}
    CASES += [
        Case("softmax", [x], softmax, attrs=attrs, ulps=8, why=_exp),
        Case("softmax_grad", [dy, softmax(x, axis)], softmax_grad, attrs=attrs, ulps=8, scale=softmax_grad_scale),
        Case("log_softmax", [x], log_softmax, attrs=attrs, ulps=8, why=_exp),
        Case("log_softmax_grad", [dy, log_softmax(x, axis)], log_softmax_grad, attrs=attrs, ulps=16, why=_exp),
    ]

# Not every y is an output of log_softmax: callers may pass any.
CASES += [
    Case(
        "log_softmax_grad",
        [normal(6, n), normal(6, n, key="y") * 3],
        log_softmax_grad,
        attrs={"axis": -1},
        ulps=16,
        scale=lambda dy, y, axis: np.abs(dy) + np.exp(y) * np.abs(dy).sum(axis, keepdims=True),
        name=f"any-{n}",
        why="the sum of dy cancels, and its rounding is multiplied by exp(y)",
    )
    for n in (5, 40)
]

EXTREME = np.array([[1e4, 0.0, -1e4], [-np.inf, 0.0, 1.0], [-np.inf, -np.inf, -np.inf], [np.nan, 0.0, 1.0]])
CASES += [
    Case("softmax", [EXTREME], softmax, ulps=8, grad=False, name="extreme", why=_exp),
    Case("softmax", [EXTREME.T.copy()], softmax, attrs={"axis": 0}, ulps=8, grad=False, name="extreme", why=_exp),
    Case("softmax", [normal(300, 130)], softmax, ulps=8, grad=False, name="blocks", why=_exp),
]
