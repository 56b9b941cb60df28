"""matmul against NumPy: tile edges of every ISA, vectors, batches, long sums."""

from __future__ import annotations

import numpy as np

from .case import Case, integers, normal


def matmul(a, b, transpose_a=False, transpose_b=False):
    return (np.swapaxes(a, -1, -2) if transpose_a else a) @ (np.swapaxes(b, -1, -2) if transpose_b else b)


def magnitude(a, b, **attrs):
    return matmul(np.abs(a), np.abs(b), **attrs)


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
        flops=2 * m * k * n * max(1, int(np.prod(batch_a))),
        name=name,
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
    # several spans of K; K cut into parts; several blocks of C
    product(9, 600, 40, **_forward_only),
    product(6, 9000, 7, ta=True, **_forward_only),
    product(530, 20, 70, **_forward_only),
    product(40, 20, 560, tb=True, **_forward_only),
    product(140, 300, 200, **_forward_only),
    # empty sums and empty results
    product(3, 0, 4),
    product(0, 3, 4, **_big),
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
        [integers(-99, 99, 2, 5, 7, dtype="int64"), integers(-99, 99, 3, 7, dtype="int64")],
        matmul,
        attrs={"transpose_b": True},
        grad=False,
        name="int64",
    ),
]
