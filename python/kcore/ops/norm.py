"""Batch, layer and other normalizations, each with its gradient right below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kcore.autograd import Tensor, apply, config, vjp, vjp_of
from kcore.ops import elementwise as ew
from kcore.ops import reduce
from kcore.ops.operands import as_float, as_tensor, cast_to, normalize_axis, widened
from kcore.ops.public import public
from kcore.ops.shape import broadcast_to, moveaxis, reshape


def _like(x: Tensor, *vectors: Any) -> list[Tensor | None]:
    """Parameters and statistics as the ops want them beside x: float32 for bfloat16."""
    dtype = "float32" if x.dtype == "bfloat16" else x.dtype
    return [None if v is None else cast_to(as_tensor(v), dtype) for v in vectors]


@public
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset.

    Args:
        x: Any shape with at least 2 dimensions.
        mean, variance, offset, scale: (n,) where n is the length of x along `axis`.
        axis: The axis that has its own mean and variance.
        epsilon: Added to the variance.
    """
    x = as_float(x)
    axis = normalize_axis(axis, x.ndim, "batch_normalization")
    moved = moveaxis(x, axis, -1)
    y = apply("batch_norm_inference", (moved, *_like(x, mean, variance, scale, offset)), {"epsilon": float(epsilon)})
    return moveaxis(y, -1, axis)


@vjp("batch_norm_inference")
@vjp_of
def batch_norm_inference_vjp(x, mean, variance, gamma, beta, epsilon):
    y = ew.multiply(ew.subtract(x, mean), ew.rsqrt(ew.add(variance, epsilon)))
    y = y if gamma is None else ew.multiply(y, gamma)
    return y if beta is None else ew.add(y, beta)


def batch_norm_train(x: Any, gamma: Any, beta: Any, epsilon: float, axis: int = -1) -> tuple[Tensor, Tensor, Tensor]:
    """Normalizes x with its own statistics; the fused form of `moments` and `batch_normalization`.

    Args:
        x: Floats, of at least 2 dimensions.
        gamma, beta: (n,) where n is the length of x along `axis`, or None.
        epsilon: Added to the variance.
        axis: The axis that has its own mean and variance.

    Returns:
        y of the shape of x, and the mean and (biased) variance (n,) over all other axes.
    """
    x = as_float(x)
    axis = normalize_axis(axis, x.ndim, "batch_norm_train")
    moved = moveaxis(x, axis, -1)  # (..., n)
    y, mean, variance = apply("batch_norm_train", (moved, *_like(x, gamma, beta)), {"epsilon": float(epsilon)})
    return moveaxis(y, -1, axis), mean, variance


@vjp("batch_norm_train")
def batch_norm_train_vjp(node, dy, dmean, dvariance, dscale=None, dshift=None):
    x, gamma, _, residual = (*node.inputs, None)[:4]
    y, mean, variance, *affine = node.outputs  # scale and shift where there is a relu
    epsilon = node.attrs["epsilon"]
    dx = dgamma = dbeta = dresidual = None
    if dy is not None:
        if affine and residual is not None:
            dy, affine = apply("relu_grad", (dy, y)), []
        dresidual = None if residual is None else dy
        dx, dgamma, dbeta = apply("batch_norm_grad", (dy, x, gamma, mean, variance, *affine), {"epsilon": epsilon})
    if dscale is not None:  # scale = gamma / sqrt(variance + epsilon)
        inverse = ew.rsqrt(ew.add(variance, epsilon))
        dgamma = _total([dgamma, ew.multiply(dscale, inverse)], mean.dtype)
        slope = ew.multiply(ew.multiply(dscale, -0.5), ew.multiply(inverse, ew.square(inverse)))
        dvariance = _total([dvariance, slope if gamma is None else ew.multiply(slope, gamma)], mean.dtype)
    if dshift is not None:  # beta, and what rounding takes from the mean
        dbeta = _total([dbeta, dshift], mean.dtype)
    rows = float(max(math.prod(x.shape[:-1]), 1))
    parts = [dx]
    if dmean is not None:
        parts.append(broadcast_to(ew.divide(dmean, rows), x.shape))
    if dvariance is not None:
        parts.append(ew.multiply(ew.subtract(x, mean), ew.multiply(dvariance, 2.0 / rows)))
    return [_total(parts, x.dtype), dgamma, dbeta, dresidual][: len(node.inputs)]


