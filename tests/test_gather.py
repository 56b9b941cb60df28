"""Gather, scatter, sort and selection: what bad arguments get, and gradients that a table of ops does not show."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops

X = np.arange(12.0, dtype="float32").reshape(3, 4)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.take(X, [0, 3], axis=0), r"\[take\] expected indices in \[-3, 3\).*received 3 at position 1"),
        (lambda: ops.take(X, [-5], axis=1), r"\[take\] expected indices in \[-4, 4\).*received -5"),
        (lambda: ops.take(X, [0], axis=2), r"\[take\] expected an axis in \[-2, 2\), received 2"),
        (lambda: ops.take_along_axis(X, [[4]], axis=1), r"\[take_along_axis\] expected indices in \[-4, 4\)"),
        (lambda: ops.take_along_axis(X, [[0], [1]], axis=1), r"\[take_along_axis\] expected indices with the shape"),
        (
            lambda: ops.scatter([[3]], [1.0], (3,)),
            r"\[scatter_nd\] expected indices in \[-3, 3\) for axis 0, received 3",
        ),
        (lambda: ops.scatter([[0]], [1.0, 2.0], (3,)), r"\[scatter_nd\] expected updates of shape \(1,\)"),
        (lambda: ops.scatter_update(X, [[0]], X[:1], "median"), r"\[scatter_nd\] expected reduction .*\"median\""),
        (lambda: ops.slice_update(X, [2, 0], X[:2]), r"\[slice_update\] expected updates within x"),
        (lambda: ops.slice_update(X, [0], X[:2]), r"\[slice_update\] expected 2 start indices, received 1"),
        (lambda: ops.one_hot([1], -1), r"\[one_hot\] expected num_classes of 0 or more"),
        (lambda: ops.top_k(X, 5), r"\[top_k\] expected k in \[0, 4\], received 5"),
        (lambda: ops.in_top_k([0, 1], X, 1), r"\[in_top_k\] expected targets of shape \(3,\), received \(2,\)"),
        (lambda: ops.searchsorted(X, [1.0]), r"\[searchsorted\] expected sorted_sequence with 1 dimensions"),
        (lambda: ops.searchsorted([1.0], [1.0], side="up"), r"\[searchsorted\] expected side .*\"up\""),
        (lambda: ops.quantile(X, 1.5), r"\[quantile\] expected q in \[0, 1\].*received 1.5"),
        (lambda: ops.quantile(X, 0.5, method="mean"), r"\[quantile\] expected method .*'mean'"),
        (lambda: ops.median(np.zeros((0, 2))), r"\[quantile\] expected values along axes"),
        (lambda: ops.bincount([-1]), r"\[bincount\] expected non-negative integers"),
        (lambda: ops.histogram([1.0], bins=0), r"\[histogram\] expected a positive number of bins"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bool_indices_are_refused():
    with pytest.raises(TypeError, match=r"\[take\] expected integer indices, received bool"):
        ops.take(X, [True], axis=0)


def test_empty():
    assert ops.take(X, np.zeros((0, 2), "int32"), axis=0).shape == (0, 2, 4)
    assert ops.sort(np.zeros((0, 3), "float32")).shape == (0, 3)
    assert ops.scatter(np.zeros((0, 1), "int32"), np.zeros(0, "float32"), (3,)).numpy().tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"\[take\] expected x with elements along axis 0"):
        ops.take(np.zeros((0, 3), "float32"), [0], axis=0)


def test_gradient_of_repeated_updates_goes_to_the_last():
    x, updates = ops.convert_to_tensor(X), ops.convert_to_tensor(np.ones((3, 4), "float32"))
    with kcore.GradientTape() as tape:
        tape.watch([x, updates])
        y = ops.scatter_update(x, [[1], [0], [1]], updates)
    dx, dupdates = tape.gradient(y, [x, updates])
    assert np.asarray(dx)[:, 0].tolist() == [0, 0, 1]
    assert np.asarray(dupdates)[:, 0].tolist() == [0, 1, 1]


def test_embedding_gradient_sums_repeated_rows():
    table = ops.convert_to_tensor(X)
    with kcore.GradientTape() as tape:
        tape.watch(table)
        y = ops.take(table, [[2, 0], [2, 2]], axis=0)
    assert np.asarray(tape.gradient(y, table))[:, 0].tolist() == [1, 0, 3]


@pytest.mark.parametrize("name", ["nonzero", "unique", "bincount", "histogram"])
def test_results_shaped_by_values_need_values(name):
    with pytest.raises(ValueError, match=rf"\[{name}\] expected values: the shape of the result depends on them"):
        getattr(ops, name)(kcore.Input((), dtype="int32"))


def test_quantiles_of_infinities_and_nan():
    x = np.array([[1.0, -np.inf, np.inf, 2.0, np.inf], [1.0, 2.0, np.nan, 0.0, 5.0]])
    # Where the fraction falls on a value it is that value, also beside an infinity, where NumPy and JAX say NaN.
    want = [[-np.inf, np.nan], [1.6, np.nan], [2.0, np.nan], [np.inf, np.nan]]
    np.testing.assert_allclose(np.asarray(ops.quantile(x, [0.0, 0.4, 0.5, 1.0], axis=1)), want)
