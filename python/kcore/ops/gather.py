"""Gather and scatter: values picked by index, and values put where an index says. Gradients right below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.autograd import Tensor, apply, convert_to_tensor, standardize_dtype, vjp
from kcore.autograd.dtype import is_floating
from kcore.ops import elementwise as ew
from kcore.ops.operands import as_tensor, cast_to, full_of, normalize_axis
from kcore.ops.public import public
from kcore.ops.shape import broadcast_to, reshape, strided_slice


def _indices(x: Any, op: str) -> Tensor:
    """Integer indices; floats (labels often come as floats) are truncated."""
    x = as_tensor(x)
    if x.dtype == "bool":
        raise TypeError(f"[{op}] expected integer indices, received bool")
    return cast_to(x, "int32") if is_floating(x.dtype) else x


@public
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Slices of x along `axis` at the given indices.

    Args:
        x: (d0, ..., dn).
        indices: Integers of any shape, in [-size, size) of the axis.
        axis: None picks from x flattened.

    Returns:
        x with the axis replaced by the dimensions of `indices`.

    Raises:
        ValueError: An index is out of range.

    >>> kcore.ops.take([10.0, 20.0, 30.0], [2, -3], axis=0).numpy().tolist()
    [30.0, 10.0]
    """
    x, indices = as_tensor(x), _indices(indices, "take")
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    return apply("take", (x, indices), {"axis": normalize_axis(axis, x.ndim, "take")})


@vjp("take")
def take_vjp(node, dy):
    x, indices = node.inputs
    axis = node.attrs["axis"]
    return [apply("take_grad", (dy, indices), {"axis": axis, "size": x.shape[axis]}), None]


@vjp("take_grad")
def take_grad_vjp(node, ddx):
    return [apply("take", (ddx, node.inputs[1]), {"axis": node.attrs["axis"]}), None]


@public
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """One value of x for each index: y[..., i, ...] = x[..., indices[..., i, ...], ...] along `axis`.

    `indices` has the dimensions of x, and but for the axis the two broadcast. None picks from x flattened.

    >>> kcore.ops.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], axis=1).numpy().tolist()
    [[2.0], [3.0]]
    """
    x, indices = as_tensor(x), _indices(indices, "take_along_axis")
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis(axis, x.ndim, "take_along_axis")
    if indices.ndim == x.ndim:
        both = [max(a, b) if 1 in (a, b) else a for a, b in zip(x.shape, indices.shape)]
        x = broadcast_to(x, [n if i == axis else d for i, (n, d) in enumerate(zip(x.shape, both))])
        wanted = [n if i == axis else d for i, (n, d) in enumerate(zip(indices.shape, both))]
        if all(n in (1, d) for n, d in zip(indices.shape, wanted)):
            indices = broadcast_to(indices, wanted)
    return apply("take_along_axis", (x, indices), {"axis": axis})


@vjp("take_along_axis")
def take_along_axis_vjp(node, dy):
    x, indices = node.inputs
    axis = node.attrs["axis"]
    return [apply("take_along_axis_grad", (dy, indices), {"axis": axis, "size": x.shape[axis]}), None]


@vjp("take_along_axis_grad")
def take_along_axis_grad_vjp(node, ddx):
    return [apply("take_along_axis", (ddx, node.inputs[1]), {"axis": node.attrs["axis"]}), None]


def gather_nd(x: Any, indices: Any) -> Tensor:
    """Slices of x at multi-indices: indices (..., depth) -> (..., *x.shape[depth:])."""
    return apply("gather_nd", (as_tensor(x), _indices(indices, "gather_nd")))


@vjp("gather_nd")
def gather_nd_vjp(node, dy):
    x, indices = node.inputs
    return [apply("scatter_nd", (full_of(x.shape, 0.0, x.dtype), indices, dy), {"reduction": "add"}), None]


@public
def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Tensor:
    """Zeros of a shape with values added at multi-indices.

    Args:
        indices: (..., depth) integers.
        values: (..., *shape[depth:]).
        shape: Shape of the result.

    >>> kcore.ops.scatter([[0], [2], [0]], [1.0, 2.0, 3.0], (3,)).numpy().tolist()
    [4.0, 0.0, 2.0]
    """
    values = as_tensor(values)
    zeros = full_of(tuple(int(d) for d in shape), 0.0, values.dtype)
    return scatter_update(zeros, indices, values, reduction="add")


@public
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """`inputs` with slices replaced at multi-indices, or combined with what is there.

    Args:
        inputs: (d0, ..., dn).
        indices: (..., depth) integers.
        updates: (..., *inputs.shape[depth:]).
        reduction: None replaces, the last of equal indices winning; `"add"`, `"mul"`, `"max"` or `"min"`.

    >>> kcore.ops.scatter_update([1.0, 2.0, 3.0], [[1]], [9.0]).numpy().tolist()
    [1.0, 9.0, 3.0]
    """
    x = as_tensor(inputs)
    updates = convert_to_tensor(updates, dtype=x.dtype)
    reduction = "update" if reduction is None else reduction
    return apply("scatter_nd", (x, _indices(indices, "scatter_update"), updates), {"reduction": reduction})


