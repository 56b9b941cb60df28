"""Gather, scatter, sort and selection functions against Keras on JAX, over axes, dtypes and repeated indices."""

from __future__ import annotations

import os

import numpy as np
import pytest

from kcore import ops

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
# Keras reads its own variables in a way that NumPy warns of.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:__array__ implementation")]

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 5, 6)).astype("float32")
TIES = rng.integers(0, 4, (3, 8)).astype("int32")
INDICES = rng.integers(0, 4, (2, 3)).astype("int32")
ND = rng.integers(0, 4, (7, 2)).astype("int32")
UPDATES = rng.normal(size=(7, 6)).astype("float32")
NAN = np.array([1.0, np.nan, 3.0, -np.inf, np.inf], "float32")

CALLS = [
    *(("take", (X, INDICES), {"axis": axis}) for axis in (None, 0, 1, -1)),
    ("take", (X, np.array([-1, -4])), {"axis": 0}),
    ("take_along_axis", (X, rng.integers(0, 5, (4, 2, 6))), {"axis": 1}),
    ("take_along_axis", (X, rng.integers(0, 5, (1, 2, 1))), {"axis": 1}),
    ("take_along_axis", (X, rng.integers(0, 120, 9)), {"axis": None}),
    ("scatter", (ND, UPDATES, (4, 5, 6)), {}),
    ("scatter", (ND[:, :1], np.ones(7, "int32"), (4,)), {}),
    *(("scatter_update", (X, ND, UPDATES), {"reduction": r}) for r in ("add", "max", "min", "mul")),
    ("scatter_update", (X, np.array([[0, 1], [3, 4]]), UPDATES[:2]), {}),
    ("slice_update", (X, np.array([1, 2, 3]), np.ones((2, 2, 2), "float32")), {}),
    *(("one_hot", (np.array([[0, 2], [-1, 9]]), 4), {"axis": axis, "dtype": "int32"}) for axis in (-1, 0, 1)),
    *(("multi_hot", (np.array([[0, 2], [1, 1], [3, 0]]), 4), {"axis": axis}) for axis in (-1, 0, 1)),
    ("multi_hot", (np.array([0, 2]), 4), {}),
    *(("sort", (X,), {"axis": axis}) for axis in (-1, 0, 1)),
    *(("argsort", (TIES,), {"axis": axis}) for axis in (-1, 0, None)),
    ("sort", (NAN,), {}),
    ("argsort", (NAN,), {}),
    ("top_k", (X, 3), {}),
    ("top_k", (TIES, 5), {}),
    ("top_k", (NAN, 3), {}),
    *(("in_top_k", (np.array([0, 2, 3]), TIES.astype("float32"), k), {}) for k in (1, 3)),
    ("in_top_k", (np.array([1, 0]), np.array([[np.nan, 0.2], [np.nan, 0.1]], "float32"), 1), {}),
    *(("cumsum", (X,), {"axis": axis}) for axis in (None, 0, -1)),
    ("cumsum", (TIES > 1,), {"axis": 0}),
    ("cumsum", (TIES,), {"axis": 1, "dtype": "float32"}),
    *(("cumprod", (X,), {"axis": axis}) for axis in (None, 1)),
    ("searchsorted", (np.array([1.0, 2.0, 2.0, 5.0], "float32"), X), {}),
    ("searchsorted", (np.array([1, 2, 2, 5]), TIES), {"side": "right"}),
    ("digitize", (X, np.array([-1.0, 0.0, 1.0], "float32")), {}),
    ("bincount", (TIES,), {"minlength": 6}),
    ("bincount", (TIES[0],), {"weights": X[0, 0, 0] * np.ones(8, "float32")}),
    ("nonzero", (TIES,), {}),
    ("unique", (TIES,), {}),
    ("unique", (TIES[0],), {"return_index": True, "return_inverse": True, "return_counts": True}),
    ("unique", (TIES,), {"axis": 1}),
    ("unique", (TIES[0],), {"size": 9, "return_index": True, "return_counts": True}),
    ("unique", (TIES[0],), {"size": 2, "fill_value": 7}),
    ("histogram", (X[0, 0],), {"bins": 7}),
    ("histogram", (X[0, 0],), {"bins": 4, "range": (-1.0, 1.0)}),
    *(
        ("quantile", (X, np.array([0.0, 0.3, 1.0], "float32")), {"axis": axis, "method": method})
        for axis, method in [
            (None, "linear"),
            (1, "lower"),
            ((0, 2), "higher"),
            (-1, "midpoint"),
            (0, "nearest"),
        ]
    ),
    ("quantile", (X, 0.6), {"axis": 1, "keepdims": True}),
    ("quantile", (TIES, np.array([0.5], "float32")), {"axis": (0, 1), "keepdims": True}),
    ("median", (X,), {"axis": (0, 1)}),
    ("median", (TIES,), {"axis": 1, "keepdims": True}),
    ("median", (NAN,), {}),
    ("segment_sum", (X, np.array([2, 0, 2, 1])), {"num_segments": 4}),
    ("segment_max", (X, np.array([2, 0, 2, 1])), {"num_segments": 4}),
    ("segment_prod", (X, np.array([2, 0, 2, 1])), {"num_segments": 4}),
    ("segment_min", (TIES, np.array([2, 0, 2])), {"num_segments": 4}),
]


def leaves(result):
    return [np.asarray(y) for y in (result if isinstance(result, (tuple, list)) else (result,))]


@pytest.mark.parametrize("name, args, options", CALLS, ids=[f"{i}-{n}" for i, (n, _, _) in enumerate(CALLS)])
def test_call(name, args, options):
    want = leaves(getattr(keras.ops, name)(*args, **options))
    got = leaves(getattr(ops, name)(*args, **options))
    assert [y.shape for y in got] == [y.shape for y in want]
    assert [y.dtype for y in got] == [y.dtype for y in want]
    for a, b in zip(got, want):
        # Running sums and products of up to 120 values.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
