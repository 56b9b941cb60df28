"""Max and average pooling. x (N, spatial..., C) with 1 to 3 spatial dimensions, y (N, pooled..., C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore.autograd import Tensor, apply, config, is_recorded, vjp
from kcore.autograd.dtype import is_floating
from kcore.ops.operands import as_float, as_tensor, cast_to
from kcore.ops.public import public
from kcore.ops.shape import moveaxis


def _per_dimension(value: int | Sequence[int], dims: int, name: str, op: str) -> list[int]:
    values = [value] * dims if isinstance(value, int) else list(value)
    if len(values) != dims or not all(isinstance(v, int) and v >= 1 for v in values):
        raise ValueError(f"[{op}] expected {name} to be a positive int or {dims} of them, received {value!r}")
    return values


def _same_pads(length: int, window: int, stride: int) -> tuple[int, int]:
    """Padding before and after, so that ceil(length / stride) windows fit; the odd one goes after."""
    total = max((-(-length // stride) - 1) * stride + window - length, 0)
    return total // 2, total - total // 2


def _pool(op: str, x: Tensor, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Tensor:
    dims = x.ndim - 2
    if not 1 <= dims <= 3:
        raise ValueError(f"[{op}] expected inputs with 1 to 3 spatial dimensions, received shape {x.shape}")
    data_format = config.standardize_data_format(data_format)
    if padding not in ("valid", "same"):
        raise ValueError(f"[{op}] expected padding 'valid' or 'same', received {padding!r}")
    window = _per_dimension(pool_size, dims, "pool_size", op)
    strides = window if strides is None else _per_dimension(strides, dims, "strides", op)
    if data_format == "channels_first":
        x = moveaxis(x, 1, -1)
    pads = [0] * (2 * dims)
    if padding == "same":
        pads = [p for n, k, s in zip(x.shape[1:-1], window, strides) for p in _same_pads(n, k, s)]
    attrs = {"window": window, "strides": strides, "pads": pads}
    if op == "max_pool":
        y, _ = apply(op, (x,), {**attrs, "caches": is_recorded((x,))})
    else:
        y = apply(op, (x,), attrs)
    return moveaxis(y, -1, 1) if data_format == "channels_first" else y


@public
def max_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest element of each window; NaN if there is one in it.

    Args:
        inputs: (N, spatial..., C), or (N, C, spatial...) with data_format "channels_first".
        pool_size: Length of the window in each spatial dimension.
        strides: Steps between windows; `pool_size` if None.
        padding: "valid" (windows inside the input only) or "same" (one window per stride).
        data_format: "channels_last", "channels_first", or None for the configured default.

    >>> kcore.ops.max_pool([[[1.0], [5.0], [2.0], [3.0]]], 2).numpy().ravel().tolist()
    [5.0, 3.0]
    """
    x = as_tensor(inputs)
    if is_floating(x.dtype):
        return _pool("max_pool", x, pool_size, strides, padding, data_format)
    # float64 holds every integer of 53 bits.
    return cast_to(_pool("max_pool", cast_to(x, "float64"), pool_size, strides, padding, data_format), x.dtype)


def _windows(node):
    return {name: value for name, value in node.attrs.items() if name in ("window", "strides", "pads")}


@vjp("max_pool")
def max_pool_vjp(node, dy, _=None):
    size = list(node.inputs[0].shape[1:-1])
    return [apply("max_pool_grad", (dy, node.outputs[1]), {**_windows(node), "size": size})]


# One adds dy where the maxima of windows are, the other reads v there.
@vjp("max_pool_grad")
def max_pool_grad_vjp(node, ddx):
    return [apply("max_pool_take", (ddx, node.inputs[1]), _windows(node)), None]


@vjp("max_pool_take")
def max_pool_take_vjp(node, dy):
    size = list(node.inputs[0].shape[1:-1])
    return [apply("max_pool_grad", (dy, node.inputs[1]), {**_windows(node), "size": size}), None]


@public
def average_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window; padding does not count. Arguments as for `max_pool`.

    >>> kcore.ops.average_pool([[[1.0], [5.0], [2.0]]], 2, padding="same").numpy().ravel().tolist()
    [3.0, 2.0]
    """
    return _pool("average_pool", as_float(inputs), pool_size, strides, padding, data_format)


@vjp("average_pool")
def average_pool_vjp(node, dy):
    return [apply("average_pool_grad", (dy,), {**_windows(node), "size": list(node.inputs[0].shape[1:-1])})]


@vjp("average_pool_grad")
def average_pool_grad_vjp(node, ddx):
    return [apply("average_pool", (ddx,), _windows(node))]
