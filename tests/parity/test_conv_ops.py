"""Convolution functions against Keras on JAX: random windows, and every kind of transposed padding."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from kcore import ops

keras = pytest.importorskip("keras")

# Sums of a few hundred products of standard normal values, in another order than JAX's.
TOLERANCE = dict(rtol=1e-4, atol=1e-4)


def both(name, *arrays, **options):
    """The result of one function in Keras and here; None for both where both refuse."""
    try:
        want = np.asarray(getattr(keras.ops, name)(*arrays, **options))
    except Exception:
        want = None
    if want is None or want.size == 0:
        with pytest.raises(ValueError):
            getattr(ops, name)(*arrays, **options)
        return
    got = np.asarray(getattr(ops, name)(*arrays, **options))
    assert got.shape == want.shape, (arrays[0].shape, arrays[1].shape, options)
    np.testing.assert_allclose(got, want, **TOLERANCE, err_msg=str((arrays[0].shape, arrays[1].shape, options)))


def windows(name, rank, count):
    """Random sizes, kernels, strides and the rest. JAX refuses strides with dilations in one call."""
    rng = np.random.default_rng(zlib.crc32(f"{name}{rank}".encode()))
    for _ in range(count):
        kernel = tuple(int(k) for k in rng.integers(1, 5, rank))
        sizes = tuple(int(n) for n in rng.integers(3, 9, rank))
        stride, dilation = (int(rng.integers(1, 4)), 1) if rng.random() < 0.7 else (1, int(rng.integers(1, 4)))
        # Keras on JAX has no channels_first for volumes on CPU.
        first = rank < 3 and rng.random() < 0.3
        x = rng.normal(size=(2, 6, *sizes) if first else (2, *sizes, 6)).astype("float32")
        options = {
            "strides": stride if rng.random() < 0.5 else (stride,) * rank,
            "padding": str(rng.choice(["valid", "same"])),
            "data_format": "channels_first" if first else "channels_last",
            "dilation_rate": dilation,
        }
        yield rng, kernel, x, options


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["conv", "grouped", "depthwise_conv", "separable_conv", "conv_transpose"])
def test_functions(name, rank):
    def normal(*shape):
        return rng.normal(size=shape).astype("float32")

    for rng, kernel, x, options in windows(name, rank, 5):
        if name == "conv":
            both("conv", x, normal(*kernel, 6, 4), **options)
        elif name == "grouped":
            both("conv", x, normal(*kernel, 2, 9), **options)
        elif name == "depthwise_conv":
            both(name, x, normal(*kernel, 6, int(rng.integers(1, 3))), **options)
        elif name == "separable_conv":
            both(name, x, normal(*kernel, 6, 2), normal(*(1,) * rank, 12, 5), **options)
        else:
            options["output_padding"] = [None, None, 0, 1, 2][int(rng.integers(5))]
            both(name, x, normal(*kernel, 5, 6), **options)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_transposed_line(kernel, stride):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5, 2)).astype("float32")
    w = rng.normal(size=(kernel, 3, 2)).astype("float32")
    for padding in ("valid", "same"):
        for output_padding in (None, 0, 1, 2):
            both("conv_transpose", x, w, strides=stride, padding=padding, output_padding=output_padding)


def test_strides_differ_by_axis():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 10, 3)).astype("float32")
    both("conv", x, rng.normal(size=(3, 2, 3, 4)).astype("float32"), strides=(2, 3), padding="same")
    both("conv_transpose", x, rng.normal(size=(3, 2, 4, 3)).astype("float32"), strides=(2, 3), padding="same")


def test_inputs_take_the_dtype_of_the_kernel():
    x = np.ones((1, 4, 4, 2), "uint8")
    w = np.ones((2, 2, 2, 3), "float32")
    assert np.asarray(ops.conv(x, w)).dtype == np.asarray(keras.ops.conv(x, w)).dtype == np.float32
