"""Pooling against windows taken one by one."""

import numpy as np

from oracles.pool import average_pool_grad, max_pool, max_pool_grad, max_pool_take, pool

from .case import Case, distinct, integers, normal

# x, window, strides, pads: overlapping, gapped, padded on one side, 1 to 3 spatial dimensions, odd numbers of channels,
# rows longer than what is computed at a time, large windows over many channels, more positions than are compared at a
# time, more than a byte tells apart, images that gradients are cut from.
GEOMETRIES = [
    ((2, 9, 3), [3], [2], [0, 0]),
    ((2, 9, 3), [3], [2], [1, 1]),
    ((1, 10, 1), [2], [3], [0, 1]),
    ((2, 6, 5, 4), [2, 2], [2, 2], [0, 0, 0, 0]),
    ((2, 7, 6, 3), [3, 2], [2, 1], [1, 1, 0, 1]),
    ((1, 4, 4, 70), [3, 3], [1, 1], [1, 1, 1, 1]),
    ((1, 4, 3, 5, 2), [2, 2, 3], [2, 1, 2], [0, 0, 0, 1, 1, 1]),
    ((18, 4, 4, 5), [2, 2], [2, 2], [0, 0, 0, 0]),
    ((1, 2300, 1), [3], [2], [1, 1]),
    ((2, 2300, 1), [5], [4], [0, 3]),
    ((3, 130, 1), [3], [3], [1, 0]),
    ((1, 3, 70, 3), [3, 2], [2, 3], [1, 1, 0, 1]),
    ((1, 3, 40, 17), [2, 5], [2, 2], [0, 0, 1, 1]),
    ((1, 4, 4, 530), [4, 4], [4, 4], [0, 0, 0, 0]),
    ((1, 7, 8, 5), [6, 6], [1, 1], [0, 1, 2, 0]),
    ((1, 6, 40, 3), [5, 8], [1, 2], [1, 0, 3, 3]),
    ((1, 9, 8, 18), [7, 6], [2, 2], [0, 0, 1, 1]),
    ((1, 16, 17, 17), [16, 17], [1, 1], [0, 0, 0, 0]),
    ((1, 18, 35, 2), [16, 18], [2, 3], [1, 0, 0, 2]),
    ((1, 90, 300, 5), [3, 3], [2, 2], [1, 1, 1, 1]),
    ((1, 40000, 2), [5], [2], [2, 2]),
]


def attrs(window, strides, pads):
    return {"window": window, "strides": strides, "pads": pads}


def outputs(shape, window, strides, pads):
    return pool(np.max)(np.zeros(shape), window, strides, pads).shape


def positions(x, a):
    return max_pool(x, **a)[1]


CASES = []
for shape, *geometry in GEOMETRIES:
    a, y = attrs(*geometry), outputs(shape, *geometry)
    x, size = distinct(*shape), {"size": list(shape[1:-1])}
    at = positions(x, a)
    CASES += [
        Case("max_pool", [x], max_pool, attrs=a, ulps=0, why="no arithmetic"),
        Case("max_pool_grad", [normal(*y), at], max_pool_grad, attrs={**a, **size}, why="one addition per window"),
        Case("max_pool_take", [normal(*shape), at], max_pool_take, attrs=a, ulps=0, why="no arithmetic"),
        Case("average_pool", [normal(*shape)], pool(np.mean), attrs=a, ulps=8, why="sum of a window"),
        Case("average_pool_grad", [normal(*y)], average_pool_grad, attrs={**a, **size}, ulps=8),
    ]

TIES = integers(0, 3, 2, 6, 6, 3).astype(np.float64)
NAN = np.where(np.arange(72).reshape(1, 6, 6, 2) % 11 == 5, np.nan, normal(1, 6, 6, 2))
SMALL = attrs([2, 2], [1, 1], [0, 0, 0, 0])
WIDE_TIES = integers(0, 3, 1, 7, 41, 3).astype(np.float64)
WIDE_NAN = np.where(np.arange(7 * 41 * 3).reshape(1, 7, 41, 3) % 11 == 5, np.nan, WIDE_TIES)
WIDE = attrs([3, 3], [2, 2], [1, 1, 1, 1])
WITHOUT = {**WIDE, "caches": False}  # as predictions call it
for name, x, a in (
    ("ties", TIES, SMALL),
    ("nan", NAN, SMALL),
    ("wide ties", WIDE_TIES, WIDE),
    ("wide nan", WIDE_NAN, WIDE),
    ("wide nan, predicted", WIDE_NAN, WITHOUT),
):
    CASES.append(Case("max_pool", [x], max_pool, attrs=a, ulps=0, grad=False, name=name, why="no arithmetic"))
