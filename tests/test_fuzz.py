"""Random shapes, dtypes and attributes at every op: a result or an exception, never a crash.

Run once for each KCORE_ISA, and once more with an extension built with -DKCORE_SANITIZE=ON.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcore import _core
from op_cases import CASES

DTYPES = ["bool", "uint8", "int32", "uint32", "int64", "float32", "float64", "bfloat16"]
CLEAN = (ValueError, TypeError, IndexError, MemoryError, OverflowError)

# Small enough to run, with the values that overflow careless arithmetic. Sizes between are left out: they would be
# honest requests for gigabytes.
INTS = st.one_of(st.integers(-3, 9), st.sampled_from([2**62, -(2**62), 2**63 - 1, -(2**63), 2**31, -(2**31) - 1]))
ATTRS = {
    "bool": st.booleans(),
    "int": INTS,
    "float": st.one_of(st.floats(), st.sampled_from([0.0, 1.0, 0.5])),
    "list[int]": st.one_of(st.lists(st.integers(-1, 4), max_size=6), st.lists(INTS, max_size=6)),
    "str": st.sampled_from([*DTYPES, "bilinear", "nearest", "relu", "tanh", "linear", "constant", "reflect", ""]),
}
SHAPES = st.lists(st.integers(0, 5), max_size=5)


def array(draw, shape, dtype):
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    if dtype == "bool":
        return generator.random(shape) < 0.5
    if "float" in dtype:
        dtype = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
        values = generator.normal(size=shape).astype(dtype)
        return np.where(
            generator.random(shape) < 0.05, np.asarray([np.nan, np.inf, -np.inf, 0.0])[draw(st.integers(0, 3))], values
        ).astype(dtype)
    low = 0 if dtype.startswith("u") else -3
    return generator.integers(low, 9, size=shape).astype(dtype)


def call(op, arrays, attrs):
    try:
        result = _core.run(op, [None if x is None else _core.from_numpy(x) for x in arrays], attrs)
    except CLEAN as error:
        assert str(error), "an error must say what it is about"
        return
    for y in result if isinstance(result, tuple) else (result,):
        y.numpy().tobytes()  # all of it is readable


@st.composite
def random_call(draw, op):
    """Anything at all."""
    inputs, _, attrs = _core.op_schemas()[op]
    count = draw(st.integers(0, 3)) if inputs[:1] and inputs[0].endswith("*") else len(inputs)
    shape, dtype = draw(SHAPES), draw(st.sampled_from(DTYPES))
    arrays = []
    for _ in range(count):
        if draw(st.integers(0, 9)) == 0:
            arrays.append(None)
            continue
        if draw(st.booleans()):
            shape = draw(SHAPES)
        if draw(st.integers(0, 4)) == 0:
            dtype = draw(st.sampled_from(DTYPES))
        arrays.append(array(draw, shape, dtype))
    return arrays, {name: draw(ATTRS[kind]) for name, kind in attrs if draw(st.integers(0, 3))}


@st.composite
def damaged_call(draw, op):
    """A valid call of the op table with one thing changed: gets past the first checks."""
    case = draw(st.sampled_from([c for c in CASES if c.op == op]))
    arrays, attrs = case.arrays(draw(st.sampled_from(["bfloat16", "float32", "float64"]))), dict(case.attrs)
    kinds = dict(_core.op_schemas()[op][2])
    if kinds and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(kinds)))
        value = attrs.get(name)
        if kinds[name] == "list[int]" and value and draw(st.booleans()):
            value = list(value)
            value[draw(st.integers(0, len(value) - 1))] = draw(INTS)
            attrs[name] = value
        else:
            attrs[name] = draw(ATTRS[kinds[name]])
    elif arrays:
        i = draw(st.integers(0, len(arrays) - 1))
        x = arrays[i]
        if x is not None and x.ndim and draw(st.booleans()):
            shape = list(x.shape)
            shape[draw(st.integers(0, x.ndim - 1))] = draw(st.integers(0, 6))
            arrays[i] = array(draw, shape, x.dtype.name)
        else:
            arrays[i] = array(draw, draw(SHAPES), draw(st.sampled_from(DTYPES)))
    return arrays, attrs


@pytest.mark.parametrize("op", sorted(_core.op_schemas()))
def test_any_call_returns_or_raises(op):
    strategy = st.one_of(random_call(op), damaged_call(op) if any(c.op == op for c in CASES) else random_call(op))

    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def check(arguments):
        call(op, *arguments)

    check()
