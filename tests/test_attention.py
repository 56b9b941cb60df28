"""Attention where the op table does not look: accuracy beside the composed ops, blocks that are passed over, errors."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.autograd import GradientTape, apply, convert_to_tensor


def normal(*shape, key=0):
    return np.random.default_rng((key, *shape)).normal(size=shape)


def composed(query, key, value, scale):
    """The same in one op for each step, for shapes (batch, T, heads, size)."""
    q, k, v = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
    weights = ops.softmax(ops.matmul(q * scale, ops.swapaxes(k, -1, -2)))
    return ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))


def with_gradients(f, arrays, dy, dtype):
    tensors = [convert_to_tensor(x.astype(dtype)) for x in arrays]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = f(*tensors)
    return [np.asarray(x, np.float64) for x in (y, *tape.gradient(y, tensors, output_gradients=dy.astype(dtype)))]


@pytest.mark.parametrize("spread", [1.0, 30.0])  # scores of order 1, and so large that a few weights are all
def test_as_accurate_as_the_composed_ops(spread):
    arrays = [normal(2, 200, 3, 64, key=i).astype("float32") for i in range(3)]
    dy, scale = normal(2, 200, 3, 64, key=3).astype("float32"), spread / 8
    exact = with_gradients(lambda *x: composed(*x, scale), arrays, dy, "float64")
    ours = with_gradients(lambda *x: ops.dot_product_attention(*x, scale=scale), arrays, dy, "float32")
    theirs = with_gradients(lambda *x: composed(*x, scale), arrays, dy, "float32")
    for want, got, other in zip(exact, ours, theirs, strict=True):
        error, allowed = (np.linalg.norm(x - want) / np.linalg.norm(want) for x in (got, other))
        # Roundings fall differently: the two errors are equal within some ten percent.
        assert error <= 1.25 * allowed, (error, allowed)


@pytest.mark.parametrize("causal", [False, True])
def test_rows_without_a_key_weigh_all_keys_alike(causal):
    # float32: the op table checks the gradient in float64 only. Rows enough for blocks that are passed over.
    mask = np.ones((1, 1, 300, 300), bool)
    mask[0, 0, 7] = mask[0, 0, 250] = False
    arrays, dy = [normal(1, 300, 2, 8, key=i) for i in range(3)], normal(1, 300, 2, 8, key=3)
    results = [
        with_gradients(lambda *x: ops.dot_product_attention(*x, mask=mask, is_causal=causal), arrays, dy, dtype)
        for dtype in ("float32", "float64")
    ]
    np.testing.assert_allclose(
        results[0][0][:, [7, 250]], np.broadcast_to(arrays[2].mean(1, keepdims=True), (1, 2, 2, 8)), atol=1e-6
    )
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-5)


def test_large_scores_keep_their_sum():
    # Two equal scores of 3e4: a logarithm of the sum, beside 3e4, would lose log 2 in float32.
    query, key = np.full((1, 1, 1, 1), 3e4), np.ones((1, 2, 1, 1))
    value, dy = np.array([1.0, 3.0]).reshape(1, 2, 1, 1), np.ones((1, 1, 1, 1))
    y, _, _, dvalue = with_gradients(
        lambda *x: ops.dot_product_attention(*x, scale=1), [query, key, value], dy, "float32"
    )
    assert y.item() == 2
    np.testing.assert_array_equal(dvalue.ravel(), [0.5, 0.5])


def test_masked_blocks_change_no_bit():
    arrays = [normal(1, 300, 2, 16, key=i).astype("float32") for i in range(3)]
    padding = (np.arange(300) < 40)[None, None, None]
    padded = ops.dot_product_attention(*arrays, mask=padding)
    short = ops.dot_product_attention(arrays[0], *(x[:, :40] for x in arrays[1:]))
    np.testing.assert_array_equal(np.asarray(padded), np.asarray(short))


def test_dtypes_meet():
    x = normal(1, 3, 2, 4)
    assert ops.dot_product_attention(x.astype("float32"), x, x.astype("float32")).dtype == "float64"
    assert ops.dot_product_attention(*[np.ones((1, 3, 2, 4), "int32")] * 3).dtype == "float32"


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"query": (2, 3, 4)}, "rank|dimensions"),
        ({"key": (2, 5, 2, 9)}, "expected a key of shape"),
        ({"key": (2, 5, 3, 8), "value": (2, 5, 3, 8)}, "multiple of kv_heads"),
        ({"value": (2, 6, 2, 8)}, "expected a value of the key's batch, length and heads"),
        ({"key": (2, 0, 2, 8), "value": (2, 0, 2, 8)}, "at least one key"),
        ({"mask": (2, 4, 3, 6)}, "expected mask of a shape that broadcasts"),
    ],
)
def test_errors_tell_shapes(shapes, message):
    known = {"query": (2, 3, 4, 8), "key": (2, 5, 2, 8), "value": (2, 5, 2, 8)} | shapes
    arrays = {name: np.ones(shape, "float32") for name, shape in known.items()}
    with pytest.raises(ValueError, match=message):
        ops.dot_product_attention(**arrays)


def test_empty_batch():
    x = convert_to_tensor(np.zeros((0, 3, 2, 4), "float32"))
    assert apply("attention", (x, x, x, None, None), {"scale": 1.0})[0].shape == (0, 3, 2, 4)
