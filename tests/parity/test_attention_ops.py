"""dot_product_attention against Keras on JAX: values, gradients, masked rows, and where NaN and Inf get to."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.autograd import GradientTape, convert_to_tensor

keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")
pytestmark = pytest.mark.parity

# Values of order 1 after a few dozen float32 operations on each side.
TOLERANCE = dict(rtol=1e-4, atol=1e-5)


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def booleans(*shape):
    return np.random.default_rng(sum(shape)).random(shape) < 0.5


def operands(queries=9, keys=7, heads=4, kv_heads=2, size=5):
    return normal(2, queries, heads, size), normal(2, keys, kv_heads, size), normal(2, keys + 1, kv_heads, size)[:, 1:]


MASKED_ROWS = booleans(2, 1, 9, 7) & (np.arange(9) % 3 > 0)[:, None]
CASES = {
    "plain": {},
    "scale": {"scale": 0.3},
    "causal": {"is_causal": True},
    "bias": {"bias": normal(1, 4, 9, 7)},
    "bias-of-three-dimensions": {"bias": normal(4, 1, 7), "is_causal": True},
    "mask": {"mask": booleans(2, 4, 9, 7)},
    "mask-of-two-dimensions": {"mask": booleans(9, 7)},
    "masked-rows": {"mask": MASKED_ROWS},
    "masked-rows-causal": {"mask": MASKED_ROWS, "is_causal": True},
    "no-key": {"mask": np.zeros((1, 1, 1, 1), bool), "bias": normal(1, 4, 9, 7)},
    "bias-of-infinities": {"bias": np.where(booleans(1, 1, 9, 7) | (np.arange(7) == 0), 0, -np.inf).astype("float32")},
    "bias-of-the-lowest": {"bias": np.where(booleans(9, 1), 0, np.finfo("float32").min).astype("float32")},
}


def both(arrays, dy, **kwargs):
    """(value, gradients) of kcore and of Keras."""
    tensors = [convert_to_tensor(x) for x in arrays]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = ops.dot_product_attention(*tensors, **kwargs)
    ours = [y, *tape.gradient(y, tensors, output_gradients=dy)]
    value, pullback = jax.vjp(lambda *x: keras.ops.dot_product_attention(*x, **kwargs), *arrays)
    return [np.asarray(x) for x in ours], [np.asarray(x) for x in (value, *pullback(dy))]


@pytest.mark.parametrize("name", CASES)
def test_forward_and_gradient(name):
    arrays = operands()
    for got, want in zip(*both(arrays, normal(*arrays[0].shape), **CASES[name]), strict=True):
        np.testing.assert_allclose(got, want, **TOLERANCE)


def test_gradient_of_bias():
    query, key, value = operands()
    bias, mask = normal(4, 1, 7), booleans(2, 1, 9, 7)
    tensor = convert_to_tensor(bias)
    with GradientTape() as tape:
        tape.watch(tensor)
        y = ops.dot_product_attention(query, key, value, bias=tensor, mask=mask)
    want, pullback = jax.vjp(lambda b: keras.ops.dot_product_attention(query, key, value, bias=b, mask=mask), bias)
    dy = normal(*want.shape)
    np.testing.assert_allclose(tape.gradient(y, tensor, output_gradients=dy), np.asarray(pullback(dy)[0]), **TOLERANCE)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["query", "key", "value", "dy"])
def test_nan_and_inf_get_where_they_get_in_keras(where, bad, causal):
    # Enough rows for blocks that a causal kernel passes over.
    arrays = dict(zip(("query", "key", "value"), operands(200, 200, 2, 2, 4)), dy=normal(2, 200, 2, 4))
    arrays[where] = arrays[where].copy()
    arrays[where][0, 150, 1, 2] = bad
    dy = arrays.pop("dy")
    for got, want in zip(*both(list(arrays.values()), dy, is_causal=causal), strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(want))


def test_refuses_what_keras_refuses():
    query, key, value = operands()
    for operands_, kwargs in (((query[0], key, value), {}), ((query, key, value), {"attn_logits_soft_cap": 30.0})):
        for module in (ops, keras.ops):
            with pytest.raises(ValueError):
                module.dot_product_attention(*operands_, **kwargs)
