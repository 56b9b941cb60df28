"""Pooling functions against Keras on JAX: random windows, ties, both layouts, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops

keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")


def random_windows(rank, count):
    rng = np.random.default_rng(rank)
    for _ in range(count):
        sizes, window = rng.integers(4, 9, rank), tuple(map(int, rng.integers(1, 5, rank)))
        strides = tuple(map(int, rng.integers(1, 4, rank)))
        padding, first = str(rng.choice(["valid", "same"])), bool(rng.random() < 0.5)
        shape = (2, 3, *sizes) if first else (2, *sizes, 3)
        # Few different values: windows with several maxima.
        x = rng.integers(-3, 3, shape).astype("float32")
        yield x, (window, strides, padding, "channels_first" if first else "channels_last")


def check(name, x, *arguments):
    want, pullback = jax.vjp(lambda x: getattr(keras.ops, name)(x, *arguments), x)
    got = getattr(ops, name)(x, *arguments)
    assert got.shape == want.shape
    # A mean of at most 64 small integers: a rounding of the sum and one of the quotient.
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-6, atol=1e-6, err_msg=str(arguments))
    dy = np.random.default_rng(1).normal(size=want.shape).astype("float32")
    dx = kcore.grad(lambda x: ops.sum(getattr(ops, name)(x, *arguments) * dy))(x)
    np.testing.assert_allclose(np.asarray(dx), pullback(dy)[0], rtol=1e-5, atol=1e-6, err_msg=str(arguments))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
def test_forward_and_gradient(name, rank):
    for x, arguments in random_windows(rank, 3):
        check(name, x, *arguments)


def test_defaults():
    x = np.arange(12, dtype="int32").reshape(1, 6, 2)
    assert ops.max_pool(x, 2).dtype == "int32"
    assert np.asarray(ops.max_pool(x, 2)).tolist() == [[[2, 3], [6, 7], [10, 11]]]
    assert np.asarray(ops.average_pool(x, 2)).tolist() == [[[1, 2], [5, 6], [9, 10]]]


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((2, 3), (2,), "1 to 3 spatial dimensions"),
        ((1, 2, 2, 1), (3,), "window no larger than the padded input"),
        ((1, 4, 4, 1), ((2, 2, 2),), "pool_size"),
        ((1, 4, 4, 1), (0,), "pool_size"),
        ((1, 4, 4, 1), (2, 0), "strides"),
        ((1, 4, 4, 1), (2, 2, "full"), "padding"),
        ((1, 4, 4, 1), (2, 2, "same", "last"), "data_format"),
    ],
)
def test_refused(shape, arguments, message):
    with pytest.raises(ValueError, match=message):
        ops.max_pool(np.zeros(shape, "float32"), *arguments)
