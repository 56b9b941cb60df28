"""matmul against NumPy: tile edges of every ISA, vectors, batches, long sums."""

from __future__ import annotations

import math

import numpy as np

from .case import Case, integers, normal


def matmul(a, b, transpose_a=False, transpose_b=False):
    return (np.swapaxes(a, -1, -2) if transpose_a else a) @ (np.swapaxes(b, -1, -2) if transpose_b else b)


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


def with_epilogue(a, b, bias=None, residual=None, activation="linear", **attrs):
    y = matmul(a, b, **attrs)
    return ACTIVATIONS[activation](y + (0 if bias is None else bias) + (0 if residual is None else residual))


def magnitude(a, b, bias=None, residual=None, activation="linear", **attrs):
    extra = sum(np.abs(x) for x in (bias, residual) if x is not None)
    return matmul(np.abs(a), np.abs(b), **attrs) + extra


def flops(inputs, outputs, attrs):
    return 2.0 * math.prod(outputs[0].shape) * inputs[0].shape[-2 if attrs.get("transpose_a") else -1]


def product(m, k, n, *, ta=False, tb=False, batch_a=(), batch_b=(), **options):
    """A case of (..., m, k) by (..., k, n)."""
    a = normal(*batch_a, *((k, m) if ta else (m, k)), key="a")
    b = normal(*batch_b, *((n, k) if tb else (k, n)), key="b")
    name = "".join((f"m{m}k{k}n{n}", "T" if ta else "N", "T" if tb else "N"))
    return Case(
        "matmul",
        [a, b],
        matmul,
        attrs={"transpose_a": ta, "transpose_b": tb},
        scale=magnitude,
        ulps=6,
        why="rounding of a sum in spans of 256, relative to the sum of absolute products",
        flops=flops,
        name=name,
        **options,
    )


def fused(m, k, n, activation="linear", *, bias=True, residual=False, batch=(), ta=False, **options):
    """A case with an epilogue."""
    a = normal(*batch, *((k, m) if ta else (m, k)), key="a")
    return Case(
        "matmul",
        [
            a,
            normal(k, n, key="b"),
            normal(n, key="bias") if bias else None,
            normal(*batch, m, n, key="residual") if residual else None,
        ],
        with_epilogue,
        attrs={"transpose_a": ta, "activation": activation},
        scale=magnitude,
        ulps=6,
        why="rounding of a sum in spans of 256, relative to the sum of absolute products; slopes are at most one",
        flops=2 * m * k * n * max(1, int(np.prod(batch))),
        name=f"{activation}{'-bias' * bias}{'-residual' * residual}",
        **options,
    )


def with_statistics(*inputs, statistics, **attrs):
    y = with_epilogue(*inputs, **attrs)
    rows = y.reshape(-1, y.shape[-1])
    return y, rows.mean(0), rows.var(0)


def statistics(m, k, n, *, batch=(), activation="tanh", offset=0.0, ulps=24, **options):
    """A case with the mean and variance of each column; all of them far from zero by `offset`."""
    return Case(
        "matmul",
        [normal(*batch, m, k, key="a"), normal(k, n, key="b"), offset + normal(n, key="bias")],
        with_statistics,
        attrs={"statistics": True, "activation": activation},
        ulps=ulps,
        why="rounding of y, of long sums and large values relative to the spread; the moments round less",
        name=f"statistics{'-offset' * bool(offset)}",
        **options,
    )


_forward_only = dict(grad=False)
_big = dict(second=False)  # the rule is the same as for the small ones

