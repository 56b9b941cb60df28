"""Reductions. x of any shape, `axis` None (all), an int or several; with `keepdims` reduced axes stay with length 1."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from kcore.autograd import Tensor, apply, stop_gradient, vjp
from kcore.ops import elementwise as ew
from kcore.ops.operands import as_float, as_tensor, cast_to, full_of, normalize_axis, widened
from kcore.ops.public import public
from kcore.ops.shape import broadcast_to, concatenate, reshape, strided_slice, transpose

Axis = int | Sequence[int] | None


def axes_of(axis: Axis, ndim: int, op: str) -> list[int]:
    """The axes an `axis` argument names, in [0, ndim): all of them for None."""
    if axis is None:
        return list(range(ndim))
    return [normalize_axis(a, ndim, op) for a in (axis if isinstance(axis, (list, tuple)) else (axis,))]


def _reduce(op: str, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    axes = axes_of(axis, x.ndim, op)
    if not axes and x.ndim:  # axis=() reduces nothing: one element each
        x, axes, keepdims = reshape(x, (*x.shape, 1)), [x.ndim], False
    return apply(op, (x,), {"axes": axes, "keepdims": builtins.bool(keepdims)})


def _reduced(node: Any) -> list[int]:
    ndim = node.inputs[0].ndim
    return [a % ndim for a in node.attrs.get("axes", ())] or list(range(ndim))


def _kept(y: Tensor, node: Any) -> Tensor:
    """An output (or its gradient) with the reduced axes back, of length 1."""
    axes, shape = _reduced(node), node.inputs[0].shape
    return reshape(y, [1 if i in axes else n for i, n in enumerate(shape)])


@public
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum of elements; 0 of none. bool is added as int32, uint8 as uint32.

    >>> kcore.ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy().tolist()
    [4.0, 6.0]
    """
    return _reduce("sum", as_tensor(x), axis, keepdims)


@vjp("sum")
def sum_vjp(node, dy):
    return [broadcast_to(_kept(dy, node), node.inputs[0].shape)]


@public
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean of elements, of integers as floats; NaN of none."""
    return _reduce("mean", as_float(x), axis, keepdims)


@vjp("mean")
def mean_vjp(node, dy):
    shape = node.inputs[0].shape
    count = math.prod(shape[a] for a in _reduced(node))
    return [broadcast_to(ew.divide(_kept(dy, node), float(count)), shape)]


@public
def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Product of elements; 1 of none. bool is multiplied as int32, uint8 as uint32.

    Args:
        dtype: The dtype to multiply in; that of x if None.
    """
    x = as_tensor(x)
    return _reduce("prod", x if dtype is None else ew.cast(x, dtype), axis, keepdims)


@vjp("prod")
def prod_vjp(node, dy):
    # The gradient of a tree of products of two: no division, so zeros in x are as good as any value.
    x, axes = node.inputs[0], _reduced(node)
    order = [i for i in range(x.ndim) if i not in axes] + axes
    moved = transpose(x, order)
    n = math.prod(x.shape[a] for a in axes)
    levels = [reshape(moved, (-1 if n else dy.size, n))]  # (outer, n)
    while levels[-1].shape[1] > 1:
        a, b, odd = _halves(levels[-1])
        product = ew.multiply(a, b)
        levels.append(product if odd is None else concatenate([product, odd], axis=1))
    grad = reshape(dy, (-1, 1)) if n else levels[0]
    for level in reversed(levels[:-1]):
        a, b, odd = _halves(level)
        half = a.shape[1]
        g = grad if odd is None else strided_slice(grad, [0, 0], [grad.shape[0], half], [1, 1])
        parts = [ew.multiply(g, b), ew.multiply(g, a)]
        if odd is not None:
            parts.append(strided_slice(grad, [0, half], [grad.shape[0], 1], [1, 1]))
        grad = concatenate(parts, axis=1)
    return [transpose(reshape(grad, moved.shape), [order.index(i) for i in range(x.ndim)])]


