"""bfloat16: conversions, promotion, and where it stays what it is. Every op in it is in test_ops.py."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.autograd import apply, convert_to_tensor, result_type

BF16 = ml_dtypes.bfloat16
ALL = np.arange(2**16, dtype="uint16").view(BF16)
NAN = (np.arange(2**16) & 0x7FFF) > 0x7F80


def bits(x) -> np.ndarray:
    return np.asarray(x).view("uint16")


def test_import_does_not_need_ml_dtypes():
    code = "import sys, kcore; assert 'ml_dtypes' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_values_come_back_from_float32():
    wide = ops.cast(ALL, "float32")
    np.testing.assert_array_equal(bits(wide.numpy().view("uint16")[1::2]), bits(ALL))
    back = np.asarray(ops.cast(wide, "bfloat16"))
    np.testing.assert_array_equal(bits(back)[~NAN], bits(ALL)[~NAN])
    assert ((bits(back)[NAN] & 0x7FFF) > 0x7F80).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounds_to_nearest_even(dtype):
    low = ALL[1:0x7F80].astype(dtype)  # the positive finite ones, in order
    gap = np.diff(low)
    x = np.concatenate([low[:-1] + f * gap for f in (0.25, 0.5, 0.75)]).astype(dtype)
    x = np.concatenate([x, -x])
    np.testing.assert_array_equal(bits(ops.cast(x, "bfloat16")), bits(x.astype(BF16)))
    halfway = low[:-1] + 0.5 * gap
    assert (bits(ops.cast(halfway.astype(dtype), "bfloat16")) % 2 == 0).all()


def test_too_large_is_infinite_and_nan_stays():
    x = np.array([3.4e38, -3.4e38, np.inf, np.nan], "float32")
    np.testing.assert_array_equal(ops.cast(x, "bfloat16").numpy().astype("float32"), [np.inf, -np.inf, np.inf, np.nan])
    assert np.isnan(float(convert_to_tensor(float("nan"), "bfloat16")))


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 5001])
def test_elementwise_ops_round_what_float32_gives(size):
    random = np.random.default_rng(size)
    a, b = (random.integers(0, 1 << 16, size).astype("uint16").view(BF16) for _ in range(2))  # NaNs and all
    wide = [x.astype("float32") for x in (a, b)]

    def check(f, *narrow_and_wide):
        y, want = (np.asarray(f(*operands)) for operands in zip(*narrow_and_wide))
        with np.errstate(all="ignore"):  # NumPy warns of NaN and of what rounds to Inf
            np.testing.assert_array_equal(y.astype("float32"), want.astype(BF16).astype("float32"))

    x, y, one = (a, wide[0]), (b, wide[1]), (BF16(1.25), np.float32(1.25))
    for f in (ops.add, ops.multiply, ops.maximum, ops.mod):
        for operands in ((x, y), (x, one), (one, y)):
            check(f, *operands)
    for f in (ops.negative, ops.relu, ops.tanh, ops.sin, lambda v: ops.clip(v, -1, 1)):
        check(f, x)


def test_numpy_and_python_values():
    x = convert_to_tensor(np.array([1.0, 2.5], BF16))
    assert x.dtype == "bfloat16" and x.numpy().dtype == BF16 and np.asarray(x, "float32").tolist() == [1, 2.5]
    assert x.tolist() == [1.0, 2.5] and type(x.tolist()[0]) is float and type(x[0].item()) is float
    assert convert_to_tensor([BF16(1.5)]).dtype == "bfloat16"
    assert convert_to_tensor([1, 2], "bfloat16").tolist() == [1, 2]
    assert convert_to_tensor(1.003, "bfloat16").item() == 1.0 and "bfloat16" in repr(x)
    for other in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), convert_to_tensor(x.numpy()[::-1])[::-1]):
        np.testing.assert_array_equal(bits(other), bits(x))
    with pytest.raises(TypeError, match="expected an integer tensor, received bfloat16"):
        range(5)[x[0]]
    with pytest.raises(ValueError, match="expected one of bool"):
        convert_to_tensor(np.zeros(2, ml_dtypes.float8_e5m2))


def test_dlpack():
    torch = pytest.importorskip("torch")
    x = convert_to_tensor(np.array([1.0, 2.5], BF16))
    there = torch.from_dlpack(x)
    assert there.dtype == torch.bfloat16 and there.tolist() == [1, 2.5] and there.data_ptr() == bits(x).ctypes.data
    assert convert_to_tensor(there).dtype == "bfloat16"


def test_promotion():
    for other in ("bool", "uint8", "int32", "int64", "bfloat16", int, float):
        assert result_type("bfloat16", other) == result_type(other, "bfloat16") == "bfloat16"
    assert result_type("bfloat16", "float32") == "float32" and result_type("bfloat16", "float64") == "float64"
    x = ops.ones((2,), "bfloat16")
    assert (x * 0.1 + 1).dtype == (x + np.float64(1)).dtype == ops.sqrt(x).dtype == "bfloat16"
    assert (x + ops.ones((2,))).dtype == "float32" and (x > 0).dtype == "bool" and ops.argmax(x).dtype == "int32"


def test_sums_and_products_accumulate_in_float32():
    ones = ops.ones((4, 1000), "bfloat16")
    assert ops.sum(ones, axis=1).tolist() == [1000] * 4  # 256 + 1 is 256 in bfloat16
    assert ops.matmul(ones, ops.transpose(ones)).tolist() == [[1000] * 4] * 4
    assert ops.mean(ones).item() == ops.var(ones * 3 + ops.arange(1000.0) % 2).item() * 4 == 1


def test_gradients_have_the_dtype_of_what_they_are_of():
    x, w = convert_to_tensor([1.0, 2.0], "bfloat16"), kcore.Variable([3.0, 4.0])
    with kcore.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = ops.sum(ops.cast(x * ops.cast(w, "bfloat16"), "float32"))
    dx, dw = tape.gradient(y, [x, w])
    assert (dx.dtype, dx.tolist()) == ("bfloat16", [3, 4]) and (dw.dtype, dw.tolist()) == ("float32", [1, 2])


def test_random_numbers():
    from kcore import random

    for low, high in ((0.0, 1.0), (-1.0, 0.0), (0.0, 0.3), (-3.0, -1.0)):
        x = random.uniform((100_000,), low, high, dtype="bfloat16", seed=1).numpy().astype("float64")
        assert x.min() >= low and x.max() < high
        assert abs(x.mean() - (low + high) / 2) < 0.02
    x = random.normal((100_000,), dtype="bfloat16", seed=1).numpy().astype("float64")
    assert abs(x.mean()) < 0.02 and abs(x.std() - 1) < 0.02
    np.testing.assert_array_equal(
        bits(random.truncated_normal((99,), dtype="bfloat16", seed=2)),
        bits(ops.cast(random.truncated_normal((99,), seed=2), "bfloat16")),
    )


def test_composites_know_its_range():
    x = convert_to_tensor(np.array([np.inf, -np.inf, np.nan, 1], BF16))
    assert ops.nan_to_num(x).tolist() == [float(ml_dtypes.finfo(BF16).max), float(ml_dtypes.finfo(BF16).min), 0, 1]
    assert ops.saturate_cast(convert_to_tensor(np.array([3e9, -3e9, 300], BF16)), "int32").numpy().max() > 2**30
    assert ops.saturate_cast(convert_to_tensor(np.array([300.0, -1], BF16)), "uint8").tolist() == [255, 0]
    assert ops.median(convert_to_tensor(np.array([1, 2, 4.0], BF16))).dtype == "bfloat16"


def test_default_float():
    try:
        kcore.config.set_floatx("bfloat16")
        assert convert_to_tensor([0.5]).dtype == kcore.Variable(0.5).dtype == "bfloat16"
        assert (convert_to_tensor([1]) * 0.5).dtype == kcore.layers.Dense(2)(np.ones((1, 2))).dtype == "bfloat16"
    finally:
        kcore.config.set_floatx("float32")


@pytest.mark.parametrize("op", ["cast", "relu", "add", "greater", "transpose", "sum", "matmul", "layer_normalization"])
def test_threads_do_not_matter(op):
    from kcore import _core

    x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(600, 700)), "bfloat16")
    arguments = {"cast": ("float32",), "add": (x[0],), "greater": (0.5,), "matmul": (ops.transpose(x),)}
    before, results = _core.num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            _core.set_num_threads(threads)
            results.append(np.asarray(getattr(ops, op)(x, *arguments.get(op, ()))).tobytes())
    finally:
        _core.set_num_threads(before)
    assert results[1:] == results[:1] * 3


def test_optimizers_take_gradients_and_variables_of_it():
    for dtype in ("float32", "bfloat16"):
        for name in ("SGD", "Adam", "RMSprop", "Adagrad", "Adafactor", "Lamb", "Lion", "Ftrl"):
            w = kcore.Variable([1.0, 2.0], dtype=dtype)
            getattr(kcore.optimizers, name)(0.5).apply([ops.ones((2,), "bfloat16")], [w])
            assert w.dtype == dtype and (w.numpy().astype("float32") < [1, 2]).all(), name


# Shapes of several tiles (csrc/ops/tile.h), of rows as long as one and longer, and of too long ones.
SHAPES = {"rows": (700, 130), "columns": (3, 257, 33), "long": (5, 9001), "longer": (2, 70_001), "short": (3001, 7)}
TILED = {
    "sum": {"axes": [1]},
    "mean": {"axes": [0]},
    "max": {},
    "prod": {"axes": [0]},
    "any": {"axes": [1]},
    "softmax": {},
    "log_softmax": {"axis": 0},
    "softmax_grad": {},
    "log_softmax_grad": {},
    "layer_norm": {},
    "layer_norm_grad": {},
    "batch_norm_train": {},
    "batch_norm_grad": {},
    "batch_norm_inference": {},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", TILED)
def test_tiles(op, shape):
    """What float32 gives for the widened arrays, rounded."""
    shape = SHAPES[shape]
    rng = np.random.default_rng(0)
    x, dy = (ops.cast(rng.standard_normal(shape, np.float32), "bfloat16") for _ in range(2))
    per_row = ops.cast(rng.random(shape[:-1], np.float32), "float32")
    per_column = ops.cast(rng.random(shape[-1:], np.float32), "float32")
    others = {
        "layer_norm": [per_column, per_column],
        "layer_norm_grad": [x, per_column, per_row, per_row],
        "batch_norm_train": [per_column, per_column],
        "batch_norm_grad": [x, per_column, per_column, per_column],
        "batch_norm_inference": [per_column] * 4,
    }.get(op, [x] if op.endswith("_grad") else [])
    got = apply(op, [dy, *others], TILED[op])
    want = apply(op, [ops.cast(a, "float32") for a in (dy, *others)], TILED[op])
    got, want = (y if isinstance(y, tuple) else (y,) for y in (got, want))
    assert got[0].dtype == ("bool" if op == "any" else "bfloat16")
    for y, wide in zip(got, want):
        np.testing.assert_array_equal(np.asarray(ops.cast(wide, y.dtype)), np.asarray(y))
