"""Batch and layer normalization against their formulas in float64."""

from dataclasses import replace

import numpy as np

from .case import Case, normal, positive

_statistics = "statistics are accurate to a rounding; the result takes a few more"


def batch_norm_train(x, gamma, beta, residual=None, *, epsilon, activation="linear"):
    # Wider than float64, so that the oracle is the more accurate one there too.
    axes, x = tuple(range(x.ndim - 1)), x.astype(np.longdouble)
    mean, variance = x.mean(axes), x.var(axes)
    y = batch_norm_inference(x, mean, variance, gamma, beta, epsilon)
    y = y if residual is None else y + residual
    if activation == "linear":
        return y, mean, variance
    # The shift is beta, and what rounding takes from the mean.
    scale = (1 if gamma is None else gamma) / np.sqrt(variance + epsilon)
    return np.maximum(y, 0), mean, variance, scale, None


def batch_norm_inference(x, mean, variance, gamma, beta, epsilon):
    y = (x - mean) / np.sqrt(variance + epsilon)
    return y * (1 if gamma is None else gamma) + (0 if beta is None else beta)


def normalized_grad(dy, x, gamma, mean, variance, epsilon, axes):
    """dx and the two products that gamma's and beta's gradients are sums of; mean and variance broadcast."""
    inverse = 1 / np.sqrt(variance + epsilon)
    hat = (x - mean) * inverse
    g = dy if gamma is None else dy * gamma
    dx = inverse * (g - g.mean(axes, keepdims=True) - hat * (g * hat).mean(axes, keepdims=True))
    return dx, dy * hat, dy


def batch_norm_grad(dy, x, gamma, mean, variance, scale=None, shift=None, *, epsilon):
    axes = tuple(range(x.ndim - 1))
    if scale is not None:
        dy = np.where((x - mean) * scale + shift > 0, dy, 0)
    dx, dgamma, dbeta = normalized_grad(dy, x, gamma, mean, variance, epsilon, axes)
    return dx, dgamma.sum(axes), dbeta.sum(axes)


def layer_norm(x, gamma, beta, epsilon, dims):
    axes, x = tuple(range(x.ndim - dims, x.ndim)), x.astype(np.longdouble)
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    y = batch_norm_inference(x, mean, variance, gamma, beta, epsilon)
    return y, mean.squeeze(axes), variance.squeeze(axes)


def layer_norm_grad(dy, x, gamma, mean, variance, epsilon, dims):
    rows, axes = tuple(range(x.ndim - dims)), tuple(range(x.ndim - dims, x.ndim))
    mean, variance = (v.reshape(*v.shape, *[1] * dims) for v in (mean, variance))
    dx, dgamma, dbeta = normalized_grad(dy, x, gamma, mean, variance, epsilon, axes)
    return dx, dgamma.sum(rows), dbeta.sum(rows)


EPSILON = {"epsilon": 1e-3}
# Few, some and many channels; rows that do not fill the groups they are taken in; one row.
BATCH_SHAPES = [(5, 3), (2, 5, 3, 4), (37, 1), (131, 7), (9, 70), (1, 6), (3, 1030)]
LAYER_SHAPES = [((4, 5), 1), ((2, 3, 4), 2), ((3, 2, 70), 1), ((20, 130), 1), ((6,), 1)]

CASES = []
for shape in BATCH_SHAPES:
    x, dy, c = normal(*shape) * 2 + 1, normal(*shape, key="dy"), shape[-1]
    gamma, beta, mean, variance = positive(c), normal(c, key="beta"), normal(c, key="mean"), positive(c, key="variance")
    # Among a thousand channels some have three nearly equal values, where a difference quotient is too coarse.
    train = {"attrs": EPSILON, "ulps": 16, "why": _statistics, "grad": shape != (3, 1030)}
    CASES += [
        Case("batch_norm_train", [x, gamma, beta], batch_norm_train, **train),
        Case("batch_norm_train", [x, None, None], batch_norm_train, **train),
        Case("batch_norm_grad", [dy, x, gamma, mean, variance], batch_norm_grad, attrs=EPSILON, ulps=32),
        # A relu's kinks are kept away from by the shift: all of a channel, or nothing of it.
        Case(
            "batch_norm_grad",
            [dy, x, gamma, mean, variance, gamma, np.where(np.arange(c) % 3, 50.0, -50.0)],
            batch_norm_grad,
            attrs=EPSILON,
            ulps=32,
            name="relu",
        ),
        Case("batch_norm_train", [x, gamma, beta, dy], batch_norm_train, **train, name="residual"),
        Case(
            "batch_norm_train",
            [x, gamma, beta, np.where(np.arange(c) % 3, 50.0, -50.0) + dy],
            batch_norm_train,
            **{**train, "attrs": {**EPSILON, "activation": "relu"}},
            name="residual-relu",
        ),
        Case(
            "batch_norm_train",
            [x, gamma, np.where(np.arange(c) % 3, 50.0, -50.0)],
            batch_norm_train,
            **{**train, "attrs": {**EPSILON, "activation": "relu"}},
            name="relu",
        ),
        Case("batch_norm_grad", [dy, x, None, mean, variance], batch_norm_grad, attrs=EPSILON, ulps=32),
        Case("batch_norm_inference", [x, mean, variance, gamma, beta], batch_norm_inference, attrs=EPSILON),
        Case("batch_norm_inference", [x, mean, variance, None, beta], batch_norm_inference, attrs=EPSILON),
    ]