@vjp("scatter_nd")
def scatter_nd_vjp(node, dy):
    x, indices, updates = node.inputs
    reduction, (y,) = node.attrs["reduction"], node.outputs
    if reduction == "add":
        return [dy, None, gather_nd(dy, indices)]
    if reduction == "update":
        dx = scatter_update(dy, indices, full_of(updates.shape, 0.0, dy.dtype))
        # Of equal indices only the last reached the result.
        count = int(np.prod(indices.shape[:-1]))
        turn = reshape(convert_to_tensor(np.arange(1, count + 1, dtype="int32")), indices.shape[:-1])
        depth = indices.shape[-1]
        last = scatter_update(full_of(x.shape[:depth], 0, "int32"), indices, turn)
        won = cast_to(ew.equal(gather_nd(last, indices), turn), dy.dtype)
        won = reshape(won, indices.shape[:-1] + (1,) * (x.ndim - depth))
        return [dx, None, ew.multiply(gather_nd(dy, indices), won)]
    if reduction == "mul":
        # d y / d x is the product of the updates; zeros among repeated updates are not told apart.
        ones = full_of(x.shape, 1.0, x.dtype)
        factors = apply("scatter_nd", (ones, indices, updates), {"reduction": "mul"})
        return [ew.multiply(dy, factors), None, ew.divide_no_nan(gather_nd(ew.multiply(dy, y), indices), updates)]
    # max, min: to whatever equals the result
    dx = ew.where(ew.equal(x, y), dy, 0.0)
    return [dx, None, ew.where(ew.equal(updates, gather_nd(y, indices)), gather_nd(dy, indices), 0.0)]


@public
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """`inputs` with a block replaced.

    Args:
        inputs: (d0, ..., dn).
        start_indices: One int for each dimension: where the block begins.
        updates: The block, of as many dimensions.

    >>> kcore.ops.slice_update([1.0, 2.0, 3.0], [1], [8.0, 9.0]).numpy().tolist()
    [1.0, 8.0, 9.0]
    """
    x = as_tensor(inputs)
    updates = convert_to_tensor(updates, dtype=x.dtype)
    start = [int(i) for i in np.asarray(start_indices).reshape(-1)]
    return apply("slice_update", (x, updates), {"start": start})


@vjp("slice_update")
def slice_update_vjp(node, dy):
    updates, start = node.inputs[1], node.attrs["start"]
    dx = apply("slice_update", (dy, full_of(updates.shape, 0.0, dy.dtype)), {"start": start}) if node.needs[0] else None
    return [dx, strided_slice(dy, start, updates.shape, [1] * dy.ndim) if node.needs[1] else None]


@public
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """One at the class, zero elsewhere, along a new axis. A class outside [0, num_classes) gives zeros.

    >>> kcore.ops.one_hot([0, 2], 3).numpy().tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if sparse:
        raise ValueError("[one_hot] expected sparse=False: there are no sparse tensors")
    attrs = {"num_classes": int(num_classes), "axis": int(axis), "dtype": standardize_dtype(dtype)}
    return apply("one_hot", (_indices(x, "one_hot"),), attrs)


@public
def multi_hot(
    inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False, **kwargs: Any
) -> Tensor:
    """Ones at all the classes listed in each row of `inputs` (batch, n) or in `inputs` (n,), zeros elsewhere.

    >>> kcore.ops.multi_hot([[0, 2]], 3).numpy().tolist()
    [[1.0, 0.0, 1.0]]
    """
    num_classes = kwargs.pop("num_tokens", num_classes)
    if kwargs or num_classes is None:
        raise ValueError(f"[multi_hot] expected num_classes, received {num_classes!r} and {sorted(kwargs)}")
    from kcore.ops.reduce import max as max_of

    x = _indices(inputs, "multi_hot")
    hot = one_hot(x, num_classes, axis=axis, dtype=dtype, sparse=sparse)
    return max_of(hot, axis=1 if x.ndim > 1 else 0)


def _segments(data: Any, segment_ids: Any, num_segments: int | None, op: str) -> tuple[Tensor, Tensor, int]:
    data, ids = as_tensor(data), _indices(segment_ids, op)
    if ids.ndim != 1 or data.ndim < 1 or ids.shape[0] != data.shape[0]:
        raise ValueError(f"[{op}] expected segment_ids {data.shape[:1]} for data {data.shape}, received {ids.shape}")
    if num_segments is None:
        num_segments = int(np.asarray(ids).max()) + 1 if ids.size else 0
    return data, reshape(ids, (-1, 1)), int(num_segments)


@public
def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The sums of the rows of each segment. data (n, ...), segment_ids (n,) -> (num_segments, ...).

    >>> kcore.ops.segment_sum([1.0, 2.0, 3.0], [0, 0, 1]).numpy().tolist()
    [3.0, 3.0]
    """
    data, ids, count = _segments(data, segment_ids, num_segments, "segment_sum")
    return scatter_update(full_of((count, *data.shape[1:]), 0.0, data.dtype), ids, data, "add")


@public
def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The largest row values of each segment; -inf (the lowest integer) for an empty one."""
    data, ids, count = _segments(data, segment_ids, num_segments, "segment_max")
    return scatter_update(_full(count, data, -1), ids, data, "max")


@public
def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The smallest row values of each segment; inf (the largest integer) for an empty one."""
    data, ids, count = _segments(data, segment_ids, num_segments, "segment_min")
    return scatter_update(_full(count, data, 1), ids, data, "min")


@public
def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The products of the rows of each segment; 1 for an empty one."""
    data, ids, count = _segments(data, segment_ids, num_segments, "segment_prod")
    return scatter_update(full_of((count, *data.shape[1:]), 1.0, data.dtype), ids, data, "mul")


def _full(count: int, data: Tensor, sign: int) -> Tensor:
    if is_floating(data.dtype):
        return full_of((count, *data.shape[1:]), sign * float("inf"), data.dtype)
    info = np.iinfo(data.dtype)
    return convert_to_tensor(np.full((count, *data.shape[1:]), info.max if sign > 0 else info.min, data.dtype))
