"""Ops that move elements: reshape, transpose, slice, concatenate and what is made of them. Gradients right below."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.autograd import Tensor, apply, convert_to_tensor, vjp
from kcore.ops.operands import as_tensor, full_of, normalize_axis, sum_to, together
from kcore.ops.public import public


def _ints(values: Any) -> list[int]:
    return [int(v) for v in (values if np.ndim(values) else [values])]


@public
def reshape(x: Any, newshape: Any) -> Tensor:
    """The same elements under another shape; one dimension may be -1.

    >>> kcore.ops.reshape([1, 2, 3, 4], (2, -1)).shape
    (2, 2)
    """
    return apply("reshape", (as_tensor(x),), {"shape": _ints(newshape)})


@vjp("reshape")
def reshape_vjp(node, dy):
    return [reshape(dy, node.inputs[0].shape)]


@public
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Dimensions in another order; reversed if `axes` is None."""
    x = as_tensor(x)
    axes = list(range(x.ndim))[::-1] if axes is None else [normalize_axis(a, x.ndim, "transpose") for a in axes]
    return x if axes == list(range(x.ndim)) else apply("transpose", (x,), {"axes": axes})


@vjp("transpose")
def transpose_vjp(node, dy):
    axes = node.attrs["axes"]
    return [apply("transpose", (dy,), {"axes": [axes.index(i) for i in range(len(axes))]})]


@public
def broadcast_to(x: Any, shape: Any) -> Tensor:
    """x repeated to a larger shape."""
    x = as_tensor(x)
    shape = tuple(_ints(shape))
    return x if x.shape == shape else apply("broadcast_to", (x,), {"shape": list(shape)})


@vjp("broadcast_to")
def broadcast_to_vjp(node, dy):
    return [sum_to(dy, node.inputs[0].shape)]


@public
def concatenate(xs: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Tensors joined along an axis; flattened first if `axis` is None."""
    xs = together(*xs)
    if not xs:
        raise ValueError("[concatenate] expected at least one tensor, received none")
    if axis is None:
        xs, axis = [reshape(x, (-1,)) for x in xs], 0
    return apply("concat", xs, {"axis": normalize_axis(axis, max(xs[0].ndim, 1), "concatenate")})


@vjp("concat")
def concat_vjp(node, dy):
    axis, start, out = node.attrs["axis"], 0, []
    for x, need in zip(node.inputs, node.needs):
        out.append(_window(dy, axis, start, x.shape[axis]) if need else None)
        start += x.shape[axis]
    return out


def _window(x: Tensor, axis: int, start: int, size: int) -> Tensor:
    """x[..., start : start + size, ...] along one axis."""
    starts, sizes = [0] * x.ndim, list(x.shape)
    starts[axis], sizes[axis] = start, size
    return strided_slice(x, starts, sizes, [1] * x.ndim)


def strided_slice(x: Tensor, start: Sequence[int], size: Sequence[int], step: Sequence[int]) -> Tensor:
    """`size` elements from `start` in steps of `step`, in each dimension; steps may be negative."""
    return apply("slice", (x,), {"start": list(start), "size": list(size), "step": list(step)})


@vjp("slice")
def slice_vjp(node, dy):
    a = node.attrs
    return [apply("place", (dy,), {"shape": list(node.inputs[0].shape), "start": a["start"], "step": a["step"]})]


@vjp("place")
def place_vjp(node, dy):
    a = node.attrs
    return [strided_slice(dy, a["start"], node.inputs[0].shape, a["step"])]


@public
def slice(inputs: Any, start_indices: Any, shape: Any) -> Tensor:
    """`shape` elements from `start_indices` on."""
    x = as_tensor(inputs)
    starts, sizes = _ints(start_indices), _ints(shape)
    sizes = [n - s if size == -1 else size for n, s, size in zip(x.shape, starts, sizes)]
    return strided_slice(x, starts, sizes, [1] * x.ndim)


@public
def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    xs = together(*x)
    if not xs:
        raise ValueError("[stack] expected at least one tensor, received none")
    if any(v.shape != xs[0].shape for v in xs):
        raise ValueError(f"[stack] expected tensors of one shape, received {[v.shape for v in xs]}")
    axis = normalize_axis(axis, xs[0].ndim + 1, "stack")
    return concatenate([expand_dims(v, axis) for v in xs], axis)


@public
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of x along an axis, without that axis."""
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, "unstack")
    if num is not None and num != x.shape[axis]:
        raise ValueError(f"[unstack] expected num={x.shape[axis]} for shape {x.shape} and axis {axis}, received {num}")
    return [squeeze(_window(x, axis, i, 1), axis) for i in range(x.shape[axis])]


