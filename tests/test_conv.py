"""Convolutions beyond the op table: random windows on every ISA, bad arguments, gradients through functions."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest

from kcore import _core, ops
from kcore.autograd import GradientTape, apply, convert_to_tensor
from oracles import conv as oracle

ISAS = _core.supported_isas()


@pytest.fixture(params=ISAS)
def isa(request):
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


def random_window(rng):
    """Sizes and attributes of a convolution that infer accepts."""
    while True:
        rank = int(rng.integers(1, 4))
        groups, channels, filters = (int(rng.choice(c)) for c in ([1, 1, 2, 3], [1, 2, 5, 16, 40], [1, 3, 33, 70]))
        if rng.random() < 0.3:  # depthwise
            groups, channels, filters = int(rng.choice([2, 16, 70])), 1, int(rng.choice([1, 1, 3]))
        sizes = [int(n) for n in rng.integers(1, 14 if rank < 3 else 7, rank)]
        kernel = [int(k) for k in rng.integers(1, 5, rank)]
        strides = [int(s) for s in rng.integers(1, 5, rank)]
        dilations = [int(d) for d in rng.choice([1, 1, 2, 3], rank)]
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
        pads = [int(rng.integers(0, r)) for r in reach for _ in range(2)]
        if all(n + pads[2 * i] + pads[2 * i + 1] >= r for i, (n, r) in enumerate(zip(sizes, reach))):
            attrs = {"strides": strides, "pads": pads, "dilations": dilations, "groups": groups}
            return sizes, kernel, groups * channels, groups * filters, attrs


def check(op, inputs, **attrs):
    """Within 6 ULP of the sum of absolute products: sums in spans of 256, in another order."""
    want = getattr(oracle, op)(*inputs, **attrs)
    scale = getattr(oracle, op)(*map(np.abs, inputs), **attrs)
    got = np.asarray(apply(op, [convert_to_tensor(x) for x in inputs], attrs))
    assert got.shape == want.shape
    assert (np.abs(got - want) <= 6 * np.finfo(got.dtype).eps * scale + 1e-30).all(), (
        op,
        [x.shape for x in inputs],
        attrs,
    )


@pytest.mark.parametrize("seed", range(40))
def test_random_windows(isa, seed):
    rng = np.random.default_rng(seed)
    sizes, kernel, channels, filters, attrs = random_window(rng)
    dtype = ["float32", "float64"][seed % 2]
    x = rng.normal(size=(int(rng.integers(1, 4)), *sizes, channels)).astype(dtype)
    w = rng.normal(size=(*kernel, channels // attrs["groups"], filters)).astype(dtype)
    dy = rng.normal(size=oracle.conv(x, w, **attrs).shape).astype(dtype)
    check("conv", [x, w], **attrs)
    check("conv_input_grad", [dy, w], input_shape=sizes, **attrs)
    check("conv_kernel_grad", [x, dy], kernel_shape=kernel, **attrs)


def test_nan_stays_where_it_is(isa):
    x = np.ones((1, 6, 6, 2), "float32")
    x[0, 5, 5, 0] = np.nan
    y = np.asarray(ops.conv(x, np.ones((3, 3, 2, 4), "float32")))
    assert np.isnan(y[0, 3, 3]).all() and np.isfinite(np.delete(y.reshape(16, 4), 15, axis=0)).all()


def test_gradients_through_layout_and_transposed_convolution():
    rng = np.random.default_rng(0)
    x, w = (convert_to_tensor(rng.normal(size=s)) for s in ((2, 3, 5, 4), (2, 3, 6, 3)))

    def loss(x, w):
        y = ops.conv_transpose(x, w, strides=2, padding="same", data_format="channels_first")
        return np.asarray(y), y * y

    with GradientTape() as tape:
        tape.watch([x, w])
        _, square = loss(x, w)
    dx, dw = tape.gradient(square, [x, w])
    step, h = rng.normal(size=x.shape), 1e-4
    slope = sum((s * (loss(convert_to_tensor(np.asarray(x) + s * h * step), w)[0] ** 2).sum()) for s in (1, -1)) / (
        2 * h
    )
    np.testing.assert_allclose((np.asarray(dx) * step).sum(), slope, rtol=1e-6)
    assert dw.shape == w.shape


def ones(*shape):
    return np.ones(shape, "float32")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.conv(ones(8, 28, 28, 3), ones(3, 3, 4, 32)),
            r"\[conv\] expected kernel of shape \(kh, kw, 3, filters\), received \(3, 3, 4, 32\); "
            r"input is \(8, 28, 28, 3\)",
        ),
        (
            lambda: ops.conv(ones(1, 5, 5, 6), ones(3, 3, 2, 4)),
            "filters divisible by groups, received 4 filters and 3 groups",
        ),
        (lambda: ops.conv(ones(1, 5, 5, 3), ones(3, 3, 4)), "as many dimensions"),
        (lambda: ops.conv(ones(5, 3), ones(3, 3)), "1 to 3 spatial dimensions"),
        (lambda: ops.conv(ones(1, 2, 5, 3), ones(3, 3, 3, 4)), "output would be empty"),
        (lambda: ops.conv(ones(1, 5, 5, 3), ones(3, 3, 3, 4), strides=0), "expected strides between 1"),
        (lambda: ops.conv(ones(1, 5, 5, 3), ones(3, 3, 3, 4), strides=(1, 2, 3)), "strides to be an int or 2 ints"),
        (lambda: ops.conv(ones(1, 5, 5, 3), ones(3, 3, 3, 4), strides=1.5), "strides to be an int or 2 ints"),
        (lambda: ops.conv(ones(1, 5, 5, 3), ones(3, 3, 3, 4), dilation_rate=-1), "expected dilations between 1"),
        (lambda: ops.conv(ones(1, 5, 5, 3), ones(3, 3, 3, 4), padding="some"), "'valid', 'same', received 'some'"),
        (lambda: ops.conv(ones(1, 5, 5, 3), ones(3, 3, 3, 4), padding="causal"), "received 'causal'"),
        (lambda: ops.conv(ones(1, 5, 5, 3), ones(3, 3, 3, 4), data_format="NHWC"), "channels_last"),
        (lambda: ops.depthwise_conv(ones(1, 5, 5, 3), ones(3, 3, 4, 1)), r"\(k, k, 3, multiplier\)"),
        (lambda: ops.conv_transpose(ones(1, 5, 5, 3), ones(3, 3, 4, 2)), r"\(k, k, filters, 3\)"),
        (lambda: ops.conv_transpose(ones(1, 5, 5, 3), ones(3, 3, 4, 3), output_padding=(1,)), "output_padding"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()


HOSTILE = [-(2**63), -(2**31), -1, 0, 2, 2**31 - 1, 2**31, 2**62, 2**63 - 1]


@pytest.mark.parametrize("name", ["strides", "pads", "dilations", "groups", "input_shape", "kernel_shape"])
def test_hostile_attributes_raise_or_are_refused(name):
    """No value of an attribute crashes or allocates what the result does not need."""
    x, w, dy = (convert_to_tensor(ones(*s)) for s in ((1, 5, 5, 2), (3, 3, 2, 4), (1, 3, 3, 4)))
    calls = {"conv": ([x, w], {}), "conv_input_grad": ([dy, w], {"input_shape": [5, 5]})}
    calls["conv_kernel_grad"] = ([x, dy], {"kernel_shape": [3, 3]})
    for value, (op, (inputs, attrs)) in itertools.product(HOSTILE, calls.items()):
        if name in ("input_shape", "kernel_shape") and name not in attrs:
            continue
        lists = (
            [value] if name == "groups" else [[value] * n for n in (1, 2, 3, 4)] + [[1, value, 0, 0], [0, 0, 0, value]]
        )
        for given in lists:
            with contextlib.suppress(ValueError, TypeError, MemoryError):
                apply(op, inputs, {**attrs, name: given})
    assert _core.memory_stats()["peak"] < 2**31


@pytest.mark.parametrize(("op", "count"), [("conv", 2), ("conv_input_grad", 2), ("conv_kernel_grad", 2)])
def test_wrong_ranks_and_dtypes(op, count):
    shapes = [(), (3,), (0,), (2, 3), (2, 3, 4), (1, 2, 3, 4), (0, 2, 3, 4), (1, 1, 1, 1), (1, 2, 2, 2, 2), (1,) * 6]
    for shape_a, shape_b, dtype in itertools.product(shapes, shapes, ["float32", "int32"]):
        inputs = [convert_to_tensor(np.ones(s, dtype)) for s in (shape_a, shape_b)]
        for attrs in ({}, {"input_shape": [2, 3]} if op == "conv_input_grad" else {"strides": [1, 1]}):
            try:
                apply(op, inputs, attrs)
            except (ValueError, TypeError) as error:
                assert f"[{op}]" in str(error)


def test_pairs_of_positions_end_with_their_row(isa):
    """Rows of an odd number of positions: the second of the last pair is none, whatever its pixel holds."""
    x, dy = np.ones((1, 4, 13, 6), "float32"), np.ones((1, 2, 11, 20), "float32")
    x[:, :, 12] = np.inf  # which the last tap alone sees
    x, dy = (convert_to_tensor(v, dtype="bfloat16") for v in (x, dy))
    dkernel = np.asarray(apply("conv_kernel_grad", (x, dy), {"kernel_shape": [3, 3]})).astype("float32")
    assert (dkernel[:, :2] == 22).all() and np.isposinf(dkernel[:, 2]).all()
