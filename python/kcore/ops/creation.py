"""Arrays of given values: zeros, ranges, identities."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.autograd import Tensor, convert_to_tensor, standardize_dtype
from kcore.autograd.dtype import is_floating
from kcore.ops.operands import as_tensor, cast_to, full_of
from kcore.ops.public import public


def _dims(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if np.ndim(shape) == 0 else tuple(int(d) for d in shape)


@public
def array(x: Any, dtype: Any = None) -> Tensor:
    """A Tensor of the values of `x`: convert_to_tensor by the name it has in NumPy.

    >>> kcore.ops.array([1, 2]).shape
    (2,)
    """
    return convert_to_tensor(x, dtype)


def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """An array of zeros.

    >>> kcore.ops.zeros((2,)).numpy().tolist()
    [0.0, 0.0]
    """
    return full_of(_dims(shape), 0.0, standardize_dtype(dtype))


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """An array of ones."""
    return full_of(_dims(shape), 1.0, standardize_dtype(dtype))


def empty(shape: Any, dtype: Any = None) -> Tensor:
    """An array whose values do not matter: zeros."""
    return zeros(shape, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """An array of one value, or of values that broadcast to `shape`."""
    from kcore.ops.shape import broadcast_to  # only for array values

    if isinstance(fill_value, (bool, int, float)) and (dtype is None or is_floating(standardize_dtype(dtype))):
        return full_of(_dims(shape), fill_value, standardize_dtype(dtype))
    return broadcast_to(convert_to_tensor(fill_value, dtype=standardize_dtype(dtype)), _dims(shape))


@public
def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros of the shape and dtype of x."""
    return full_like(x, 0, dtype)


@public
def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones of the shape and dtype of x."""
    return full_like(x, 1, dtype)


@public
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """One value in the shape and dtype of x."""
    x = as_tensor(x)
    dtype = x.dtype if dtype is None else standardize_dtype(dtype)
    if x.is_symbolic:  # keep what depends on the input symbolic, or its shape would look fixed
        return Tensor(_symbolic(x.shape, dtype))
    return full(x.shape, fill_value, dtype)


def _symbolic(shape: tuple[int, ...], dtype: str) -> Any:
    from kcore import _core

    return _core.symbolic(shape, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """start, start + step, ... below stop.

    >>> kcore.ops.arange(3).numpy().tolist()
    [0, 1, 2]
    """
    if stop is None:
        start, stop = 0, start
    start, stop, step = (v.item() if isinstance(v, Tensor) else v for v in (start, stop, step))
    if dtype is None:
        dtype = "int32" if all(isinstance(v, (int, np.integer)) for v in (start, stop, step)) else None
    return convert_to_tensor(np.arange(start, stop, step), dtype=standardize_dtype(dtype))


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    """`num` evenly spaced values from start to stop."""
    values, step = np.linspace(start, stop, num, endpoint=endpoint, retstep=True, axis=axis)
    values = convert_to_tensor(values, dtype=standardize_dtype(dtype))
    return (values, convert_to_tensor(step, dtype=values.dtype)) if retstep else values


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10, dtype: Any = None, axis: int = 0
) -> Tensor:
    """`num` values from base**start to base**stop, evenly spaced on a logarithmic scale."""
    return convert_to_tensor(np.logspace(start, stop, num, endpoint, base, axis=axis), dtype=standardize_dtype(dtype))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere; shape (N, M or N)."""
    return convert_to_tensor(np.eye(N, M, k), dtype=standardize_dtype(dtype))


def identity(n: int, dtype: Any = None) -> Tensor:
    """The identity matrix of shape (n, n)."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones at and below the k-th diagonal, zeros above; shape (N, M or N)."""
    return convert_to_tensor(np.tri(N, M, k), dtype=standardize_dtype(dtype))


def _keep(x: Any, mask: np.ndarray) -> Tensor:
    from kcore.ops.elementwise import multiply

    x = as_tensor(x)
    return multiply(x, cast_to(convert_to_tensor(mask), x.dtype))


@public
def tril(x: Any, k: int = 0) -> Tensor:
    """x with zeros above its k-th diagonal. x (..., M, N)."""
    x = as_tensor(x)
    return _keep(x, np.tri(x.shape[-2], x.shape[-1], k, dtype=bool))


@public
def triu(x: Any, k: int = 0) -> Tensor:
    """x with zeros below its k-th diagonal. x (..., M, N)."""
    x = as_tensor(x)
    return _keep(x, ~np.tri(x.shape[-2], x.shape[-1], k - 1, dtype=bool))


def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinate matrices of coordinate vectors."""
    from kcore.ops.shape import broadcast_to, reshape

    xs = [as_tensor(v) for v in x]
    if indexing not in ("xy", "ij"):
        raise ValueError(f"[meshgrid] expected indexing 'xy' or 'ij', received {indexing!r}")
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[0], order[1] = 1, 0
    shape = [0] * len(xs)
    for i, v in enumerate(xs):
        shape[order[i]] = v.size
    out = []
    for i, v in enumerate(xs):
        dims = [1] * len(xs)
        dims[order[i]] = v.size
        out.append(broadcast_to(reshape(v, dims), shape))
    return out
