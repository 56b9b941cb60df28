"""Every case of op_cases: forward, gradients, gradients of gradients, dtypes, ISAs, threads, symbolic shapes."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import _core
from kcore.autograd import GradientTape, Tensor, apply, convert_to_tensor
from op_cases import CASES
from op_cases.case import BFLOAT16_ROUNDING, ULP, Case, is_float, rng

ISAS = _core.supported_isas()
ids = [str(case) for case in CASES]
each_case = pytest.mark.parametrize("case", CASES, ids=ids)
differentiable = pytest.mark.parametrize("case", [c for c in CASES if c.grad], ids=[str(c) for c in CASES if c.grad])


def run(case: Case, dtype: str) -> list[np.ndarray]:
    inputs = [None if x is None else convert_to_tensor(x) for x in case.arrays(dtype)]
    result = apply(case.op, inputs, case.attrs)
    return [np.asarray(y) for y in (result if isinstance(result, tuple) else (result,))]


def expected(case: Case, dtype: str) -> list[np.ndarray | None]:
    # The oracle sees the values that the op sees: rounded to dtype, then computed with in float64.
    inputs = [x.astype(np.float64) if x is not None and is_float(x) else x for x in case.arrays(dtype)]
    result = case.oracle(*inputs, **case.attrs)
    return [None if y is None else np.asarray(y) for y in (result if isinstance(result, tuple) else (result,))]


def assert_close(case: Case, got: np.ndarray, want: np.ndarray, dtype: str, slack: float = 1.0) -> None:
    assert got.shape == want.shape
    if not is_float(got):
        np.testing.assert_array_equal(got, want)
        return
    if case.scale is not None:
        inputs = [x.astype(np.float64) if x is not None and is_float(x) else x for x in case.arrays(dtype)]
        scale = np.asarray(case.scale(*inputs, **case.attrs))
    else:
        finite = np.abs(want[np.isfinite(want)])
        scale = np.asarray(finite.max() if finite.size else 1.0)
    rounded = got.dtype.kind != "f"  # what float32 gives, rounded to bfloat16
    got, rounding = (got.astype(np.float32), BFLOAT16_ROUNDING) if rounded else (got, 0.0)
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
    finite = np.isfinite(want)
    relative = slack * case.ulps * ULP[str(got.dtype)] + case.cached * rounding
    bound = relative * np.broadcast_to(scale, want.shape) + np.finfo(got.dtype).tiny
    bound = bound * (1 + rounding) + rounding * np.abs(np.where(finite, want, 0.0))
    error = np.abs(got[finite].astype(np.float64) - want[finite])
    worst = (error / bound[finite]).max(initial=0)
    assert worst <= 1, f"error is {worst:.3g} times the bound of {case.ulps} ULP ({case.why})"


@each_case
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_forward(case, dtype):
    got, want = run(case, dtype), expected(case, dtype)
    assert len(got) >= len(want)
    for y, w in zip(got, want):
        if w is not None:
            assert_close(case, y, w, dtype)


@each_case
def test_isas_agree(case):
    before = _core.isa()
    try:
        results = []
        for isa in ISAS:
            _core.select_isa(isa)
            assert _core.isa() == isa
            results.append(run(case, "float32"))
    finally:
        _core.select_isa(before)
    for other in results[1:]:
        for y, w, known in zip(other, results[0], expected(case, "float32")):
            if known is not None:
                assert_close(case, y, w, "float32", slack=2.0)


@each_case
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_threads_do_not_matter(case, dtype):
    before = _core.num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 7):
            _core.set_num_threads(threads)
            results.append([y.tobytes() for y in run(case, dtype)])
    finally:
        _core.set_num_threads(before)
    assert results[1:] == results[:1] * 3


@each_case
def test_symbolic_is_eager(case):
    inputs = [None if x is None else convert_to_tensor(x) for x in case.arrays("float32")]
    if not inputs:
        pytest.skip("an op without inputs is never symbolic")
    symbolic = [None if x is None else Tensor(_core.symbolic(x.shape, x.dtype)) for x in inputs]
    eager, traced = apply(case.op, inputs, case.attrs), apply(case.op, symbolic, case.attrs)
    eager, traced = (y if isinstance(y, tuple) else (y,) for y in (eager, traced))
    assert [(y.shape, y.dtype) for y in eager] == [(y.shape, y.dtype) for y in traced]
    assert all(y.is_symbolic for y in traced)


def dot(y: Tensor, weights: np.ndarray) -> Tensor:
    flat = apply("reshape", (y * weights,), {"shape": [-1]})
    return apply("sum", (flat,), {"axes": [0]})


class Scalar:
    """A scalar function of a case's float inputs: a random weighting of its float outputs."""

    def __init__(self, case: Case):
        self.case = case
        self.values = case.arrays("float64")
        self.floats = [i for i, x in enumerate(self.values) if x is not None and x.dtype.kind == "f"]
        self.known = [y is not None for y in expected(case, "float64")]

    def __call__(self, *xs: Tensor) -> Tensor:
        from kcore import ops

        given = dict(zip(self.floats, xs))
        inputs = [given.get(i, None if x is None else convert_to_tensor(x)) for i, x in enumerate(self.values)]
        result = apply(self.case.op, inputs, self.case.attrs)
        total = ops.zeros((), "float64")
        for i, y in enumerate(result if isinstance(result, tuple) else (result,)):
            if y.dtype == "float64" and i < len(self.known) and self.known[i]:
                weights = rng("weights", i, y.shape).normal(size=y.shape)
                total = total + dot(y, weights)
        return total

    def gradients(self, xs: list[Tensor]) -> list[Tensor]:
        with GradientTape() as tape:
            tape.watch(xs)
            y = self(*xs)
        return tape.gradient(y, xs, unconnected_gradients="zero")

    def start(self) -> list[np.ndarray]:
        return [self.values[i] for i in self.floats]


