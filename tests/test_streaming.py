"""Results larger than the cache are written around it: the same bits as those of small arrays, on every ISA."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import _core, ops

ISAS = _core.supported_isas()
ROWS, COLUMNS, PIECE = 4999, 2003, 250  # 40 MB of float32, more than any op keeps; rows do not begin on cache lines


@pytest.fixture(params=ISAS)
def isa(request):
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype("float32")


ROW = np.linspace(-2, 2, COLUMNS, dtype="float32")
ELEMENTWISE = {
    "exp": ops.exp,
    "isfinite": ops.isfinite,
    "cast": lambda x: ops.cast(x, "int32"),
    "square": lambda x: x * x,
    "row": lambda x: x + ROW,
    "column": lambda x: x * x[:, :1],
    "scalar": lambda x: x * np.float32(3),
    "greater": lambda x: x > ROW,
    "where": lambda x: ops.where(x > 0, x, ROW),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_large_is_many_small(name, isa, x):
    f = ELEMENTWISE[name]
    large = np.asarray(f(ops.convert_to_tensor(x)))
    for i in range(0, ROWS, PIECE):
        np.testing.assert_array_equal(large[i : i + PIECE], np.asarray(f(ops.convert_to_tensor(x[i : i + PIECE]))))
