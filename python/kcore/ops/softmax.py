"""Softmax and log-softmax over any axes, each with its gradient right below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kcore.autograd import Tensor, apply, vjp, vjp_of
from kcore.ops import elementwise as ew
from kcore.ops import reduce
from kcore.ops.operands import as_float, normalize_axis
from kcore.ops.public import public
from kcore.ops.shape import reshape, transpose


def _over(op: str, x: Tensor, axis: int | Sequence[int] | None) -> Tensor:
    if isinstance(axis, int):
        return apply(op, (x,), {"axis": normalize_axis(axis, x.ndim, op)})
    # Several axes: as one, at the end.
    axes = reduce.axes_of(axis, x.ndim, op)
    order = [i for i in range(x.ndim) if i not in axes] + axes
    moved = transpose(x, order)
    kept = moved.shape[: x.ndim - len(axes)]
    y = apply(op, (reshape(moved, (*kept, math.prod(moved.shape[len(kept) :]))),), {"axis": len(kept)})
    return transpose(reshape(y, moved.shape), [order.index(i) for i in range(x.ndim)])


@public
def softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis, several axes together, or all (None).

    A -inf becomes 0; where all are -inf, or one is +inf or NaN, everything becomes NaN.

    >>> kcore.ops.softmax([0.0, 0.0]).numpy().tolist()
    [0.5, 0.5]
    """
    return _over("softmax", as_float(x), axis)


@vjp("softmax")
def softmax_vjp(node, dy):
    return [apply("softmax_grad", (dy, node.outputs[0]), node.attrs)]


@vjp("softmax_grad")
@vjp_of
def softmax_grad_vjp(dy, y, axis):
    return ew.multiply(y, ew.subtract(dy, reduce.sum(ew.multiply(dy, y), axis, keepdims=True)))


@public
def log_softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Tensor:
    """log(softmax(x)), accurate also where softmax underflows."""
    return _over("log_softmax", as_float(x), axis)


@vjp("log_softmax")
def log_softmax_vjp(node, dy):
    return [apply("log_softmax_grad", (dy, node.outputs[0]), node.attrs)]


@vjp("log_softmax_grad")
@vjp_of
def log_softmax_grad_vjp(dy, y, axis):
    return ew.subtract(dy, ew.multiply(ew.exp(y), reduce.sum(dy, axis, keepdims=True)))
