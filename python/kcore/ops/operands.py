"""What the op families share: operands at one dtype, gradients reduced to the shape of a broadcast input."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.autograd import Tensor, Variable, apply, convert_to_tensor, result_type
from kcore.autograd.dtype import is_floating


def as_tensor(x: Any) -> Tensor:
    """`x` itself if it is a Tensor, else converted."""
    return x if type(x) is Tensor else convert_to_tensor(x)


def as_float(x: Any) -> Tensor:
    """`x` as a floating-point tensor: integers and bools become the default float."""
    x = as_tensor(x)
    return x if is_floating(x.dtype) else cast_to(x, result_type(x.dtype, float))


def cast_to(x: Tensor, dtype: str) -> Tensor:
    """`x` in another dtype; itself if it has that dtype already."""
    return x if x.dtype == dtype else apply("cast", (x,), {"dtype": dtype})


def widened(x: Tensor) -> Tensor:
    """`x` in float32 if it is bfloat16: for formulas whose intermediate results need more than 8 bits."""
    return cast_to(x, "float32") if x.dtype == "bfloat16" else x


def together(*xs: Any, floating: bool = False, numeric: bool = False) -> list[Tensor]:
    """The operands at the dtype they meet at. Python numbers give way to tensors.

    Args:
        xs: Operands.
        floating: Whether integers become floats (division).
        numeric: Whether bools become int32 (arithmetic).
    """
    dtype = xs[0].dtype if type(xs[0]) is Tensor else None
    plain = dtype not in (None, "bool") and (not floating or is_floating(dtype))
    if plain and all(type(x) is Tensor and x.dtype == dtype for x in xs):
        return list(xs)
    types = []
    for x in xs:
        if isinstance(x, (bool, int, float, np.generic)):  # NumPy's scalars give way too: a mean of float64 is a number
            types.append(
                bool if isinstance(x, (bool, np.bool_)) else int if isinstance(x, (int, np.integer)) else float
            )
        elif isinstance(x, (Tensor, Variable)):
            types.append(x.dtype)
        else:
            types.append(None)
    if None in types:
        xs = tuple(convert_to_tensor(x) if t is None else x for x, t in zip(xs, types))
        types = [x.dtype if t is None else t for x, t in zip(xs, types)]
    dtype = result_type(*types)
    if floating and not is_floating(dtype):
        dtype = result_type(dtype, float)
    elif numeric and dtype == "bool":
        dtype = "int32"
    return [convert_to_tensor(x, dtype=dtype) for x in xs]


def sum_to(dx: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient of a broadcast: `dx` summed over what was repeated to get from `shape` to its shape."""
    if dx.shape == shape:
        return dx
    extra = dx.ndim - len(shape)
    axes = list(range(extra)) + [extra + i for i, n in enumerate(shape) if n == 1 and dx.shape[extra + i] != 1]
    if axes:
        dx = apply("sum", (dx,), {"axes": axes, "keepdims": False})
    return dx if dx.shape == shape else apply("reshape", (dx,), {"shape": list(shape)})


def full_of(shape: tuple[int, ...], value: float, dtype: str) -> Tensor:
    """An array of one value."""
    return apply("full", (), {"shape": list(shape), "value": float(value), "dtype": dtype})


def normalize_axis(axis: int, ndim: int, op: str) -> int:
    """An axis of [-ndim, ndim) as one of [0, ndim)."""
    try:
        index = axis.__index__()
    except AttributeError:
        raise TypeError(f"[{op}] expected an int axis, received {axis!r}") from None
    if not -ndim <= index < ndim:
        raise ValueError(f"[{op}] expected an axis in [{-ndim}, {ndim}), received {axis}")
    return index % ndim
