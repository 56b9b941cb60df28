"""The float32 functions against float64, on every ISA: the errors that csrc/kernels/math.h and math_wide.h state."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kcore import _core, ops
from kcore.autograd import apply

ISAS = _core.supported_isas()
TINY = np.finfo(np.float32).tiny
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 1e-40, -1e-40, 3.4028235e38, -3.4028235e38]


def floats() -> np.ndarray:
    """Random mantissas for every exponent and sign, denormals among them, and what is special."""
    bits = np.random.default_rng(0).integers(0, 1 << 23, size=(512, 400), dtype=np.uint32)
    bits |= np.arange(512, dtype=np.uint32)[:, None] << 23
    near = np.random.default_rng(1).uniform(-20, 20, size=50_000).astype("float32")  # where results are in range
    return np.concatenate([bits.reshape(-1).view(np.float32), near, np.float32(SPECIAL)])


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


# name, float64 oracle, largest error in ULP, whether results below 2^-126 may be zero
FUNCTIONS = [
    ("exp", np.exp, 1.1, True),
    ("expm1", np.expm1, 1.6, False),
    ("log", np.log, 0.8, False),
    ("log1p", np.log1p, 1.4, False),
    ("tanh", np.tanh, 1.5, False),
    ("sigmoid", sigmoid, 2.4, True),
    ("softplus", lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), 1.7, True),
    ("erf", np.vectorize(math.erf), 1.2, False),
    ("sin", np.sin, 1.5, False),
    ("cos", np.cos, 1.5, False),
    ("tan", np.tan, 0.51, False),
    ("asin", np.arcsin, 0.51, False),
    ("acos", np.arccos, 0.51, False),
    ("atan", np.arctan, 0.51, False),
    ("sinh", np.sinh, 0.51, False),
    ("cosh", np.cosh, 0.51, False),
    ("asinh", np.arcsinh, 0.51, False),
    ("acosh", np.arccosh, 0.51, False),
    ("atanh", np.arctanh, 0.51, False),
    ("sqrt", np.sqrt, 0.51, False),
]


def assert_within(got: np.ndarray, want: np.ndarray, ulps: float, flushed: bool) -> None:
    """`want` is exact; an overflow is an infinity."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(np.isinf(got), np.isinf(want.astype(np.float32)))
    zero = want == 0
    np.testing.assert_array_equal(got[zero], 0)
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))
    at = np.isfinite(got) & np.isfinite(want)
    at &= ~((np.abs(want) < TINY * 1.00001) & (got == 0)) if flushed else True
    magnitude = np.clip(np.abs(want[at]), TINY, np.finfo(np.float32).max)
    unit = 2.0 ** (np.frexp(magnitude)[1] - 24)
    error = np.abs(got[at] - want[at]) / unit
    assert error.max() <= ulps, f"error of {error.max():.3f} ULP"


@pytest.fixture(params=ISAS)
def isa(request):
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


@pytest.mark.parametrize("name, oracle, ulps, flushed", FUNCTIONS, ids=[row[0] for row in FUNCTIONS])
def test_error(name, oracle, ulps, flushed, isa):
    x = floats()
    with np.errstate(all="ignore"):
        want = oracle(x.astype(np.float64))
    assert_within(np.asarray(apply(name, (ops.convert_to_tensor(x),), {})), want, ulps, flushed)


def test_error_of_double_exp(isa):
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("needs an oracle with more digits than float64")
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.uniform(-750, 715, 200_000), rng.normal(size=100_000), rng.normal(size=20_000) * 1e-9])
    x = np.concatenate([x, SPECIAL, [709.78, 709.79, -708.39, -708.4, -744.4, -745.13, -745.14, -1e308, 1e308]])
    with np.errstate(all="ignore"):
        want = np.exp(x.astype(np.longdouble))
        nearest = want.astype(np.float64)
    got = np.asarray(apply("exp", (ops.convert_to_tensor(x),), {}))
    assert got.dtype == np.float64
    np.testing.assert_array_equal(np.isnan(got), np.isnan(nearest))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(nearest))
    at = np.isfinite(nearest)
    assert (np.abs(got[at] - want[at]) <= np.spacing(nearest[at])).all()