def directional(f, xs, ds, h):
    """The slope of f along ds by a central difference of fourth order."""

    def at(t):
        return f([np.asarray(x + t * h * d) for x, d in zip(xs, ds)])

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


def check_slope(f, slope, xs, ds):
    # A step of 1e-3 leaves 1e-12 of truncation and 1e-13 of rounding in float64; 1e-7 catches every wrong formula.
    want = directional(f, xs, ds, 1e-3)
    assert abs(slope - want) <= 1e-7 * max(1.0, abs(want), abs(slope)), (slope, want)


@differentiable
def test_gradient(case):
    f = Scalar(case)
    xs = f.start()
    ds = [rng("direction", i, x.shape).normal(size=x.shape) for i, x in enumerate(xs)]
    grads = f.gradients([convert_to_tensor(x) for x in xs])
    slope = sum(float((np.asarray(g) * d).sum()) for g, d in zip(grads, ds))
    check_slope(lambda values: float(f(*map(convert_to_tensor, values))), slope, xs, ds)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.grad and c.second], ids=[str(c) for c in CASES if c.grad and c.second]
)
def test_gradient_of_gradient(case):
    from kcore import ops

    f = Scalar(case)
    xs = f.start()
    ds = [rng("direction", i, x.shape).normal(size=x.shape) for i, x in enumerate(xs)]
    weights = [rng("second", i, x.shape).normal(size=x.shape) for i, x in enumerate(xs)]

    def weighted(tensors):
        grads = f.gradients(tensors)
        return sum((dot(g, w) for g, w in zip(grads, weights)), ops.zeros((), "float64"))

    tensors = [convert_to_tensor(x) for x in xs]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = weighted(tensors)
    grads = tape.gradient(y, tensors, unconnected_gradients="zero")
    slope = sum(float((np.asarray(g) * d).sum()) for g, d in zip(grads, ds))
    check_slope(lambda values: float(weighted([convert_to_tensor(v) for v in values])), slope, xs, ds)


def test_every_op_has_a_case():
    missing = set(_core.op_schemas()) - {case.op for case in CASES}
    assert not missing, f"ops of ops.def without a row in tests/op_cases: {sorted(missing)}"
