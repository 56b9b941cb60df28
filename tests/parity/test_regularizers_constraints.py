"""Regularizers and constraints against Keras: values, configs, names."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

from kcore import constraints, ops, regularizers  # noqa: E402

W = np.random.RandomState(0).randn(4, 3).astype("float32")
KERNEL = np.random.RandomState(1).randn(2, 2, 3, 4).astype("float32")
REGULARIZERS = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": 0.3}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {"l1": 0.1}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.2, "mode": "columns"}),
]
CONSTRAINTS = [
    ("MaxNorm", {}, W),
    ("MaxNorm", {"max_value": 0.7, "axis": [0, 1, 2]}, KERNEL),
    ("NonNeg", {}, W),
    ("UnitNorm", {}, W),
    ("UnitNorm", {"axis": 1}, W),
    ("MinMaxNorm", {}, W),
    ("MinMaxNorm", {"min_value": 1.5, "max_value": 2.0, "rate": 0.4, "axis": 1}, W),
]


@pytest.mark.parametrize(("name", "kwargs"), REGULARIZERS)
def test_regularizers(name, kwargs):
    ours, theirs = getattr(regularizers, name)(**kwargs), getattr(keras.regularizers, name)(**kwargs)
    # A sum of 12 float32 values.
    np.testing.assert_allclose(float(ours(ops.convert_to_tensor(W))), float(theirs(keras.ops.array(W))), rtol=2e-6)
    assert regularizers.serialize(ours) == keras.regularizers.serialize(theirs)
    assert regularizers.deserialize(keras.regularizers.serialize(theirs)).get_config() == ours.get_config()


@pytest.mark.parametrize(("name", "kwargs", "w"), CONSTRAINTS)
def test_constraints(name, kwargs, w):
    ours, theirs = getattr(constraints, name)(**kwargs), getattr(keras.constraints, name)(**kwargs)
    # A norm of at most 16 float32 values.
    np.testing.assert_allclose(ours(ops.convert_to_tensor(w)).numpy(), np.asarray(theirs(w)), rtol=2e-6, atol=1e-7)
    assert constraints.serialize(ours) == keras.constraints.serialize(theirs)
    assert constraints.deserialize(keras.constraints.serialize(theirs)).get_config() == ours.get_config()


@pytest.mark.parametrize(("ours", "theirs"), [(regularizers, keras.regularizers), (constraints, keras.constraints)])
def test_every_name_of_keras_is_known(ours, theirs):
    for name in dir(theirs):
        if not name.startswith("_"):
            assert hasattr(ours, name), name
    for name in ("l1", "l2", "L1L2", "max_norm", "NonNeg", "unit_norm", "min_max_norm", "orthogonal_regularizer"):
        if hasattr(theirs, name):
            assert type(ours.get(name)).__name__ == type(theirs.get(name)).__name__