def _total(parts: Sequence[Tensor | None], dtype: str) -> Tensor | None:
    total = None
    for part in parts:
        if part is not None:
            total = part if total is None else ew.add(total, part)
    return None if total is None else cast_to(total, dtype)


@vjp("batch_norm_grad")
@vjp_of
def batch_norm_grad_vjp(dy, x, gamma, mean, variance, scale=None, shift=None, *, epsilon):
    axes, rows = tuple(range(x.ndim - 1)), float(math.prod(x.shape[:-1]))
    if scale is not None:
        dy = apply("relu_grad", (dy, ew.add(ew.multiply(ew.subtract(x, mean), scale), shift)))
    inverse = ew.rsqrt(ew.add(variance, epsilon))
    hat = ew.multiply(ew.subtract(x, mean), inverse)
    dbeta, dgamma = reduce.sum(dy, axes), reduce.sum(ew.multiply(dy, hat), axes)
    scale = inverse if gamma is None else ew.multiply(inverse, gamma)
    centered = ew.subtract(ew.subtract(dy, ew.divide(dbeta, rows)), ew.multiply(hat, ew.divide(dgamma, rows)))
    return ew.multiply(scale, centered), dgamma, dbeta


@public
def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: int | Sequence[int] = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """x with mean 0 and variance 1 over some axes of each sample, times gamma, plus beta (Ba et al., 2016).

    Args:
        x: Any shape with at least 1 dimension.
        gamma, beta: Of the shape of x along `axis`, or None.
        axis: The axis or axes to normalize over.
        epsilon: Added to the variance; `kcore.config.epsilon()` if None.
        kwargs: `rms_scaling=True` divides by the standard deviation without taking the mean away, and ignores beta.

    Raises:
        ValueError: gamma or beta of another shape.
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"[layer_normalization] expected rms_scaling as the only further argument, received {kwargs}")
    x = as_float(x)
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    axes = sorted(reduce.axes_of(axis, x.ndim, "layer_normalization"))
    gamma, beta = _like(x, gamma, beta)
    lengths = tuple(x.shape[a] for a in axes)
    for name, v in (("gamma", gamma), ("beta", beta)):
        if v is not None and v.size != math.prod(lengths):
            raise ValueError(f"[layer_normalization] expected {name} of shape {lengths}, received {v.shape}")
    if not rms_scaling and axes == list(range(x.ndim - len(axes), x.ndim)):
        gamma, beta = (v if v is None or v.shape == lengths else reshape(v, lengths) for v in (gamma, beta))
        return apply("layer_norm", (x, gamma, beta), {"epsilon": epsilon, "dims": len(axes)})[0]
    spread = [n if i in axes else 1 for i, n in enumerate(x.shape)]
    gamma, beta = (v if v is None else reshape(v, spread) for v in (gamma, beta))
    dtype, x = x.dtype, widened(x)
    mean, variance = moments(x, axes, keepdims=True)
    inverse = ew.rsqrt(ew.add(variance, epsilon))
    y = ew.multiply(x if rms_scaling else ew.subtract(x, mean), inverse)
    y = y if gamma is None else ew.multiply(y, gamma)
    return cast_to(y if beta is None or rms_scaling else ew.add(y, beta), dtype)


@vjp("layer_norm")
def layer_norm_vjp(node, dy, dmean, dvariance):
    x, gamma, _ = node.inputs
    _, mean, variance = node.outputs
    dx = dgamma = dbeta = None
    if dy is not None:
        dx, dgamma, dbeta = apply("layer_norm_grad", (dy, x, gamma, mean, variance), node.attrs)
    dims = node.attrs["dims"]
    count = float(math.prod(x.shape[x.ndim - dims :]))
    parts = [dx]
    if dmean is not None:
        parts.append(broadcast_to(_per_row(ew.divide(dmean, count), dims), x.shape))
    if dvariance is not None:
        slope = _per_row(ew.multiply(dvariance, 2.0 / count), dims)
        parts.append(ew.multiply(ew.subtract(x, _per_row(mean, dims)), slope))
    return [_total(parts, x.dtype), dgamma, dbeta]


def _per_row(v: Tensor, dims: int) -> Tensor:
    """v (rows...) as (rows..., 1, ...) with `dims` ones."""
    return reshape(v, (*v.shape, *[1] * dims))


@vjp("layer_norm_grad")
@vjp_of
def layer_norm_grad_vjp(dy, x, gamma, mean, variance, epsilon, dims):
    rows, axes = tuple(range(x.ndim - dims)), tuple(range(x.ndim - dims, x.ndim))
    inverse = _per_row(ew.rsqrt(ew.add(variance, epsilon)), dims)
    hat = ew.multiply(ew.subtract(x, _per_row(mean, dims)), inverse)
    g = dy if gamma is None else ew.multiply(dy, gamma)
    s1 = reduce.mean(g, axes, keepdims=True)
    s2 = reduce.mean(ew.multiply(g, hat), axes, keepdims=True)
    dx = ew.multiply(inverse, ew.subtract(ew.subtract(g, s1), ew.multiply(hat, s2)))
    return dx, reduce.sum(ew.multiply(dy, hat), rows), reduce.sum(dy, rows)


# --- made of other ops ------------------------------------------------------------------------------------------------


@public
def moments(
    x: Any, axes: int | Sequence[int], keepdims: bool = False, synchronized: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and variance (divided by n) of x over some axes.

    Raises:
        NotImplementedError: `synchronized`, which needs several devices.
    """
    if synchronized:
        raise NotImplementedError("[moments] expected synchronized=False, received True: there is one device")
    x = as_float(x)
    dtype, x = x.dtype, widened(x)
    kept = reduce.mean(x, axes, keepdims=True)
    variance = reduce.mean(ew.square(ew.subtract(x, kept)), axes, keepdims)
    return cast_to(kept if keepdims else reshape(kept, variance.shape), dtype), cast_to(variance, dtype)