def _halves(x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """x (outer, n) as two halves of n // 2 columns, and the last column if n is odd."""
    outer, n = x.shape
    a, b = (strided_slice(x, [0, start], [outer, n // 2], [1, 1]) for start in (0, n // 2))
    return a, b, strided_slice(x, [0, n - 1], [outer, 1], [1, 1]) if n % 2 else None


def _extreme(op: str, x: Any, axis: Axis, keepdims: bool, initial: Any) -> Tensor:
    x = as_tensor(x)
    if initial is None:
        return _reduce(op, x, axis, keepdims)
    axes = axes_of(axis, x.ndim, op)
    if 0 in [x.shape[a] for a in axes]:
        shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes]
        return full_of(tuple(shape), initial, x.dtype)
    y = _reduce(op, x, axis, keepdims)
    return (ew.maximum if op == "max" else ew.minimum)(y, initial)


@public
def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The largest element; NaN if there is one. Elements equal to it share its gradient.

    Args:
        initial: The smallest result possible, and that of no elements.

    Raises:
        ValueError: No elements, and no `initial`.
    """
    return _extreme("max", x, axis, keepdims, initial)


@public
def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest element; NaN if there is one. Elements equal to it share its gradient.

    Args:
        initial: The largest result possible, and that of no elements.

    Raises:
        ValueError: No elements, and no `initial`.
    """
    return _extreme("min", x, axis, keepdims, initial)


@public
def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element: NumPy's older name of `max`."""
    return max(x, axis, keepdims)


@public
def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element: NumPy's older name of `min`."""
    return min(x, axis, keepdims)


@vjp("max")
@vjp("min")
def extreme_vjp(node, dy):
    x = node.inputs[0]
    at = cast_to(ew.equal(x, _kept(node.outputs[0], node)), x.dtype)
    share = ew.divide(_kept(dy, node), apply("sum", (at,), {"axes": _reduced(node), "keepdims": True}))
    return [ew.multiply(at, share)]


@public
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true (not zero)."""
    return _reduce("any", as_tensor(x), axis, keepdims)


@public
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements are true (not zero)."""
    return _reduce("all", as_tensor(x), axis, keepdims)


def _arg(op: str, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    if axis is None:
        index = apply(op, (reshape(x, (-1,)),), {"axis": 0})
        return reshape(index, (1,) * x.ndim) if keepdims else index
    return apply(op, (x,), {"axis": normalize_axis(axis, x.ndim, op), "keepdims": builtins.bool(keepdims)})


@public
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index (int32) of the first largest element along an axis, of the flattened x if `axis` is None.

    >>> kcore.ops.argmax([[1.0, 3.0], [5.0, 4.0]], axis=1).numpy().tolist()
    [1, 0]
    """
    return _arg("argmax", x, axis, keepdims)


@public
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index (int32) of the first smallest element along an axis, of the flattened x if `axis` is None."""
    return _arg("argmin", x, axis, keepdims)


# --- made of the above ------------------------------------------------------------------------------------------------


@public
def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean of the squared differences from the mean (divided by n, not n - 1)."""
    x = as_float(x)
    dtype, x = x.dtype, widened(x)
    return cast_to(mean(ew.square(ew.subtract(x, mean(x, axis, keepdims=True))), axis, keepdims), dtype)


@public
def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Square root of `var`."""
    return ew.sqrt(var(x, axis, keepdims))


@public
def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """Mean weighted by `weights`, of the shape of x, or (n,) for one axis of length n.

    >>> kcore.ops.average([1.0, 2.0], weights=[1.0, 3.0]).item()
    1.75
    """
    x = as_float(x)
    if weights is None:
        return mean(x, axis)
    weights = cast_to(as_tensor(weights), x.dtype)
    if weights.shape != x.shape:
        axes = axes_of(axis, x.ndim, "average")
        if axis is None or weights.shape != tuple(x.shape[a] for a in axes) or len(axes) != 1:
            raise ValueError(
                f"[average] expected weights of the shape of x {x.shape}, or one for each element of one axis, "
                f"received shape {weights.shape} with axis={axis}"
            )
        weights = broadcast_to(reshape(weights, [n if i in axes else 1 for i, n in enumerate(x.shape)]), x.shape)
    return ew.divide(sum(ew.multiply(x, weights), axis), sum(weights, axis))


@public
def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """How many elements are not zero (int32)."""
    return sum(ew.not_equal(as_tensor(x), 0), axis)


@public
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) without overflow; -inf of no elements.

    >>> round(kcore.ops.logsumexp([1000.0, 1000.0]).item(), 3)
    1000.693
    """
    x = as_float(x)
    axes = axes_of(axis, x.ndim, "logsumexp")
    if 0 in [x.shape[a] for a in axes]:
        return ew.log(sum(x, axes, keepdims))
    top = stop_gradient(max(x, axes, keepdims=True))
    top = ew.where(ew.isfinite(top), top, 0.0)
    y = ew.add(ew.log(sum(ew.exp(ew.subtract(x, top)), axes, keepdims=True)), top)
    return y if keepdims else reshape(y, [n for i, n in enumerate(x.shape) if i not in axes])


@public
def norm(x: Any, ord: int | float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Norm of vectors (one axis) or matrices (two axes); of all elements as one vector without `axis` and `ord`.

    Args:
        ord: For vectors any number: 2 (None), inf, -inf, 0 (the count of elements that are not zero) or p for
            sum(|x|^p)^(1/p). For matrices "fro" (None), 1, -1 (columns), inf or -inf (rows).

    Raises:
        ValueError: An `ord` that does not go with the number of axes.
    """
    x = as_float(x)
    axes = axes_of(axis, x.ndim, "norm")
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return ew.sqrt(sum(ew.square(x), axes, keepdims))
    if len(axes) == 1 and not isinstance(ord, str):
        return _vector_norm(x, float(ord), axes, keepdims)
    if len(axes) == 2 and ord in (1, -1, math.inf, -math.inf):
        first, second = axes if abs(ord) == 1 else axes[::-1]
        sums = sum(ew.absolute(x), first, keepdims=True)
        y = (max if ord > 0 else min)(sums, second, keepdims=True)
        return y if keepdims else reshape(y, [n for i, n in enumerate(x.shape) if i not in axes])
    raise ValueError(
        f"[norm] expected a number for ord with one axis, or one of None, 'fro', 1, -1, inf, -inf with two, received "
        f"ord={ord!r} with axis={axis} of x of shape {x.shape}"
    )


def _vector_norm(x: Tensor, ord: float, axes: list[int], keepdims: bool) -> Tensor:
    a = ew.absolute(x)
    if math.isinf(ord):
        return (max if ord > 0 else min)(a, axes, keepdims)
    if ord == 0:
        return cast_to(sum(ew.not_equal(x, 0), axes, keepdims), x.dtype)
    if ord == 1:
        return sum(a, axes, keepdims)
    return ew.power(sum(ew.power(a, ord), axes, keepdims), 1.0 / ord)
