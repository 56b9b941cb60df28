"""Products against NumPy: one-dimensional operands, dot, tensordot, einsum, dtypes, errors, shapes for threads."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import _core, ops
from kcore.autograd import GradientTape, apply, convert_to_tensor


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


# float64 sums of a few products
CLOSE = dict(rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 2)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
    ],
)
def test_matmul_and_dot(a, b):
    x, y = normal(*a), normal(*b)
    np.testing.assert_allclose(ops.matmul(x, y), np.matmul(x, y), **CLOSE)
    np.testing.assert_allclose(convert_to_tensor(x) @ y, np.matmul(x, y), **CLOSE)
    np.testing.assert_allclose(ops.dot(x, y), np.dot(x, y), **CLOSE)


def test_dot_inner_outer_vdot():
    x, y = normal(2, 3), normal(4, 3)
    np.testing.assert_allclose(ops.inner(x, y), np.inner(x, y), **CLOSE)
    np.testing.assert_allclose(ops.outer(x, y), np.outer(x, y), **CLOSE)
    np.testing.assert_allclose(ops.vdot(x, x[::-1].T.copy()), np.vdot(x, x[::-1].T), **CLOSE)
    np.testing.assert_allclose(ops.dot(2.0, y), 2 * y, **CLOSE)
    np.testing.assert_allclose(ops.inner(x, 3.0), 3 * x, **CLOSE)


@pytest.mark.parametrize("axes", [0, 1, [[1], [0]], [[0, 1], [1, 0]], [[-1, 0], [0, -1]], [1, 0]])
def test_tensordot(axes):
    x, y = normal(3, 4), normal(4, 3)
    np.testing.assert_allclose(ops.tensordot(x, y, axes), np.tensordot(x, y, axes), **CLOSE)


EINSUMS = [
    *("ab,bc->ac", "ab,bc->ca", "ab,bc", "ba,bc->ac", "ab,cb->ac", "ba,cb->ca"),  # products, transposed
    *("ab->ba", "ab->a", "ab->", "aa->a", "aa", "aab->b", "aabb->", "aaa->a"),  # one operand
    *("abc,cd->abd", "abc,bd->acd", "bad,bcd->bac", "abcd,abed->abce", "bqhd,bkhd->bhqk"),  # batches, attention
    *("a,b->ab", "a,a->", "ab,ab->ab", "ab,ab->a", "ab,ab->b", "ab,cd->", "aab,bb->a"),  # no inner label, sums
    *("ab,cd,bc->ad", "ab,bc,cd,da->", "a,ab,abc->c"),  # several
    *(
        "...ab,...bc->...ac",
        "...a->...",
        "a...->...a",
        "ab...,b->a...",
        "a,...->...a",
        "...a,...a->...",
        "...,...->...",
    ),
]


@pytest.mark.parametrize("subscripts", EINSUMS)
def test_einsum(subscripts):
    sizes = {label: 2 + i for i, label in enumerate("abcdehqk")}
    hidden = iter([[3, 2], [2], [1]])
    arrays = []
    for term in subscripts.split("->")[0].split(","):
        shape = []
        for label in term.replace("...", "."):
            shape += next(hidden) if label == "." else [sizes[label]]
        arrays.append(normal(*shape))
    np.testing.assert_allclose(ops.einsum(subscripts, *arrays), np.einsum(subscripts, *arrays), **CLOSE)


def test_einsum_broadcasts_ones():
    x, y = normal(1, 3), normal(4, 5)
    np.testing.assert_allclose(ops.einsum("bi,bj->ij", x, y), np.einsum("bi,bj->ij", x, y), **CLOSE)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
def test_integer_products(dtype):
    x = np.arange(6).reshape(2, 3).astype(dtype)
    want = x.astype("int64") @ x.T.astype("int64")
    got = ops.matmul(x, x.T)
    assert got.dtype == ("int32" if dtype == "bool" else dtype)
    np.testing.assert_array_equal(got, want)


def test_dtypes_meet():
    assert ops.matmul(np.ones((2, 3), "float32"), np.ones((3, 2), "int32")).dtype == "float32"
    assert ops.einsum("ij->i", np.ones((2, 3), "float32")).dtype == "float32"


def test_gradient_of_a_matrix_shared_by_a_batch():
    x, w = convert_to_tensor(normal(2, 5, 3)), convert_to_tensor(normal(3, 4))
    with GradientTape() as tape:
        tape.watch([x, w])
        y = ops.matmul(x, w)
    dy = normal(2, 5, 4)
    dx, dw = tape.gradient(y, [x, w], output_gradients=convert_to_tensor(dy))
    np.testing.assert_allclose(dx, dy @ np.asarray(w).T, **CLOSE)
    np.testing.assert_allclose(dw, np.einsum("btk,btn->kn", np.asarray(x), dy), **CLOSE)


def test_rows_do_not_depend_on_their_neighbours():
    """A sample's result is the same whatever else is in the batch, if both are products of matrices (two rows or more)
    and the batch calls for the same arithmetic (with AMX, small ones are multiplied without it)."""
    x, w = normal(37, 300).astype("float32"), normal(300, 45).astype("float32")
    whole = np.asarray(ops.matmul(x, w))

    def arithmetic(rows):
        return _core.select_gemm(_core.isa(), "highest", True, rows, 45, 300).removesuffix("_in_place")

    parts = [(0, 2), (3, 20), (30, 37), (0, 32), (5, 37)]
    compared = [(start, stop) for start, stop in parts if arithmetic(stop - start) == arithmetic(37)]
    assert len(compared) >= 2
    for start, stop in compared:
        np.testing.assert_array_equal(ops.matmul(x[start:stop], w), whole[start:stop])


def test_inf_and_nan_propagate():
    x = np.ones((3, 40), "float32")
    x[0, 5], x[1, 6] = np.inf, np.nan
    y = np.asarray(ops.matmul(x, np.ones((40, 2), "float32")))
    assert np.isposinf(y[0]).all() and np.isnan(y[1]).all() and (y[2] == 40).all()
    x, ones, bias = (convert_to_tensor(v) for v in (x, np.ones((40, 2), "float32"), np.ones(2, "float32")))
    for inputs in ((x, ones), (x, ones, bias)):  # relu does not make zero of NaN
        y = np.asarray(apply("matmul", inputs, {"activation": "relu"}))
        assert np.isposinf(y[0]).all() and np.isnan(y[1]).all() and np.isfinite(y[2]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.matmul(normal(2, 3), normal(4, 2)), r"\[matmul\] expected b with 3 rows, received shape \(4, 2\)"),
        (lambda: ops.matmul(normal(2, 2, 3), normal(3, 3, 2)), "expected shapes that broadcast"),
        (lambda: ops.matmul(1.0, normal(3, 2)), "at least 1 dimension"),
        (lambda: ops.tensordot(normal(2, 3), normal(4, 2)), "equal sizes"),
        (lambda: ops.tensordot(normal(2, 3), normal(4, 2), 3), "between 0 and 2, received 3"),
        (lambda: ops.tensordot(normal(2, 3), normal(4, 2), [[0, 0], [1, 1]]), "different axes"),
        (lambda: ops.vdot(normal(2, 3), normal(4)), "as many elements"),
        (lambda: ops.einsum("ij,jk->ik", normal(2, 3)), "for 1 operands"),
        (lambda: ops.einsum("ij,jk->ik", normal(2, 3), normal(4, 5)), "one size for label 'j'"),
        (lambda: ops.einsum("ij->ii", normal(2, 3)), "each of its labels once"),
        (lambda: ops.einsum("ij->k", normal(2, 3)), "among those of the operands"),
        (lambda: ops.einsum("i j k", normal(2, 3)), "as many subscripts as dimensions"),
        (lambda: ops.einsum("i$->i", normal(2, 3)), "subscripts of letters"),
        (lambda: ops.einsum("ii", normal(2, 3)), "one size for label 'i'"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()