@public
def normalize(x: Any, axis: int | Sequence[int] = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """x divided by its norm along an axis, or by `epsilon` where the norm is smaller.

    Args:
        order: Order of the norm, an int of at least 1.
        epsilon: `kcore.config.epsilon()` if None.

    >>> kcore.ops.normalize([3.0, 4.0]).numpy().round(3)
    array([0.6, 0.8], dtype=float32)
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"[normalize] expected order to be an int of at least 1, received {order!r}")
    x = as_float(x)
    x = reshape(x, (1,)) if x.ndim == 0 else x
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    if order == 2:
        inverse = ew.rsqrt(reduce.sum(ew.square(x), axis, keepdims=True))
        return ew.multiply(x, ew.minimum(inverse, 1.0 / epsilon))
    return ew.divide(x, ew.maximum(reduce.norm(x, order, axis, keepdims=True), epsilon))


@public
def rms_normalization(
    x: Any, scale: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None
) -> Tensor:
    """x / sqrt(mean(x^2) + epsilon) * scale (Zhang and Sennrich, https://arxiv.org/abs/1910.07467).

    Args:
        scale: Broadcasts against x; None for 1.
        epsilon: `kcore.config.epsilon()` if None.
    """
    x = as_float(x)
    x = reshape(x, (1,)) if x.ndim == 0 else x
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    dtype, x = x.dtype, widened(x)
    y = ew.multiply(x, ew.rsqrt(ew.add(reduce.mean(ew.square(x), axis, keepdims=True), epsilon)))
    return cast_to(y if scale is None else ew.multiply(y, _like(x, scale)[0]), dtype)
