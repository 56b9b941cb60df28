"""Conversions and the odds and ends of `keras.ops`: shapes, casts, loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.autograd import Tensor, convert_to_tensor, is_tensor, standardize_dtype, stop_gradient
from kcore.ops.elementwise import cast
from kcore.ops.operands import as_tensor
from kcore.ops.shape import stack, unstack

__all__ = [
    "cast",
    "cond",
    "convert_to_numpy",
    "convert_to_tensor",
    "dtype",
    "fori_loop",
    "is_tensor",
    "map",
    "ndim",
    "scan",
    "shape",
    "size",
    "stop_gradient",
    "unstack",
    "vectorized_map",
    "while_loop",
]


def convert_to_numpy(x: Any) -> np.ndarray:
    """A NumPy copy of the values of x.

    >>> kcore.ops.convert_to_numpy(kcore.ops.ones((2,)))
    array([1., 1.], dtype=float32)
    """
    return np.array(x) if isinstance(x, (list, tuple)) else np.array(as_tensor(x).array.numpy())


def shape(x: Any) -> tuple:
    """The shape of x; None stands for a dimension that is not known while a model is built."""
    return tuple(x.shape) if hasattr(x, "shape") else as_tensor(x).shape


def ndim(x: Any) -> int:
    """The number of dimensions of x."""
    return len(shape(x))


def size(x: Any) -> Any:
    """The number of elements of x."""
    return as_tensor(x).size


def dtype(x: Any) -> str:
    """The name of the dtype of x."""
    return standardize_dtype(x.dtype) if hasattr(x, "dtype") else as_tensor(x).dtype


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` if `pred` is true, else `false_fn()`. While shapes are traced, `true_fn()`: both have the same shapes."""
    if isinstance(pred, Tensor) and pred.is_symbolic:
        return true_fn()
    return true_fn() if bool(pred) else false_fn()


def while_loop(cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None) -> Any:
    """Calls `loop_vars = body(*loop_vars)` while `cond(*loop_vars)`."""
    many = isinstance(loop_vars, (list, tuple))
    loop_vars = tuple(loop_vars) if many else (loop_vars,)
    count = 0
    while (maximum_iterations is None or count < maximum_iterations) and bool(cond(*loop_vars)):
        out = body(*loop_vars)
        loop_vars = tuple(out) if isinstance(out, (list, tuple)) else (out,)
        count += 1
    return loop_vars if many else loop_vars[0]


def fori_loop(lower: int, upper: int, body_fun: Callable, init_val: Any) -> Any:
    """Calls `value = body_fun(i, value)` for i in [lower, upper)."""
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def scan(
    f: Callable, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False, unroll: int = 1
) -> tuple[Any, Any]:
    """Calls `carry, y = f(carry, x)` for each slice x of xs along dimension 0; returns the last carry and the stacked ys."""
    many = isinstance(xs, (list, tuple))
    steps = list(zip(*[unstack(x) for x in xs])) if many else unstack(xs) if xs is not None else [None] * int(length)
    carry, ys = init, []
    for x in reversed(steps) if reverse else steps:
        carry, y = f(carry, x)
        ys.append(y)
    if reverse:
        ys.reverse()
    if not ys or ys[0] is None:
        return carry, None
    if isinstance(ys[0], (list, tuple)):
        return carry, type(ys[0])(stack(list(y)) for y in zip(*ys))
    return carry, stack(ys)


def map(f: Callable, xs: Any) -> Any:
    """`f` of each slice of xs along dimension 0, stacked."""
    return scan(lambda carry, x: (carry, f(x)), None, xs)[1]


def vectorized_map(function: Callable, elements: Any) -> Any:
    """`function` of each slice of elements along dimension 0, stacked."""
    return map(function, elements)
