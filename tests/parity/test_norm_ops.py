"""Normalizations and softmax against Keras on JAX: values and gradients over any axis."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.ops.norm import batch_norm_train

keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")

RNG = np.random.default_rng(0)
# Values of order 1 after a few dozen float32 operations on each side.
TOLERANCE = dict(rtol=1e-4, atol=1e-5)


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


X = normal(3, 4, 5)
VECTORS = {n: (normal(n), RNG.random(n).astype("float32") + 0.1, normal(n), normal(n)) for n in (3, 4, 5)}

CASES = {
    "batch_normalization": lambda m, x: [
        m.batch_normalization(x, *VECTORS[n][:2], axis, *VECTORS[n][2:], 1e-2) for axis, n in ((-1, 5), (1, 4), (0, 3))
    ],
    "batch_normalization-bare": lambda m, x: [m.batch_normalization(x, *VECTORS[4][:2], axis=1)],
    "layer_normalization": lambda m, x: [
        m.layer_normalization(x, g, b, axis=axis, epsilon=1e-2)
        for axis, g, b in (
            (-1, *VECTORS[5][:2]),
            (1, *VECTORS[4][:2]),
            ((1, 2), X[0], X[1]),
            ([2, 0], X[:, 0], X[:, 1]),
        )
    ],
    "layer_normalization-bare": lambda m, x: [m.layer_normalization(x), m.layer_normalization(x, VECTORS[5][0])],
    "layer_normalization-rms": lambda m, x: [m.layer_normalization(x, VECTORS[5][0], rms_scaling=True)],
    "rms_normalization": lambda m, x: [
        m.rms_normalization(x),
        m.rms_normalization(x, VECTORS[5][0], epsilon=0.1),
        m.rms_normalization(x, axis=(0, 1)),
    ],
    "normalize": lambda m, x: [m.normalize(x), m.normalize(x, axis=(0, 1)), m.normalize(x, axis=1, order=3)],
    "moments": lambda m, x: [*m.moments(x, axes=[0, 2]), *m.moments(x, axes=1, keepdims=True)],
    "softmax": lambda m, x: [m.softmax(x, axis=axis) for axis in (-1, 0, 1, (0, 2))],
    "log_softmax": lambda m, x: [m.log_softmax(x, axis=axis) for axis in (-1, 0, 1)],
}


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling")
@pytest.mark.parametrize("name", CASES)
def test_forward_and_gradient(name):
    want, pullback = jax.vjp(lambda x: CASES[name](keras.ops, x), X)
    got = CASES[name](ops, X)
    for ours, theirs in zip(got, want, strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, **TOLERANCE)
    dys = [np.random.default_rng(i).normal(size=y.shape).astype("float32") for i, y in enumerate(want)]
    dx = kcore.grad(lambda x: sum(ops.sum(y * dy) for y, dy in zip(CASES[name](ops, x), dys)))(X)
    np.testing.assert_allclose(np.asarray(dx), pullback(dys)[0], **TOLERANCE)


def test_large_mean_small_variance():
    x = (1000 + 0.1 * np.random.default_rng(1).normal(size=(4096, 3))).astype("float32")
    _, mean, variance = batch_norm_train(ops.convert_to_tensor(x), None, None, 1e-3)
    exact = x.astype("float64")
    # The mean to a rounding of float32; the variance to a few, although E[x^2] has lost it entirely.
    np.testing.assert_allclose(np.asarray(mean), exact.mean(0), rtol=2e-7)
    np.testing.assert_allclose(np.asarray(variance), exact.var(0), rtol=2e-6)


def test_zero_rows():
    assert np.asarray(ops.normalize(np.zeros((1, 2), "float32"))).tolist() == [[0.0, 0.0]]
    _, mean, variance = batch_norm_train(ops.zeros((0, 2)), None, None, 1e-3)
    assert np.isnan(np.asarray(mean)).all() and np.isnan(np.asarray(variance)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.batch_normalization(X, X[0, 0], X[0, 0], axis=1),
            r"\[batch_norm_inference\] expected mean of shape",
        ),
        (lambda: ops.layer_normalization(X, gamma=X[0]), r"\[layer_normalization\] expected gamma of shape \(5,\)"),
        (lambda: ops.normalize(X, order=0), r"\[normalize\] expected order"),
        (lambda: ops.softmax(1.0), r"\[softmax\] expected"),
        (lambda: ops.softmax(X, axis=3), r"\[softmax\] expected an axis"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
