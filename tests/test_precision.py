"""Float32 products at each precision: the error bound over ordinary and hostile values, Inf and NaN, and who multiplies."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import _core, config
from kcore.autograd import apply, convert_to_tensor

ROUNDING = 2.0**-24  # half a unit in the last place of float32
SMALLEST = 2.0**-126  # below it, tiles and VDPBF16PS see zero
# What a precision may lose of each product, beside the roundings of the sum. A part of bfloat16 leaves at most 2**-8 of
# what it was taken from. "high" drops what two parts leave of either operand, 2**-16 each, and the product of the second
# parts; "medium" what one part leaves.
LOST = {"ieee": 0.0, "highest": 0.0, "high": 3 * 2.0**-16, "medium": 2 * 2.0**-8 + 2.0**-16}

GENERATOR = np.random.default_rng(7)


def normal(*shape):
    return GENERATOR.normal(size=shape)


def cancelling(m, k, n):
    """Sums that nearly vanish: the second half of the products is minus the first, but for a thousandth."""
    a, b = normal(m, k // 2), normal(k // 2, n)
    return np.hstack([a, -a * (1 + 1e-3 * normal(m, k // 2))]), np.vstack([b, b])


def wide(*shape):
    return normal(*shape) * 2.0 ** GENERATOR.integers(-30, 30, size=shape)


M, K, N = 50, 320, 70
VALUES = {
    "ordinary": (normal(M, K), normal(K, N)),
    "positive": (np.abs(normal(M, K)), np.abs(normal(K, N))),
    "cancelling": cancelling(M, K, N),
    "wide": (wide(M, K), wide(K, N)),
    "tiny": (normal(M, K) * 2.0**-70, normal(K, N) * 2.0**-50),
    "huge": (normal(M, K) * 2.0**60, normal(K, N) * 2.0**55),
    "close to the largest": (np.full((M, K), np.finfo("f4").max / 4), np.eye(K, N) + np.eye(K, N, 1) * -1e-3),
    "short": (normal(M, 32), normal(32, N)),
    "long": (normal(17, 5000), normal(5000, 33)),
    "edge of a tile": (normal(96, 64), normal(64, 81)),
}


@pytest.fixture(params=_core.supported_isas())
def isa(request):
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


@pytest.fixture(params=["ieee", "highest", "high", "medium"])
def precision(request):
    before = config.float32_matmul_precision()
    config.set_float32_matmul_precision(request.param)
    yield request.param
    config.set_float32_matmul_precision(before)


def matmul(a, b):
    with np.errstate(over="ignore"):
        a, b = (convert_to_tensor(np.asarray(x, "float32")) for x in (a, b))
    return apply("matmul", (a, b)).numpy()


@pytest.mark.parametrize("values", VALUES)
def test_error_bound(values, isa, precision):
    a, b = (x.astype("float32").astype("float64") for x in VALUES[values])
    y = matmul(a, b)
    products = np.abs(a) @ np.abs(b)
    length = a.shape[1]
    bound = (length * ROUNDING + LOST[precision] * (1 + length * ROUNDING)) * products
    # What is flushed to zero: a part of an operand, or a sum.
    bound = bound + SMALLEST * (np.abs(a).sum(1)[:, None] + np.abs(b).sum(0)[None, :] + 4 * length)
    worst = (np.abs(y - a @ b) / bound).max()
    assert worst <= 1, f"{worst:.3g} times the bound"


@pytest.mark.parametrize("precision", ["ieee", "highest"], indirect=True)
@pytest.mark.parametrize("n", [64, 256, 700])
def test_error_is_not_above_that_of_blas(n, isa, precision):
    a, b = normal(n, n).astype("float32"), normal(n, n).astype("float32")
    exact = a.astype("float64") @ b.astype("float64")
    error, theirs = (np.linalg.norm(y - exact) / np.linalg.norm(exact) for y in (matmul(a, b), a @ b))
    # Without fused multiply-adds each product is rounded too: up to the square root of two times the error.
    assert error <= (1.5 if isa == "scalar" else 1.1) * theirs


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_inf_and_nan_go_where_ieee_sends_them(special, isa, precision):
    m, k, n = 47, 63, 45  # edges, and yet enough for tiles
    a, b = normal(m, k), normal(k, n)
    a[3, :], b[:, 5] = 0, 0  # Inf times zero is NaN
    b[:, 6] = 1.0  # the second part of a one is zero
    for row, step in [(0, 0), (3, 31), (15, 32), (16, 1), (31, 39), (34, 17), (46, 62)]:
        for other in (None, (row, (step + 9) % k)):  # a second one in the same sum
            x = a.copy()
            x[row, step] = special
            if other:
                x[other] = -special
            with np.errstate(invalid="ignore"):
                exact = x @ b
                np.testing.assert_array_equal(
                    np.where(np.isfinite(exact), 0, matmul(x, b)), np.where(np.isfinite(exact), 0, exact)
                )
                x, y = b.T[:, :k].copy(), a.T.copy()  # and from the right
                y[step, row] = special
                exact = x @ y
                np.testing.assert_array_equal(
                    np.where(np.isfinite(exact), 0, matmul(x, y)), np.where(np.isfinite(exact), 0, exact)
                )


@pytest.mark.parametrize("special", [np.inf, np.nan])
def test_inf_and_nan_change_nothing_beside_them(special, isa, precision):
    # Rows that share a panel differ with the number of threads, and results must not.
    a, b = normal(96, 80), normal(80, 96)  # which fill tiles
    y, x = matmul(a, b), a.copy()
    x[3, 40] = x[33, 5] = special
    finite = np.delete(np.arange(96), [3, 33])
    np.testing.assert_array_equal(matmul(x, b)[finite], y[finite])
    x = b.copy()
    x[40, 20] = x[7, 69] = special
    finite = np.delete(np.arange(96), [20, 69])
    np.testing.assert_array_equal(matmul(a, x)[:, finite], y[:, finite])


@pytest.mark.parametrize("operand", [0, 1])
def test_nothing_is_left_of_nan_beyond_an_odd_sum(operand, isa, precision):
    """Products of pairs fill an odd sum up; with zeros, not with what a buffer held of the span before."""
    a, b = np.full((64, 257), np.nan), normal(257, 96)
    a[0] = normal(257)
    y = matmul(a, b) if operand == 0 else matmul(b.T, a.T).T
    assert np.isfinite(y[0]).all() and np.isnan(y[1:]).all()


@pytest.mark.parametrize("precision", ["medium"], indirect=True)
def test_medium_rounds_to_nearest_even(isa, precision):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = (1 + np.arange(64 * 64).reshape(64, 64) * 2.0**-9).astype("float32")  # a quarter are ties
    want = x.astype(bfloat16).astype("float32") if "bf16" in _core.select_gemm(isa, precision, True, 64, 64, 64) else x
    np.testing.assert_array_equal(matmul(x, np.eye(64)), want)
    np.testing.assert_array_equal(matmul(np.eye(64), x), want)


def test_largest_finite_values_do_not_become_inf(isa, precision):
    # The sum of two parts may be above what they were taken from, and the largest float32 is next to Inf.
    largest = np.float32(np.finfo("float32").max * (1 - LOST[precision]))
    a = np.full((32, 32), largest) * np.eye(32)
    y = matmul(a, np.eye(32))
    np.testing.assert_allclose(np.diag(y), largest, rtol=LOST[precision] + ROUNDING)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("size", [1, 3])
def test_convolutions(strides, size, isa, precision):
    """Large enough for the kernels that want their operands split and packed."""
    x, kernel = normal(2, 11, 12, 40), normal(size, size, 40, 48)
    window = {"strides": [strides] * 2, "pads": [size // 2] * 4, "dilations": [1, 1], "groups": 1}

    side = [(n + 2 * (size // 2) - size) // strides + 1 for n in x.shape[1:3]]
    dy = normal(2, *side, 48)

    def run(dtype, change=np.asarray):
        """y, dx and dkernel; of absolute values, the sums of absolute products."""
        a, b, d = (convert_to_tensor(change(v.astype("float32")), dtype=dtype) for v in (x, kernel, dy))
        y = apply("conv", (a, b), window)
        dx = apply("conv_input_grad", (d, b), {"input_shape": list(x.shape[1:3]), **window})
        dkernel = apply("conv_kernel_grad", (a, d), {"kernel_shape": [size, size], **window})
        return [v.numpy().astype("float64") for v in (y, dx, dkernel)]

    lengths = size * size * 40, size * size * 48, 2 * side[0] * side[1]
    for y, exact, products, length in zip(run("float32"), run("float64"), run("float64", np.abs), lengths):
        bound = (length * ROUNDING + LOST[precision] * (1 + length * ROUNDING)) * products
        assert (np.abs(y - exact) <= bound).all()


def one_step(h, recurrent, dtype="float32"):
    """h R and h R transposed, as a step and the gradient of one make them: all else is zero."""
    with np.errstate(over="ignore"):
        h, recurrent = (np.asarray(v, "float32").astype(dtype) for v in (h, recurrent))
    units = recurrent.shape[0]
    x, kernel = np.zeros((len(h), 1, 1), dtype), np.zeros((1, units), dtype)
    step = [convert_to_tensor(v) for v in (x, h, kernel, recurrent)]
    y, _ = apply("simple_rnn", (*step, None, None), {"activation": "linear"})
    start = convert_to_tensor(np.zeros_like(h))
    grads = apply(
        "simple_rnn_grad",
        (step[0], start, *step[2:], None, None, convert_to_tensor(h[:, None]), convert_to_tensor(h[:, None]), None),
        {"activation": "linear"},
    )
    return y.numpy()[:, 0], grads[1].numpy()


@pytest.mark.parametrize("values", ["ordinary", "positive", "cancelling", "wide", "tiny", "huge"])
def test_recurrent_products(values, isa, precision):
    """The product of a step, forwards and backwards, large enough for the kernels that want it split and packed."""
    length = 160
    if values == "cancelling":
        h, recurrent = cancelling(50, length, length)
    else:
        h, recurrent = VALUES[values][0][:, :length], np.resize(VALUES[values][1], (length, length))
    h, recurrent = (v.astype("float32").astype("float64") for v in (h, recurrent))
    for got, matrix in zip(one_step(h, recurrent), (recurrent, recurrent.T)):
        products = np.abs(h) @ np.abs(matrix)
        bound = (length * ROUNDING + LOST[precision] * (1 + length * ROUNDING)) * products
        bound = bound + SMALLEST * (np.abs(h).sum(1)[:, None] + np.abs(matrix).sum(0)[None, :] + 4 * length)
        worst = (np.abs(got - h @ matrix) / bound).max()
        assert worst <= 1, f"{worst:.3g} times the bound"


@pytest.mark.parametrize("special", [np.inf, np.nan])
def test_inf_and_nan_in_a_recurrence(special, isa, precision):
    h, recurrent = normal(35, 48), normal(48, 48)
    h[3], recurrent[:, 5], recurrent[:, 6] = 0, 0, 1
    for row, step in [(0, 0), (16, 31), (34, 47)]:
        for hit in (h, recurrent):
            a, b = h.copy(), recurrent.copy()
            (a if hit is h else b)[row, step] = special
            for got, matrix in zip(one_step(a, b), (b, b.T)):
                with np.errstate(invalid="ignore"):
                    exact = a @ matrix
                hidden = np.isfinite(exact)
                np.testing.assert_array_equal(np.where(hidden, 0, got), np.where(hidden, 0, exact))
                assert np.isfinite(got[hidden]).all()


@pytest.mark.parametrize("op", ["lstm", "gru", "simple_rnn"])
def test_error_of_a_recurrence_is_not_above_that_of_fused_multiply_adds(op, isa):
    batch, steps, features, units = 40, 6, 20, 48
    gates = {"lstm": 4, "gru": 3, "simple_rnn": 1}[op]
    states = 2 if op == "lstm" else 1
    bias = (2, gates * units) if op == "gru" else (gates * units,)
    arrays = [normal(batch, steps, features), *[normal(batch, units) for _ in range(states)]]
    arrays += [normal(rows, gates * units) / 6 for rows in (features, units)] + [normal(*bias)]
    dy = normal(batch, steps, units)
    mask = GENERATOR.random((batch, steps)) < 0.9

    def run(dtype):
        """y, and the gradient of each input."""
        x = [convert_to_tensor(v.astype("float32").astype(dtype)) for v in arrays]
        attrs = {} if op == "simple_rnn" else {"caches": True}
        y, *rest = apply(op, (*x, convert_to_tensor(mask)), attrs)
        caches = rest[states:]
        d = convert_to_tensor(dy.astype("float32").astype(dtype))
        grads = apply(f"{op}_grad", (*x, convert_to_tensor(mask), y, *caches, d, *[None] * states), {})
        return [v.numpy().astype("float64") for v in (y, *grads)]

    before = config.float32_matmul_precision()
    errors = {}
    exact = run("float64")
    for precision in ("ieee", "highest", "high", "medium"):
        config.set_float32_matmul_precision(precision)
        errors[precision] = [np.linalg.norm(y - e) / np.linalg.norm(e) for y, e in zip(run("float32"), exact)]
    config.set_float32_matmul_precision(before)
    for ieee, highest, high, medium in zip(*errors.values()):
        assert highest <= 1.2 * ieee
        assert high <= 16 * 2.0**-16
        assert medium <= 16 * 2.0**-8


def test_who_multiplies():
    """The choice is a function of its arguments: no such machine is needed."""

    def name(isa, precision="highest", float32=True, m=512, n=512, k=512):
        return _core.select_gemm(isa, precision, float32, m, n, k)

    assert [name("amx", p) for p in ("ieee", "highest", "high", "medium")] == [
        "avx512_fma",
        "amx_bf16x6",
        "amx_bf16x3",
        "amx_bf16",
    ]
    assert [name("avx512_bf16", p) for p in ("ieee", "highest", "high", "medium")] == ["avx512_fma"] * 3 + [
        "avx512_bf16"
    ]
    assert [name(isa, "medium") for isa in ("avx512", "avx2", "scalar")] == ["avx512_fma", "avx2_fma", "scalar"]
    assert name("amx", "medium", float32=False) == "avx512_fma"
    # tiles that would be mostly empty
    assert name("amx", m=4) == "avx512_fma_in_place"
    assert name("amx", "medium", m=4) == "amx_bf16"
    assert name("amx", "medium", m=2, n=17, k=3) == "avx512_fma_in_place"
    assert name("amx", k=8) == name("amx", k=16) == "avx512_fma"
    for isa, p, rows, kernel in [  # the least rows of 16 that a kernel takes
        ("amx", "highest", 11, "amx_bf16x6"),
        ("amx", "high", 6, "amx_bf16x3"),
        ("amx", "medium", 2, "amx_bf16"),
        ("avx512_bf16", "medium", 4, "avx512_bf16"),
    ]:
        assert (name(isa, p, m=rows), name(isa, p, m=rows - 1)) == (kernel, "avx512_fma_in_place")
    # too small to pay for packing
    for m, n in [(2, 2), (128, 64), (16, 4096), (10000, 256), (256, 512)]:
        for isa, kernel in [("avx512", "avx512_fma"), ("avx2", "avx2_fma"), ("scalar", "scalar")]:
            assert name(isa, m=m, n=n) == kernel + "_in_place"
            assert name(isa, float32=False, m=m, n=n) == kernel + "_in_place"
    for m, n in [(17, 513), (257, 257), (64, 4096)]:
        assert name("avx512", m=m, n=n) == "avx512_fma"


@pytest.mark.parametrize("precision", ["ieee"], indirect=True)
def test_operands_in_place_make_the_same_sums(isa, precision):
    """Not one bit differs from a product that packs, cut out of a larger one; edges, both transpositions."""
    a, b = normal(300, 530), normal(530, 600)

    def run(a, b, transpose_a, transpose_b):
        a, b = (convert_to_tensor(x.T.copy() if t else x, "float32") for x, t in ((a, transpose_a), (b, transpose_b)))
        return apply("matmul", (a, b), {"transpose_a": transpose_a, "transpose_b": transpose_b}).numpy()

    assert not _core.select_gemm(isa, precision, True, 300, 600, 530).endswith("in_place")
    whole = run(a, b, False, False)
    for m, n in [(2, 600), (29, 2), (70, 17), (300, 31), (17, 33), (300, 250)]:
        for transpose_a in (False, True):
            for transpose_b in (False, True):
                part = run(a[:m], b[:, :n], transpose_a, transpose_b)
                np.testing.assert_array_equal(part, whole[:m, :n])


def test_unknown_precision():
    with pytest.raises(ValueError, match='expected ieee, highest, high or medium, received "best"'):
        config.set_float32_matmul_precision("best")
