"""Sorting, selection and scans along an axis, with their gradients; counting through NumPy. NaN sorts last."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.autograd import Tensor, apply, convert_to_tensor, standardize_dtype, vjp
from kcore.autograd.dtype import is_floating
from kcore.ops import elementwise as ew
from kcore.ops.operands import as_float, as_tensor, cast_to, full_of, normalize_axis, together
from kcore.ops.public import public
from kcore.ops.shape import concatenate, reshape, strided_slice


@public
def sort(x: Any, axis: int | None = -1) -> Tensor:
    """The values of x in ascending order along an axis; of x flattened if `axis` is None.

    >>> kcore.ops.sort([3.0, 1.0, 2.0]).numpy().tolist()
    [1.0, 2.0, 3.0]
    """
    x, axis = _line(x, axis, "sort")
    return apply("sort", (x,), {"axis": axis})[0]


@public
def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The int32 indices that sort x along an axis; equal values keep their order.

    >>> kcore.ops.argsort([3.0, 1.0, 2.0]).numpy().tolist()
    [1, 2, 0]
    """
    x, axis = _line(x, axis, "argsort")
    return apply("sort", (x,), {"axis": axis})[1]


@vjp("sort")
def sort_vjp(node, dvalues, dindices=None):
    axis, (x,) = node.attrs["axis"], node.inputs
    if dvalues is None:
        return [None]
    return [apply("take_along_axis_grad", (dvalues, node.outputs[1]), {"axis": axis, "size": x.shape[axis]})]


@public
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """int32 indices that put the kth value in its sorted place, the smaller ones before it: the sorting indices."""
    return argsort(x, axis)


@public
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest values along the last axis, largest first, and their int32 indices; of equal values the first.

    >>> values, indices = kcore.ops.top_k([1.0, 3.0, 2.0], 2)
    >>> values.numpy().tolist(), indices.numpy().tolist()
    ([3.0, 2.0], [1, 2])
    """
    return apply("top_k", (as_tensor(x),), {"k": int(k)})


@vjp("top_k")
def top_k_vjp(node, dvalues, dindices=None):
    (x,) = node.inputs
    if dvalues is None:
        return [None]
    return [apply("take_along_axis_grad", (dvalues, node.outputs[1]), {"axis": -1, "size": x.shape[-1]})]


@public
def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether the target is among the k highest predictions; a tie at the boundary counts as in.

    Args:
        targets: (batch,) classes.
        predictions: (batch, classes).
        k: Number of predictions to look at.

    >>> kcore.ops.in_top_k([1, 0], [[0.1, 0.9], [0.2, 0.8]], 1).numpy().tolist()
    [True, False]
    """
    targets, predictions = as_tensor(targets), as_float(predictions)
    if is_floating(targets.dtype):
        targets = cast_to(targets, "int32")
    return apply("in_top_k", (targets, predictions), {"k": int(k)})


@public
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The running sums along an axis; of x flattened if `axis` is None.

    >>> kcore.ops.cumsum([1.0, 2.0, 3.0]).numpy().tolist()
    [1.0, 3.0, 6.0]
    """
    return _scan("cumsum", x, axis, dtype)


@vjp("cumsum")
def cumsum_vjp(node, dy):
    a = node.attrs
    return [apply("cumsum", (dy,), {"axis": a["axis"], "reverse": not a.get("reverse", False)})]


@public
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The running products along an axis; of x flattened if `axis` is None.

    >>> kcore.ops.cumprod([1.0, 2.0, 3.0]).numpy().tolist()
    [1.0, 2.0, 6.0]
    """
    return _scan("cumprod", x, axis, dtype)


@vjp("cumprod")
def cumprod_vjp(node, dy):
    # dx[k] = (product before k) * s[k], s[k] = dy[k] + x[k+1] s[k+1]: no division, so zeros are no trouble.
    (x,), axis = node.inputs, node.attrs["axis"]
    before = _shifted(node.outputs[0], axis, 1, 1.0)
    s = apply("linear_scan", (_shifted(x, axis, -1, 0.0), dy), {"axis": axis, "reverse": True})
    return [ew.multiply(before, s)]