@public
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """x cut along an axis: into equal parts, or before each of the given indices."""
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, "split")
    n = x.shape[axis]
    if np.ndim(indices_or_sections) == 0:
        parts = int(indices_or_sections)
        if parts < 1 or n % parts:
            raise ValueError(f"[split] {parts} parts do not divide dimension {n} of axis {axis}; input is {x.shape}")
        edges = [i * (n // parts) for i in range(parts + 1)]
    else:
        edges = [0, *(max(0, i + n if i < 0 else min(i, n)) for i in _ints(indices_or_sections)), n]
    return [_window(x, axis, a, max(b - a, 0)) for a, b in itertools.pairwise(edges)]


@public
def expand_dims(x: Any, axis: Any) -> Tensor:
    """x with new dimensions of 1 at the given positions of the result."""
    x = as_tensor(x)
    axes = _ints(axis)
    ndim = x.ndim + len(axes)
    at = {normalize_axis(a, ndim, "expand_dims") for a in axes}
    rest = iter(x.shape)
    return reshape(x, [1 if i in at else next(rest) for i in range(ndim)])


@public
def squeeze(x: Any, axis: Any = None) -> Tensor:
    """x without its dimensions of 1, or without those given."""
    x = as_tensor(x)
    if axis is None:
        return reshape(x, [n for n in x.shape if n != 1])
    drop = {normalize_axis(a, x.ndim, "squeeze") for a in _ints(axis)}
    for a in drop:
        if x.shape[a] != 1:
            raise ValueError(f"[squeeze] expected dimension 1 at axis {a}, received shape {x.shape}")
    return reshape(x, [n for i, n in enumerate(x.shape) if i not in drop])


@public
def ravel(x: Any) -> Tensor:
    """All elements in one dimension."""
    return reshape(x, (-1,))


@public
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """x with two dimensions exchanged."""
    x = as_tensor(x)
    axes = list(range(x.ndim))
    a, b = normalize_axis(axis1, x.ndim, "swapaxes"), normalize_axis(axis2, x.ndim, "swapaxes")
    axes[a], axes[b] = axes[b], axes[a]
    return transpose(x, axes)


@public
def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """x with the dimensions `source` moved to the positions `destination`."""
    x = as_tensor(x)
    src = [normalize_axis(a, x.ndim, "moveaxis") for a in _ints(source)]
    dst = [normalize_axis(a, x.ndim, "moveaxis") for a in _ints(destination)]
    if len(src) != len(dst):
        raise ValueError(f"[moveaxis] expected as many destinations as sources, received {len(dst)} and {len(src)}")
    axes = [i for i in range(x.ndim) if i not in src]
    for d, s in sorted(zip(dst, src)):
        axes.insert(d, s)
    return transpose(x, axes)


@public
def flip(x: Any, axis: Any = None) -> Tensor:
    """x in reversed order along the given axes, or all."""
    x = as_tensor(x)
    axes = range(x.ndim) if axis is None else [normalize_axis(a, x.ndim, "flip") for a in _ints(axis)]
    start, step = [0] * x.ndim, [1] * x.ndim
    for a in axes:
        start[a], step[a] = max(x.shape[a] - 1, 0), -1
    return strided_slice(x, start, x.shape, step)


@public
def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """x moved along axes, what falls off one end coming back at the other."""
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    shifts, axes = _ints(shift), _ints(axis)
    shifts = shifts * len(axes) if len(shifts) == 1 else shifts
    for by, a in zip(shifts, axes, strict=True):
        x = apply("roll", (x,), {"shift": by, "axis": a})
    return x


@vjp("roll")
def roll_vjp(node, dy):
    return [apply("roll", (dy,), {"shift": -node.attrs["shift"], "axis": node.attrs["axis"]})]


@public
def tile(x: Any, repeats: Any) -> Tensor:
    """x repeated as a block, `repeats` times in each dimension."""
    x = as_tensor(x)
    times = _ints(repeats)
    ndim = max(x.ndim, len(times))
    times = [1] * (ndim - len(times)) + times
    dims = [1] * (ndim - x.ndim) + list(x.shape)
    spread = broadcast_to(
        reshape(x, [d for n in dims for d in (1, n)]), [d for t, n in zip(times, dims) for d in (t, n)]
    )
    return reshape(spread, [t * n for t, n in zip(times, dims)])


@public
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element along an axis repeated; `repeats` is one count, or one for each element."""
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "repeat")
    counts = _ints(repeats.numpy() if isinstance(repeats, Tensor) else repeats)
    if len(counts) > 1:
        if len(counts) != x.shape[axis]:
            raise ValueError(f"[repeat] expected {x.shape[axis]} repeats for axis {axis}, received {len(counts)}")
        from kcore.ops.gather import take

        return take(x, np.repeat(np.arange(len(counts)), counts), axis)
    dims = list(x.shape)
    spread = broadcast_to(expand_dims(x, axis + 1), [*dims[: axis + 1], counts[0], *dims[axis + 1 :]])
    dims[axis] *= counts[0]
    return reshape(spread, dims)


@public
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """x with borders.

    Args:
        x: A tensor.
        pad_width: An int, a pair (before, after) for all dimensions, or a pair for each dimension.
        mode: `"constant"`, `"reflect"` or `"symmetric"`.
        constant_values: The number for mode `"constant"`; 0 if None.
    """
    x = as_tensor(x)
    widths = [list(w) for w in np.broadcast_to(np.asarray(pad_width, dtype=int), (x.ndim, 2)).tolist()]
    if any(w < 0 for pair in widths for w in pair):
        raise ValueError(f"[pad] expected widths of 0 or more, received {pad_width}")
    if mode == "constant":
        shape = [n + a + b for n, (a, b) in zip(x.shape, widths)]
        value = float(constant_values if constant_values is not None else 0)
        attrs = {"shape": shape, "start": [a for a, _ in widths], "step": [1] * x.ndim, "value": value}
        return apply("place", (x,), attrs)
    if constant_values is not None:
        raise ValueError(f"[pad] constant_values goes with mode 'constant', received mode {mode!r}")
    if mode not in ("reflect", "symmetric"):
        raise ValueError(f"[pad] expected mode 'constant', 'reflect' or 'symmetric', received {mode!r}")
    from kcore.ops.gather import take

    for axis, (a, b) in enumerate(widths):
        if a or b:
            index = np.pad(np.arange(x.shape[axis]), (a, b), mode=mode)
            x = take(x, convert_to_tensor(index, dtype="int32"), axis)
    return x


@public
def diag(x: Any, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix; for a vector, the matrix with that diagonal."""
    x = as_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"[diag] expected a vector or a matrix, received shape {x.shape}")
    n = x.shape[0] + (k if k >= 0 else -k)
    flat = {"shape": [n * n], "start": [k if k >= 0 else -k * n], "step": [n + 1]}
    return reshape(apply("place", (x,), flat) if x.size else full_of((n * n,), 0.0, x.dtype), (n, n))


@public
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of two dimensions of x, as its last dimension."""
    x = as_tensor(x)
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    first = offset if offset >= 0 else -offset * columns
    n = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    flat = reshape(x, (*x.shape[:-2], rows * columns))
    start, size, step = [0] * flat.ndim, list(flat.shape), [1] * flat.ndim
    start[-1], size[-1], step[-1] = first, n, columns + 1
    return strided_slice(flat, start, size, step)


@public
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonal of two dimensions of x."""
    return apply("sum", (diagonal(x, offset, axis1, axis2),), {"axes": [-1], "keepdims": False})


@public
def hstack(xs: Sequence[Any]) -> Tensor:
    """Tensors joined along dimension 1, vectors along dimension 0."""
    xs = [reshape(x, (1,)) if as_tensor(x).ndim == 0 else as_tensor(x) for x in xs]
    return concatenate(xs, 0 if xs[0].ndim == 1 else 1)


@public
def vstack(xs: Sequence[Any]) -> Tensor:
    """Tensors joined along dimension 0, vectors as rows."""
    return concatenate([reshape(x, (1, -1)) if as_tensor(x).ndim < 2 else as_tensor(x) for x in xs], 0)
