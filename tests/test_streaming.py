"""Results larger than the cache are written around it: the same bits as those of small arrays, on every ISA."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import _core, ops
from kcore.autograd import apply

ISAS = _core.supported_isas()
ROWS, COLUMNS, PIECE = 4999, 2003, 250  # 40 MB of float32, more than any op keeps; rows do not begin on cache lines


@pytest.fixture(params=ISAS)
def isa(request):
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype("float32")


def row_like(x):
    return ops.cast(np.linspace(-2, 2, COLUMNS), x.dtype)


ELEMENTWISE = {
    "exp": ops.exp,
    "isfinite": ops.isfinite,
    "cast": lambda x: ops.cast(x, "int32"),
    "square": lambda x: x * x,
    "row": lambda x: x + row_like(x),
    "column": lambda x: x * x[:, :1],
    "scalar": lambda x: x * np.float32(3),
    "greater": lambda x: x > row_like(x),
    "where": lambda x: ops.where(x > 0, x, row_like(x)),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_large_is_many_small(name, dtype, isa, x):
    f, x = ELEMENTWISE[name], ops.convert_to_tensor(x, dtype)
    large = np.asarray(f(x))
    for i in range(0, ROWS, PIECE):
        np.testing.assert_array_equal(large[i : i + PIECE], np.asarray(f(x[i : i + PIECE])))


# A bias of few channels stands for many rows of one.
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rows", [700, 901, 2_800_003])
def test_few_channels(rows, dtype, isa):
    x = ops.cast(np.random.default_rng(0).normal(size=(rows, 3)), dtype)
    bias = ops.convert_to_tensor([0.5, -1.25, 3.0], dtype)
    for f in (ops.add, lambda a, b: ops.subtract(b, a), ops.less, lambda a, b: ops.where(b > 0, a, b)):
        y = np.asarray(f(x, bias))
        for channel in range(3):
            np.testing.assert_array_equal(y[:, channel], np.asarray(f(x[:, channel], bias[channel])))


# Two and three dimensions, long and short, whole squares and what is left beside them.
MOVES = {
    "square": ((3264, 3264), (1, 0)),
    "odd": ((2999, 3001), (1, 0)),
    "heads": ((7, 500, 48, 65), (0, 2, 1, 3)),
    "to channels first": ((9, 1111, 1000), (0, 2, 1)),
    "to few channels": ((9, 3, 400_001), (0, 2, 1)),
    "from few channels": ((9, 400_016, 3), (0, 2, 1)),
    "from two channels": ((5_000_001, 2), (1, 0)),
    "to seven channels": ((7, 700_001), (1, 0)),
}


@pytest.mark.parametrize("name", MOVES)
def test_large_transpose(name, isa):
    shape, axes = MOVES[name]
    x = np.arange(np.prod(shape), dtype="int32").reshape(shape)
    np.testing.assert_array_equal(np.asarray(ops.transpose(ops.convert_to_tensor(x), axes)), x.transpose(axes))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 5), (2, 33), (33, 2), (3, 70), (70, 3), (4, 19), (17, 23), (64, 48), (70, 133)])
def test_small_transpose(shape, dtype, isa):
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 250, size=(2, *shape)).astype("float32")
    y = ops.transpose(ops.cast(ops.convert_to_tensor(x), dtype), (0, 2, 1))
    np.testing.assert_array_equal(np.asarray(ops.cast(y, "float32")), x.transpose(0, 2, 1))


def test_large_copies(isa, x):
    t = ops.convert_to_tensor(x)
    np.testing.assert_array_equal(np.asarray(ops.concatenate([t, t], axis=1)), np.concatenate([x, x], axis=1))
    np.testing.assert_array_equal(np.asarray(ops.concatenate([t, t], axis=0)), np.concatenate([x, x], axis=0))
    np.testing.assert_array_equal(np.asarray(t[3:, 5:]), x[3:, 5:])
    np.testing.assert_array_equal(np.asarray(ops.pad(t, ((1, 2), (3, 0)))), np.pad(x, ((1, 2), (3, 0))))
    np.testing.assert_array_equal(np.asarray(ops.full(x.shape, 3.0)), np.full(x.shape, 3, "float32"))


def test_large_pointwise_convolution(isa):
    rng = np.random.default_rng(1)
    x, dy = (rng.standard_normal((4, 180, 190, n), dtype=np.float32) for n in (40, 41))
    kernel = ops.convert_to_tensor(rng.standard_normal((1, 1, 40, 41), dtype=np.float32))
    bias = ops.ones(41)
    assert x.nbytes + dy.nbytes > 32 << 20
    attrs = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "groups": 1}

    def forward(x):
        return np.asarray(apply("conv", (ops.convert_to_tensor(x), kernel, bias), {**attrs, "activation": "relu"}))

    def input_grad(dy):
        inputs = (ops.convert_to_tensor(dy), kernel)
        return np.asarray(apply("conv_input_grad", inputs, {"input_shape": [180, 190], **attrs}))

    for f, images in ((forward, x), (input_grad, dy)):
        np.testing.assert_array_equal(f(images), np.concatenate([f(images[i : i + 1]) for i in range(len(images))]))


@pytest.mark.parametrize(
    ("shape", "size", "filters"),
    [
        ((4, 180, 190, 16), 1, 80),  # direct; a row is more than one and less than two of its parts
        ((3, 160, 160, 96), 3, 16),  # direct, in several spans of K, which are added to what is there
        ((4, 45, 45, 40), 1, 1040),  # packed
        ((4, 40, 40, 300), 1, 1040),  # packed, in several spans of K
    ],
)
def test_large_convolution_with_an_epilogue(shape, size, filters, isa):
    if isa == "scalar" and size * size * shape[-1] > 40:
        pytest.skip("seconds, and the same code")
    rng = np.random.default_rng(3)
    x = rng.standard_normal(shape, dtype=np.float32)
    residual = rng.standard_normal((*shape[:3], filters), dtype=np.float32)
    kernel, bias = (rng.standard_normal(s, dtype=np.float32) for s in ((size, size, shape[-1], filters), (filters,)))
    assert x.nbytes + residual.nbytes > 32 << 20
    attrs = {"pads": [size // 2] * 4, "activation": "relu"}

    def run(x, residual):
        inputs = (ops.convert_to_tensor(v) for v in (x, kernel, bias, residual))
        return np.asarray(apply("conv", tuple(inputs), attrs))

    pieces = [run(x[i : i + 1], residual[i : i + 1]) for i in range(len(x))]
    np.testing.assert_array_equal(run(x, residual), np.concatenate(pieces))


# Optimizer, its slots (None: not used), how many 0-d tensors it takes.
UPDATES = [
    ("sgd", [None], 1),
    ("sgd", [1], 1),
    ("rmsprop", [1, None, 1], 1),
    ("adam", [1, 1, 1], 2),
    ("ftrl", [1, 1], 1),
]


@pytest.mark.parametrize(("op", "slots", "scalars"), UPDATES)
def test_large_update(op, slots, scalars, isa):
    rng = np.random.default_rng(2)
    n, piece = 5_000_003, 1_000_003
    arrays = [rng.random(n, np.float32) + np.float32(0.1) for _ in range(2)]
    arrays += [None if s is None else rng.random(n, np.float32) + np.float32(0.1) for s in slots]
    assert sum(x is not None for x in arrays) * arrays[0].nbytes > 32 << 20

    def update(begin, end):
        given = [None if x is None else ops.convert_to_tensor(x[begin:end]) for x in arrays]
        return [np.asarray(y) for y in apply(op, (*given, *[ops.convert_to_tensor(0.5)] * scalars))]

    parts = [update(i, i + piece) for i in range(0, n, piece)]
    for large, small in zip(update(0, n), zip(*parts)):
        np.testing.assert_array_equal(large, np.concatenate(small))