def linear_scan(a: Any, b: Any, axis: int = -1, reverse: bool = False) -> Tensor:
    """y[k] = a[k] y[k - 1] + b[k] along an axis, y before the first being 0; `reverse` runs from the end.

    >>> linear_scan([0.5, 0.5], [1.0, 1.0]).numpy().tolist()
    [1.0, 1.5]
    """
    a, b = together(a, b, floating=True)
    return apply("linear_scan", (a, b), {"axis": normalize_axis(axis, a.ndim, "linear_scan"), "reverse": reverse})


@vjp("linear_scan")
def linear_scan_vjp(node, dy):
    a, _ = node.inputs
    axis, reverse = node.attrs["axis"], node.attrs["reverse"]
    step = -1 if reverse else 1
    db = apply("linear_scan", (_shifted(a, axis, -step, 0.0), dy), {"axis": axis, "reverse": not reverse})
    return [ew.multiply(db, _shifted(node.outputs[0], axis, step, 0.0)), db]


def _shifted(x: Tensor, axis: int, by: int, fill: float) -> Tensor:
    """x moved one place along an axis (by=1: y[k] = x[k - 1]); `fill` enters."""
    n = x.shape[axis]
    start, size = [0] * x.ndim, list(x.shape)
    size[axis] = 1
    edge = full_of(tuple(size), fill, x.dtype)
    size[axis] = n - 1
    start[axis] = 0 if by > 0 else 1
    kept = strided_slice(x, start, size, [1] * x.ndim)
    return concatenate([edge, kept] if by > 0 else [kept, edge], axis)


def _line(x: Any, axis: int | None, op: str) -> tuple[Tensor, int]:
    x = as_tensor(x)
    if axis is None or x.ndim == 0:
        x, axis = reshape(x, (-1,)), 0
    return x, normalize_axis(axis, x.ndim, op)


def _scan(op: str, x: Any, axis: int | None, dtype: Any) -> Tensor:
    x, axis = _line(x, axis, op)
    x = cast_to(x, standardize_dtype(dtype) if dtype is not None else "int32" if x.dtype == "bool" else x.dtype)
    return apply(op, (x,), {"axis": axis})


@public
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where values would be inserted into a sorted sequence to keep it sorted; int32.

    Args:
        sorted_sequence: (n,) ascending.
        values: Of any shape.
        side: `"left"`: before equal values; `"right"`: after them.

    >>> kcore.ops.searchsorted([1.0, 2.0, 3.0], [2.0, 9.0]).numpy().tolist()
    [1, 3]
    """
    return apply("searchsorted", together(sorted_sequence, values), {"side": side})


@public
def digitize(x: Any, bins: Any) -> Tensor:
    """The number of the bin each value falls in: bins[i - 1] <= x < bins[i]; int32.

    >>> kcore.ops.digitize([0.5, 2.0], [1.0, 2.0]).numpy().tolist()
    [0, 2]
    """
    return searchsorted(bins, x, side="right")


# --- results whose shape depends on the values: computed by NumPy, on concrete values ---


def _values(x: Any, op: str) -> np.ndarray:
    x = as_tensor(x)
    if x.is_symbolic:
        raise ValueError(f"[{op}] expected values: the shape of the result depends on them, received a symbolic tensor")
    return np.asarray(x)


@public
def nonzero(x: Any) -> tuple[Tensor, ...]:
    """The indices of the values that are not zero, an int32 tensor for each dimension.

    >>> [i.tolist() for i in kcore.ops.nonzero([0, 5, 6])]
    [[1, 2]]
    """
    return tuple(convert_to_tensor(i.astype("int32")) for i in np.nonzero(_values(x, "nonzero")))


@public
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct values of x, ascending.

    Args:
        x: Values of any shape.
        sorted: Kept for the API: the result is always sorted.
        return_index: Also return the index of the first of each value.
        return_inverse: Also return, for each value of x, the index of its equal in the result.
        return_counts: Also return how often each value occurs.
        axis: The axis whose slices are compared; None compares values.
        size: Length of the result: cut, or padded with `fill_value` (the smallest value if None).
        fill_value: What to pad with.

    >>> kcore.ops.unique([3, 1, 3]).numpy().tolist()
    [1, 3]
    """
    found = np.unique(_values(x, "unique"), return_index=True, return_inverse=True, return_counts=True, axis=axis)
    values, index, inverse, counts = found
    if size is not None:
        values = _resized(
            values, size, axis or 0, values.min() if fill_value is None and values.size else fill_value or 0
        )
        index, counts = _resized(index, size, 0, index[0] if index.size else 0), _resized(counts, size, 0, 0)
    out = [convert_to_tensor(values)]
    for wanted, part in ((return_index, index), (return_inverse, inverse), (return_counts, counts)):
        if wanted:
            out.append(convert_to_tensor(part.astype("int32")))
    return out[0] if len(out) == 1 else tuple(out)


