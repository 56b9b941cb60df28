"""NumPy's smaller functions against Keras."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

from kcore import ops  # noqa: E402

X = np.array([[1.5, -2.0, 0.0], [np.nan, 4.0, -0.5]], "float32")
FULL = np.nan_to_num(X)
NAN_COLUMN = np.array([[np.nan, 1.0], [np.nan, 3.0]], "float32")
CASES = [
    ("allclose", (FULL, FULL + 1e-7), {}),
    ("allclose", (X, X), {"equal_nan": True}),
    ("append", (FULL, FULL), {}),
    ("append", (FULL, FULL), {"axis": 1}),
    ("array_split", (np.arange(14.0).reshape(7, 2), 3), {}),
    ("cbrt", (FULL,), {}),
    ("deg2rad", (FULL,), {}),
    ("rad2deg", (FULL,), {}),
    ("diff", (FULL,), {}),
    ("diff", (FULL,), {"n": 2, "axis": -1}),
    ("diff", (FULL,), {"axis": 0}),
    ("erfc", (FULL,), {}),
    ("fabs", (np.array([-1, 2]),), {}),
    ("fliplr", (FULL,), {}),
    ("flipud", (FULL,), {}),
    ("fmax", (X, X[::-1]), {}),
    ("fmin", (X, X[::-1]), {}),
    ("heaviside", (FULL, 0.3), {}),
    ("hypot", (FULL, FULL[::-1]), {}),
    ("isin", (FULL, [1.5, 4.0]), {}),
    ("isin", (FULL, [1.5, 4.0]), {"invert": True}),
    ("isneginf", (np.array([-np.inf, np.inf, 1.0]),), {}),
    ("isposinf", (np.array([-np.inf, np.inf, 1.0]),), {}),
    ("kron", (FULL, FULL[:, :2]), {}),
    ("kron", (FULL, FULL[0]), {}),
    ("logaddexp2", (FULL, FULL[::-1]), {}),
    ("nansum", (X,), {"axis": 1}),
    ("nanprod", (X,), {"axis": 0, "keepdims": True}),
    ("nanmean", (X,), {}),
    ("nanmean", (NAN_COLUMN,), {"axis": 0}),
    ("nanvar", (X,), {"axis": 1}),
    ("nanstd", (X,), {}),
    ("nanmax", (X,), {"axis": 1}),
    ("nanmax", (NAN_COLUMN,), {"axis": 0}),
    ("nanmin", (X,), {}),
    ("ptp", (FULL,), {"axis": 0}),
    ("rot90", (FULL,), {}),
    ("rot90", (FULL,), {"k": 2}),
    ("rot90", (FULL,), {"k": -1}),
    ("rot90", (np.arange(24.0).reshape(2, 3, 4),), {"k": 3, "axes": (2, 0)}),
    ("saturate_cast", (np.array([-5.0, 3.7, 999.0, 3e9]), "uint8"), {}),
    ("saturate_cast", (np.array([-5.0, 3.7, 999.0]), "int32"), {}),
    ("select", ([FULL > 1, FULL < 0], [FULL, -FULL]), {"default": 9.0}),
    ("signbit", (np.array([-1.0, 0.0, -0.0, 2.0]),), {}),
    ("sinc", (FULL,), {}),
    ("trapezoid", (FULL,), {"dx": 0.5}),
    ("trapezoid", (FULL,), {"x": np.array([0.0, 1.0, 3.0])}),
    ("trapezoid", (FULL,), {"axis": 0}),
    ("psnr", (FULL, FULL + 0.1, 2.0), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES)
def test_values(name, args, kwargs):
    expected, received = getattr(keras.ops, name)(*args, **kwargs), getattr(ops, name)(*args, **kwargs)
    if not isinstance(expected, (list, tuple)):
        expected, received = [expected], [received]
    for e, r in zip(expected, received, strict=True):
        assert r.shape == tuple(e.shape)
        # A few operations of float32.
        np.testing.assert_allclose(np.asarray(r), np.asarray(e), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ops.rot90(FULL, axes=(0, 0)),
        lambda: ops.select([FULL > 0], [FULL, FULL]),
        lambda: ops.psnr(FULL, FULL[:1], 1.0),
        lambda: ops.append(FULL, FULL[:1], axis=1),
    ],
)
def test_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