CASES = [
    product(1, 1, 1),
    product(2, 3, 4),
    product(5, 7, 3, ta=True),
    product(5, 7, 3, tb=True),
    product(5, 7, 3, ta=True, tb=True),
    # edges of the micro-tiles: 14 x 32, 6 x 16, 4 x 8 for float32, half the columns for float64
    product(13, 5, 31, **_big),
    product(14, 6, 32, ta=True, **_big),
    product(15, 9, 33, tb=True, **_big),
    product(29, 4, 17, ta=True, tb=True, **_big),
    product(43, 33, 65, **_big),
    # vectors: rows and columns, whole and in place
    product(1, 9, 70, **_big),
    product(1, 300, 21, tb=True, **_big),
    product(70, 9, 1, ta=True, **_big),
    product(21, 300, 1, **_big),
    product(3, 5, 1, batch_a=(2,), batch_b=(4, 1), **_big),
    product(1, 5, 3, batch_a=(2,), batch_b=(4, 1), **_big),
    # vectors: several spans of K, more columns than are summed at a time, K cut into parts of which the last is shorter
    product(1, 300, 21, **_forward_only),
    product(1, 9, 2500, **_forward_only),
    product(1, 1001, 300, **_forward_only),
    # several spans of K; K cut into parts; several blocks of C
    product(9, 600, 40, **_forward_only),
    product(6, 9000, 7, ta=True, **_forward_only),
    product(530, 20, 70, **_forward_only),
    product(40, 20, 560, tb=True, **_forward_only),
    product(140, 300, 200, **_forward_only),
    product(40, 600, 40, ta=True, tb=True, **_forward_only),
    # empty sums and empty results
    product(3, 0, 4),
    product(0, 3, 4, **_big),
    # epilogues: in the last span, in a K cut into parts, of vectors, of empty sums
    fused(5, 7, 33, "relu"),
    fused(17, 3, 18, "tanh", residual=True),
    fused(3, 4, 5, "sigmoid", bias=False, residual=True, batch=(2,)),
    fused(3, 4, 5, "relu", residual=True, batch=(2, 2), ta=True, **_big),
    fused(15, 300, 35, "relu", residual=True, **_forward_only),
    fused(6, 9000, 7, "relu", residual=True, **_forward_only),
    fused(1100, 5, 6, "relu", residual=True, **_forward_only),  # rows of several blocks
    fused(1, 9, 70, "relu", residual=True, **_big),
    fused(70, 9, 1, "tanh", residual=True, **_big),
    fused(3, 0, 4, "relu", **_forward_only),
    # statistics: of few rows, of vectors, of whole blocks while they are hot, of a K cut into parts, of batches
    statistics(7, 5, 9),
    statistics(70, 9, 1, **_big),
    statistics(2100, 20, 70, **_forward_only),
    statistics(2100, 20, 70, activation="linear", offset=1000.0, ulps=4000, **_forward_only),
    statistics(300, 9000, 7, activation="linear", ulps=200, **_forward_only),
    statistics(30, 4, 5, batch=(20,), **_big),
    # batches: one matrix for all, broadcasting on both sides
    product(3, 4, 5, batch_a=(2,)),
    product(3, 4, 5, batch_a=(2, 3), tb=True),
    product(3, 4, 5, batch_a=(2,), ta=True),
    product(3, 4, 5, batch_b=(2,)),
    product(3, 4, 5, batch_a=(2,), batch_b=(1,)),
    product(3, 4, 5, batch_a=(3, 1), batch_b=(4,), tb=True),
    product(3, 4, 5, batch_a=(2, 3, 1), batch_b=(3, 2), ta=True, **_big),
    Case("matmul", [integers(-99, 99, 5, 7), integers(-99, 99, 7, 3)], matmul, grad=False, name="int32"),
    Case(
        "matmul",
        [integers(-99, 99, 7, 5), integers(-99, 99, 7, 3)],
        matmul,
        attrs={"transpose_a": True},
        grad=False,
        name="int32 T",
    ),
    Case(
        "matmul",
        [integers(-99, 99, 2, 5, 7, dtype="int64"), integers(-99, 99, 3, 7, dtype="int64")],
        matmul,
        attrs={"transpose_b": True},
        grad=False,
        name="int64",
    ),
]
