"""Reductions of shapes that take different loops, and ties and NaN wherever they may be."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import _core, ops

ISAS = _core.supported_isas()


@pytest.fixture(params=ISAS)
def isa(request):
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


# Rows shorter than a vector, than 16 partial sums, than 64 of them; columns of less than a tile, more, and several blocks.
SHAPES = [(37, 3), (50, 16), (9, 100), (5, 511), (3, 2000), (300_001,), (200, 65), (131, 1500), (70_000, 70)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_and_extremes(shape, isa):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    t = ops.convert_to_tensor(x)
    for axis in range(len(shape)):
        exact, scale = x.sum(axis, dtype=np.float64), np.abs(x).sum(axis, dtype=np.float64)
        # At most 64 additions in float32, whatever the length; then in double.
        np.testing.assert_array_less(np.abs(np.asarray(ops.sum(t, axis)) - exact), 1e-30 + 64 * 2.0**-24 * scale)
        np.testing.assert_array_equal(np.asarray(ops.max(t, axis)), x.max(axis))
        np.testing.assert_array_equal(np.asarray(ops.min(t, axis)), x.min(axis))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("nan", [False, True])
def test_first_extreme(shape, nan, isa):
    rng = np.random.default_rng(1)
    x = rng.integers(-4, 5, size=shape).astype("float32")  # ties everywhere
    if nan:
        x[rng.random(shape) < 0.02] = np.nan
    t = ops.convert_to_tensor(x)
    for axis in range(len(shape)):
        np.testing.assert_array_equal(np.asarray(ops.argmax(t, axis)), x.argmax(axis))
        np.testing.assert_array_equal(np.asarray(ops.argmin(t, axis)), x.argmin(axis))
        np.testing.assert_array_equal(np.asarray(ops.max(t, axis)), x.max(axis))


def test_argmax_does_not_depend_on_threads():
    x = np.zeros(500_000, "float32")
    x[[70_000, 400_000]] = 1
    before = _core.num_threads()
    try:
        for threads in (1, 2, 3, 7):
            _core.set_num_threads(threads)
            assert int(ops.argmax(x)) == 70_000
    finally:
        _core.set_num_threads(before)
