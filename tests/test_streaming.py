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


def row_like(x):
    return ops.cast(np.linspace(-2, 2, COLUMNS), x.dtype)


ELEMENTWISE = {
    "exp": ops.exp,
    "isfinite": ops.isfinite,
    "cast": lambda x: ops.cast(x, "int32"),
    "square": lambda x: x * x,
    "row": lambda x: x + row_like(x),
    "column": lambda x: x * x[:, :1],
    "scalar": lambda x: x * np.float32(3),
    "greater": lambda x: x > row_like(x),
    "where": lambda x: ops.where(x > 0, x, row_like(x)),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_large_is_many_small(name, dtype, isa, x):
    f, x = ELEMENTWISE[name], ops.convert_to_tensor(x, dtype)
    large = np.asarray(f(x))
    for i in range(0, ROWS, PIECE):
        np.testing.assert_array_equal(large[i : i + PIECE], np.asarray(f(x[i : i + PIECE])))