PAIRS = [("power", np.power, 0.51), ("arctan2", np.arctan2, 0.51)]


@pytest.mark.parametrize("name, oracle, ulps", PAIRS, ids=[row[0] for row in PAIRS])
def test_error_of_pairs(name, oracle, ulps, isa):
    special = np.float32([*SPECIAL, 2, 3, -2, -3, 1.5, -1.5, 1e9, -1e9, 2**24 + 2, 2**23 + 1])
    a, b = (m.reshape(-1) for m in np.meshgrid(special, special))
    x = np.random.default_rng(2).permutation(floats())
    moderate = np.random.default_rng(3).uniform(-9, 9, size=x.size).astype("float32")
    a, b = np.concatenate([a, x, np.abs(x), moderate]), np.concatenate([b, moderate, moderate, x])
    with np.errstate(all="ignore"):
        want = oracle(a.astype(np.float64), b.astype(np.float64))
    got = np.asarray(apply(name, (ops.convert_to_tensor(a), ops.convert_to_tensor(b)), {}))
    assert_within(got, want, ulps, False)


@pytest.mark.parametrize("name, oracle", [("mod", np.mod), ("floor_divide", np.floor_divide)])
def test_quotients_are_numpys(name, oracle, isa):
    x = np.random.default_rng(4).permutation(floats())
    moderate = np.random.default_rng(5).uniform(-9, 9, size=x.size).astype("float32")
    whole = np.rint(moderate)  # often a multiple; often zero
    near = whole * np.float32(1 + 2.0**-23)
    special = np.float32(SPECIAL)
    a = np.concatenate([x, x, moderate, whole, near, whole, np.tile(special, special.size)])
    b = [np.roll(x, 1), moderate, x, np.roll(whole, 1), np.roll(whole, 1), near, np.repeat(special, special.size)]
    b = np.concatenate(b)
    with np.errstate(all="ignore"):
        near = np.abs(a) < 1e6 * np.abs(b)
    for fewer in (slice(None), near):  # with and without quotients too large to be quick
        with np.errstate(all="ignore"):
            want = oracle(a[fewer], b[fewer])
        got = np.asarray(apply(name, (ops.convert_to_tensor(a[fewer]), ops.convert_to_tensor(b[fewer])), {}))
        np.testing.assert_array_equal(got, want)


def test_slope_of_gelu_is_exact_in_its_tails(isa):
    x = np.linspace(-9, 9, 20_001, dtype="float32")
    wide = x.astype(np.float64)
    density = np.exp(-0.5 * wide**2) / math.sqrt(2 * math.pi)
    below = 0.5 * np.vectorize(math.erfc)(-wide / math.sqrt(2))
    got = np.asarray(apply("gelu_grad", (ops.ones_like(x), ops.convert_to_tensor(x)), {"approximate": False}))
    # The two terms cancel near -0.75. Of an exponential of -40, rounding its argument takes 4 of 2^-24.
    scale = below + np.abs(wide) * density
    assert (np.abs(got - (below + wide * density)) <= 6e-6 * scale).all()


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_does_not_cancel(approximate, isa):
    x = np.linspace(-5, 5, 20_001, dtype="float32")
    wide = x.astype(np.float64)
    if approximate:
        want = wide * sigmoid(2 * math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
    else:
        want = wide * 0.5 * np.vectorize(math.erfc)(-wide / math.sqrt(2))
    got = np.asarray(apply("gelu", (ops.convert_to_tensor(x),), {"approximate": approximate}))
    # Up to 5 deviations the tail keeps six digits; half of 1 + erf would have lost all of them.
    np.testing.assert_allclose(got, want, rtol=3e-6)
