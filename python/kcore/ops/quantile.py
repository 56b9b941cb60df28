"""Quantiles: sorted values and what lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.autograd import Tensor, apply
from kcore.autograd.dtype import numpy_dtype
from kcore.ops import elementwise as ew
from kcore.ops.gather import take
from kcore.ops.operands import as_float, as_tensor
from kcore.ops.public import public
from kcore.ops.reduce import axes_of
from kcore.ops.shape import moveaxis, reshape, strided_slice, transpose

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


@public
def quantile(
    x: Any, q: Any, axis: int | Sequence[int] | None = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The values below which fractions q of x lie along the axes. NaN where there is a NaN.

    Args:
        x: Numbers.
        q: A fraction in [0, 1], or an array of them, whose dimensions come first in the result.
        axis: Axes to reduce; all if None.
        method: What to take between two values: `"linear"`, `"lower"`, `"higher"`, `"midpoint"` or `"nearest"`.
        keepdims: Whether reduced axes stay with length 1.

    >>> kcore.ops.quantile([1.0, 2.0, 3.0, 4.0], [0.0, 0.5]).numpy().tolist()
    [1.0, 2.5]
    """
    x, fractions = as_float(x), np.asarray(as_tensor(q), "float64")
    if method not in METHODS:
        raise ValueError(f"[quantile] expected method to be one of {', '.join(METHODS)}, received {method!r}")
    if fractions.ndim > 1 or not ((fractions >= 0) & (fractions <= 1)).all():
        raise ValueError(f"[quantile] expected q in [0, 1], a number or a vector, received {q!r}")
    axes = axes_of(axis, x.ndim, "quantile")
    kept = [i for i in range(x.ndim) if i not in axes]
    lines = reshape(transpose(x, kept + axes), [*(x.shape[i] for i in kept), -1])
    n = lines.shape[-1]
    if n == 0:
        raise ValueError(f"[quantile] expected values along axes {tuple(axes)}, received shape {x.shape}")
    lines = apply("sort", (lines,), {"axis": lines.ndim - 1})[0]

    position = fractions * (n - 1)
    low, high = np.floor(position).astype("int32"), np.ceil(position).astype("int32")
    weight = {
        "linear": position - low,
        "lower": 0.0 * position,
        "higher": (high > low) * 1.0,
        "midpoint": (high > low) * 0.5,
        "nearest": np.round(position) - low,
    }[method]
    weight = np.asarray(weight, numpy_dtype(x.dtype))
    below, above = take(lines, low, axis=-1), take(lines, high, axis=-1)
    # Of two infinite neighbours the difference would be NaN: a weight of 0 or 1 picks one.
    y = ew.where(
        weight == 0,
        below,
        ew.where(weight == 1, above, ew.add(ew.multiply(below, 1 - weight), ew.multiply(above, weight))),
    )
    # NaN sorts last.
    last = strided_slice(lines, [0] * (lines.ndim - 1) + [n - 1], [*lines.shape[:-1], 1], [1] * lines.ndim)
    last = last if fractions.ndim else reshape(last, last.shape[:-1])
    y = ew.where(ew.isnan(last), float("nan"), y)

    y = moveaxis(y, -1, 0) if fractions.ndim else y
    if keepdims:
        y = reshape(y, [*fractions.shape, *(1 if i in axes else d for i, d in enumerate(x.shape))])
    return y


@public
def median(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The middle value along the axes, or the mean of the two middle ones.

    >>> kcore.ops.median([3.0, 1.0, 2.0]).item()
    2.0
    """
    return quantile(x, 0.5, axis=axis, keepdims=keepdims)