for shape, dims in LAYER_SHAPES:
    x, dy, last, attrs = (
        normal(*shape) * 2 + 1,
        normal(*shape, key="dy"),
        shape[len(shape) - dims :],
        {**EPSILON, "dims": dims},
    )
    gamma, beta = positive(*last), normal(*last, key="beta")
    mean, variance = normal(*shape[: len(shape) - dims], key="mean"), positive(*shape[: len(shape) - dims])
    CASES += [
        Case("layer_norm", [x, gamma, beta], layer_norm, attrs=attrs, ulps=16, why=_statistics),
        Case("layer_norm", [x, None, beta], layer_norm, attrs=attrs, ulps=16, why=_statistics),
        Case("layer_norm_grad", [dy, x, gamma, mean, variance], layer_norm_grad, attrs=attrs, ulps=32),
        Case("layer_norm_grad", [dy, x, None, mean, variance], layer_norm_grad, attrs=attrs, ulps=32),
    ]

# A mean 10,000 times the deviation, which E[x^2] - E[x]^2 would drown; and enough rows for several blocks.
OFFSET = 1e3 + 0.1 * normal(700, 5)
_offset = {
    "ulps": 4,
    "scale": lambda *_, **__: 1e3 / 0.1,
    "why": "the mean, 1e3, is at best rounded to float64 when 0.1 around it is scaled to 1",
    "grad": False,
    "name": "offset",
}
# The rows that a block's deviations are first taken from are unlike all others.
FIRST = normal(700, 5) + np.where(np.arange(700) < 4, 1e3, 0.0)[:, None]
_first = {
    "ulps": 128,
    "why": "sums of 256 squares around a value 1e3 away, of which 4 are near",
    "grad": False,
    "name": "first",
}
_blocks = {"ulps": 64, "grad": False, "name": "blocks"}
ROWS, DIMS = normal(40_000, 3, key="rows"), {**EPSILON, "dims": 1}
CASES += [
    Case("batch_norm_train", [OFFSET, None, None], batch_norm_train, attrs=EPSILON, **_offset),
    Case("batch_norm_train", [OFFSET, positive(5), None], batch_norm_train, attrs=EPSILON, **_offset),
    Case("layer_norm", [OFFSET.T.copy(), None, None], layer_norm, attrs=DIMS, **_offset),
    Case("batch_norm_train", [FIRST, None, None], batch_norm_train, attrs=EPSILON, **_first),
    Case("batch_norm_train", [ROWS, None, None], batch_norm_train, attrs=EPSILON, **_blocks),
    Case(
        "batch_norm_grad", [ROWS[::-1].copy(), ROWS, None, normal(3), positive(3)], batch_norm_grad, EPSILON, **_blocks
    ),
    Case(
        "layer_norm_grad",
        [normal(500, 100, key="dy"), normal(500, 100), positive(100), normal(500), positive(500)],
        layer_norm_grad,
        attrs=DIMS,
        **_blocks,
    ),
]

# Parameters and statistics are float32 beside bfloat16.
WIDE = {
    "batch_norm_train": (1, 2),
    "batch_norm_grad": (2, 3, 4, 5, 6),
    "batch_norm_inference": (1, 2, 3, 4),
    "layer_norm": (1, 2),
    "layer_norm_grad": (2, 3, 4),
}
CASES = [replace(case, wide=WIDE[case.op]) for case in CASES]
