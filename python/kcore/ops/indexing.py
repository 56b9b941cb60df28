"""x[...] with NumPy's basic and advanced indexing, as slices, reshapes and gathers."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from kcore.autograd import Tensor, Variable, convert_to_tensor
from kcore.ops.public import public
from kcore.ops.shape import moveaxis, reshape, strided_slice


def _expand_ellipsis(items: tuple, ndim: int) -> list[Any]:
    # bool arrays index as many dimensions as they have
    used = sum(getattr(i, "ndim", 1) if _is_bool(i) else 1 for i in items if i is not None and i is not Ellipsis)
    if used > ndim:
        raise IndexError(f"[getitem] too many indices: {used} for a tensor of {ndim} dimensions")
    if sum(i is Ellipsis for i in items) > 1:
        raise IndexError("[getitem] expected at most one ellipsis ('...')")
    fill = [builtins.slice(None)] * (ndim - used)
    for at, item in enumerate(items):
        if item is Ellipsis:
            return [*items[:at], *fill, *items[at + 1 :]]
    return [*items, *fill]


def _is_bool(item: Any) -> bool:
    return isinstance(item, (np.ndarray, Tensor, Variable)) and str(item.dtype) == "bool"


@public
def get_item(x: Any, key: Any) -> Tensor:
    """x[key]: ints, slices, None, `...`, and arrays of ints or bools, as NumPy has them.

    >>> kcore.ops.convert_to_tensor([[1, 2], [3, 4]])[:, -1].numpy().tolist()
    [2, 4]
    """
    x = convert_to_tensor(x)
    items = _expand_ellipsis(key if isinstance(key, tuple) else (key,), x.ndim)
    start, size, step, shape, arrays = [], [], [], [], []
    dim = 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        if isinstance(item, (list, np.ndarray)) or (isinstance(item, (Tensor, Variable)) and item.ndim > 0):
            item = item if isinstance(item, (Tensor, Variable)) else np.asarray(item)
            count = item.ndim if _is_bool(item) else 1
            arrays.append((len(shape), item))
            for d in range(dim, dim + count):
                start.append(0), size.append(x.shape[d]), step.append(1), shape.append(x.shape[d])
            dim += count
            continue
        n = x.shape[dim]
        if isinstance(item, builtins.slice):
            first, last, by = item.indices(n)
            count = len(range(first, last, by))
            start.append(first if count else 0), size.append(count), step.append(by), shape.append(count)
        else:
            try:
                i = item.__index__()
            except (AttributeError, TypeError):
                raise IndexError(
                    f"[getitem] expected ints, slices, None, '...' or arrays of ints or bools, received {item!r}"
                ) from None
            if not -n <= i < n:
                raise IndexError(f"[getitem] index {i} is out of range for dimension {dim} of shape {x.shape}")
            start.append(i % n), size.append(1), step.append(1)
        dim += 1
    if tuple(size) != x.shape or any(s != 1 for s in step):
        x = strided_slice(x, start, size, step)
    x = reshape(x, shape) if tuple(shape) != x.shape else x
    return _advanced(x, arrays) if arrays else x


def _advanced(x: Tensor, arrays: list[tuple[int, Any]]) -> Tensor:
    """Index arrays at the given dimensions of x, broadcast together."""
    from kcore.ops.gather import take

    indices, dims = [], []
    for dim, item in arrays:
        if _is_bool(item):
            mask = np.asarray(item)
            if mask.shape != x.shape[dim : dim + mask.ndim]:
                raise IndexError(
                    f"[getitem] a mask of shape {mask.shape} does not fit shape {x.shape} at dimension {dim}"
                )
            for offset, found in enumerate(np.nonzero(mask)):
                indices.append(found), dims.append(dim + offset)
        else:
            indices.append(item), dims.append(dim)
    if len(indices) == 1:
        return take(x, convert_to_tensor(indices[0]), axis=dims[0])
    for index, d in zip(indices, dims):  # each in its own range: a flat index would hide what is out of it
        values = np.asarray(index)
        if values.size and (values.min() < -x.shape[d] or values.max() >= x.shape[d]):
            raise IndexError(f"[getitem] indices are out of range for dimension {d} of shape {x.shape}")
    # The indexed dimensions move to the front and become one, indexed by a combined number.
    adjacent = dims == list(range(dims[0], dims[0] + len(dims)))
    sizes = [x.shape[d] for d in dims]
    x = moveaxis(x, dims, range(len(dims)))
    flat = (
        np.ravel_multi_index(np.broadcast_arrays(*[np.asarray(i) % n for i, n in zip(indices, sizes)]), sizes)
        if all(sizes)
        else np.zeros(0, int)
    )
    rest = x.shape[len(dims) :]
    out = take(reshape(x, (int(np.prod(sizes)), *rest)), convert_to_tensor(np.asarray(flat)), axis=0)
    k = np.ndim(flat)
    return moveaxis(out, range(k), range(dims[0], dims[0] + k)) if adjacent and dims[0] else out