def _resized(x: np.ndarray, size: int, axis: int, fill: Any) -> np.ndarray:
    n = x.shape[axis]
    if n >= size:
        return np.take(x, range(size), axis)
    return np.pad(x, [(0, size - n if i == axis else 0) for i in range(x.ndim)], constant_values=fill)


@public
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each non-negative integer occurs along the last axis, or the sum of its weights.

    Args:
        x: (n,) or (batch, n) non-negative integers.
        weights: Of the shape of x.
        minlength: Least length of the result.
        sparse: Must be False.

    >>> kcore.ops.bincount([0, 2, 2]).numpy().tolist()
    [1, 0, 2]
    """
    values = _values(x, "bincount")
    if sparse:
        raise ValueError("[bincount] expected sparse=False: there are no sparse tensors")
    if values.dtype.kind not in "iu" or values.ndim not in (1, 2) or (values.size and values.min() < 0):
        raise ValueError(
            f"[bincount] expected non-negative integers of 1 or 2 dimensions, received {values.dtype} {values.shape}"
        )
    weights = None if weights is None else _values(weights, "bincount")
    if weights is not None and weights.shape != values.shape:
        raise ValueError(f"[bincount] expected weights of shape {values.shape}, received {weights.shape}")
    length = max(int(values.max()) + 1 if values.size else 0, int(minlength))
    dtype = "int32" if weights is None else weights.dtype
    rows, row_weights = np.atleast_2d(values), None if weights is None else np.atleast_2d(weights)
    counts = [
        np.bincount(row, None if weights is None else row_weights[i], length).astype(dtype)
        for i, row in enumerate(rows)
    ]
    return convert_to_tensor(np.stack(counts) if values.ndim == 2 else counts[0])


@public
def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
    """How many values of x (n,) fall in each of `bins` equal intervals, and the bounds of those, both as floats.

    >>> counts, edges = kcore.ops.histogram([0.0, 1.0, 1.0, 2.0], bins=2)
    >>> counts.tolist(), edges.tolist()
    ([1.0, 3.0], [0.0, 1.0, 2.0])
    """
    if isinstance(bins, bool) or int(bins) != bins or bins < 1:
        raise ValueError(f"[histogram] expected a positive number of bins, received {bins!r}")
    values = _values(x, "histogram")
    if values.ndim != 1:
        raise ValueError(f"[histogram] expected x of 1 dimension, received shape {values.shape}")
    if range is not None and (len(range) != 2 or range[0] > range[1]):
        raise ValueError(f"[histogram] expected range (low, high), received {range!r}")
    counts, edges = np.histogram(values, bins=int(bins), range=range)
    dtype = values.dtype if values.dtype.kind == "f" else "float32"
    return convert_to_tensor(counts.astype(dtype)), convert_to_tensor(edges.astype(dtype))
