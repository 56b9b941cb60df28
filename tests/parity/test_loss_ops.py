"""Cross-entropy functions against Keras on JAX: values, gradients, clipping, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops

keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")

RNG = np.random.default_rng(0)
# Losses of order 1 to 20 after a float32 softmax and logarithm.
TOLERANCE = dict(rtol=1e-5, atol=1e-5)

LOGITS = (3 * RNG.normal(size=(6, 5))).astype("float32")
# Sums away from 1, zeros, a certain class.
PROBABILITIES = RNG.random((6, 5)).astype("float32")
PROBABILITIES[0, :2], PROBABILITIES[1] = 0, [0, 0, 1, 0, 0]
DENSE = RNG.random((6, 5)).astype("float32")
DENSE /= DENSE.sum(1, keepdims=True)
LABELS = np.array([0, 2, 4, 1, 3, 3])


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize(
    ("name", "target", "axis"),
    [
        ("categorical_crossentropy", DENSE, -1),
        ("categorical_crossentropy", DENSE, 0),
        ("categorical_crossentropy", np.eye(5, dtype="int32")[LABELS], 1),
        ("sparse_categorical_crossentropy", LABELS, -1),
        ("sparse_categorical_crossentropy", LABELS[:, None].astype("float32"), -1),
        ("binary_crossentropy", DENSE, None),
        ("binary_crossentropy", np.round(PROBABILITIES), None),
    ],
)
def test_forward_and_gradient(name, target, axis, from_logits):
    options = {"from_logits": from_logits} if axis is None else {"from_logits": from_logits, "axis": axis}
    output = LOGITS if from_logits else PROBABILITIES
    want, pullback = jax.vjp(lambda x: getattr(keras.ops, name)(target, x, **options), output)
    got = getattr(ops, name)(target, output, **options)
    assert (got.shape, got.dtype) == (want.shape, "float32")
    np.testing.assert_allclose(np.asarray(got), want, **TOLERANCE)
    dy = np.random.default_rng(1).normal(size=want.shape).astype("float32")
    dx = kcore.grad(lambda x: ops.sum(getattr(ops, name)(target, x, **options) * dy))(output)
    np.testing.assert_allclose(np.asarray(dx), pullback(dy)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("name", ["categorical_crossentropy", "binary_crossentropy"])
def test_gradient_of_the_target(name, from_logits):
    x = LOGITS if from_logits else PROBABILITIES
    got = kcore.grad(lambda t: ops.sum(getattr(ops, name)(t, x, from_logits)))(DENSE)
    want = jax.grad(lambda t: keras.ops.sum(getattr(keras.ops, name)(t, x, from_logits)))(DENSE)
    np.testing.assert_allclose(np.asarray(got), want, **TOLERANCE)


@pytest.mark.parametrize("label", [-1, 5, np.nan])
def test_label_outside_the_classes(label):
    labels = np.array([0, 1, label, 3, 4, 4])
    for from_logits in (False, True):
        with pytest.raises(ValueError, match=rf"expected labels in \[0, 5\), received {label} at position 2"):
            ops.sparse_categorical_crossentropy(labels, LOGITS, from_logits)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ops.categorical_crossentropy(DENSE[:1], LOGITS),
        lambda: ops.categorical_crossentropy(DENSE[:, :4], LOGITS),
        lambda: ops.categorical_crossentropy(1.0, 1.0),
        lambda: ops.binary_crossentropy(DENSE[:1], LOGITS),
        lambda: ops.binary_crossentropy(DENSE[:, :1], LOGITS, from_logits=True),
        lambda: ops.sparse_categorical_crossentropy(LABELS[:3], LOGITS),
        lambda: ops.sparse_categorical_crossentropy(LABELS[None], LOGITS),
    ],
)
def test_nothing_is_broadcast(call):
    with pytest.raises(ValueError, match=r"cross_entropy\] expected"):
        call()
