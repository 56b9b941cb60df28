"""Reductions against Keras on JAX: dtypes, axes, gradients where elements tie or are zero, empty arrays."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import kcore
from kcore import ops

keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")

NAMES = """
sum mean prod max min amax amin any all argmax argmin var std average count_nonzero logsumexp norm max_pool average_pool
batch_normalization layer_normalization moments normalize rms_normalization softmax log_softmax
categorical_crossentropy sparse_categorical_crossentropy binary_crossentropy
"""
REDUCTIONS = ["sum", "mean", "prod", "max", "min", "any", "all", "var", "std", "logsumexp"]
X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
# Sums of 60 standard normal values in another order than JAX's.
TOLERANCE = dict(rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", NAMES.split())
def test_signature(name):
    ours, theirs = (
        [(p.name, p.default, p.kind) for p in inspect.signature(getattr(m, name)).parameters.values()]
        for m in (ops, keras.ops)
    )
    assert ours == theirs


@pytest.mark.parametrize("name", [*REDUCTIONS, "argmax", "argmin", "count_nonzero", "norm", "average"])
def test_dtype(name):
    for dtype in ("bool", "uint8", "int32", "uint32", "float32"):
        x = np.ones((2, 3), dtype)
        assert getattr(ops, name)(x).dtype == str(getattr(keras.ops, name)(x).dtype), dtype


@pytest.mark.parametrize("name", REDUCTIONS)
def test_axes(name):
    for axis, keepdims in ((None, False), (-1, True), ((0, 2), False), ((), True)):
        got = np.asarray(getattr(ops, name)(X, axis=axis, keepdims=keepdims))
        want = np.asarray(getattr(keras.ops, name)(X, axis=axis, keepdims=keepdims))
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, **TOLERANCE, err_msg=f"{axis} {keepdims}")


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arg(name):
    for axis in (None, 0, -1):
        for keepdims in (False, True):
            got = np.asarray(getattr(ops, name)(X, axis=axis, keepdims=keepdims))
            np.testing.assert_array_equal(got, np.asarray(getattr(keras.ops, name)(X, axis=axis, keepdims=keepdims)))


@pytest.mark.parametrize(
    ("ord", "axis"),
    [(None, None), (None, (0, 1)), *[(o, 1) for o in (None, 0, 1, 2, 2.5, -1, np.inf, -np.inf)]]
    + [(o, (2, 0)) for o in ("fro", 1, -1, np.inf, -np.inf)],
)
def test_norm(ord, axis):
    want = np.asarray(keras.ops.norm(X, ord=ord, axis=axis, keepdims=True))
    np.testing.assert_allclose(np.asarray(ops.norm(X, ord=ord, axis=axis, keepdims=True)), want, **TOLERANCE)
    axes = tuple(range(X.ndim)) if axis is None else axis
    np.testing.assert_allclose(np.asarray(ops.norm(X, ord=ord, axis=axis)), want.squeeze(axes), **TOLERANCE)


def test_norm_refuses():
    for ord, axis in ((3, None), ("fro", 1), (0, (0, 1)), ("nuc", 1)):
        with pytest.raises(ValueError, match=r"\[norm\] expected .*received ord="):
            ops.norm(X, ord=ord, axis=axis)


def test_average():
    weights = np.array([1.0, 2.0, 0.5, 0.0], "float32")
    got = np.asarray(ops.average(X, axis=1, weights=weights))
    np.testing.assert_allclose(got, keras.ops.average(X, axis=1, weights=weights), **TOLERANCE)
    with pytest.raises(ValueError, match=r"\[average\] expected weights"):
        ops.average(X, axis=0, weights=weights)


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("max", [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]),
        ("min", [[1.0, 3.0, 1.0], [0.0, -1.0, -1.0]]),
        ("prod", [[0.0, 3.0, 2.0], [0.0, 0.0, 2.0]]),
        ("logsumexp", [[1.0, 2.0, 300.0], [-1e30, 0.0, 1.0]]),
    ],
)
def test_gradient(name, x):
    x, weights = np.array(x, "float32"), np.array([1.0, -2.0], "float32")
    got = kcore.grad(lambda x: ops.sum(getattr(ops, name)(x, axis=1) * weights))(x)
    want = jax.grad(lambda x: keras.ops.sum(getattr(keras.ops, name)(x, axis=1) * weights))(x)
    np.testing.assert_allclose(np.asarray(got), want, **TOLERANCE)


@pytest.mark.parametrize("name", [*REDUCTIONS, "argmax", "argmin"])
@pytest.mark.filterwarnings("ignore")
def test_empty(name):
    x = np.zeros((0, 3), "float32")
    assert getattr(ops, name)(x, axis=1).shape == (0,)
    try:
        want = np.asarray(getattr(keras.ops, name)(x, axis=0))
    except ValueError:
        with pytest.raises(ValueError, match="expected at least one element"):
            getattr(ops, name)(x, axis=0)
    else:
        np.testing.assert_array_equal(np.asarray(getattr(ops, name)(x, axis=0)), want)


def test_initial():
    for x in ([], [1.0, 5.0]):
        x = np.array(x, "float32")
        assert float(ops.max(x, initial=3.0)) == float(keras.ops.max(x, initial=3.0))
        assert float(ops.min(x, initial=3.0)) == float(keras.ops.min(x, initial=3.0))


def test_axes_are_checked():
    for axis in (3, -4, (0, 0), (0, -3)):
        with pytest.raises(ValueError, match=r"\[sum\] expected"):
            ops.sum(X, axis=axis)
    with pytest.raises(TypeError, match=r"\[sum\] expected an int axis"):
        ops.sum(X, axis=1.5)
