"""Affine transforms and resizing, on kernels of their own, with their adjoints as gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.autograd import Tensor, apply, convert_to_tensor, vjp
from kcore.ops.image.batches import on_batches
from kcore.ops.public import public
from kcore.ops.shape import broadcast_to, pad, strided_slice


@public
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images resampled under affine or projective transforms.

    Args:
        images: (batch, height, width, channels) or one image, or channels_first.
        transform: (batch, 8) or (8,): a0, a1, a2, b0, b1, b2, c0, c1. Output pixel (x, y) shows the input at
            ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), k = c0 x + c1 y + 1.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: What lies outside: `"constant"`, `"nearest"`, `"reflect"` (dcba|abcd|dcba), `"mirror"`
            (dcb|abcd|cba) or `"wrap"`.
        fill_value: The constant.
        data_format: `"channels_last"`, `"channels_first"` or None for the default.

    >>> image = np.arange(4.0).reshape(1, 1, 4, 1)  # shifted one pixel to the left
    >>> kcore.ops.image.affine_transform(image, [1, 0, 1, 0, 1, 0, 0, 0]).numpy().ravel().tolist()
    [1.0, 2.0, 3.0, 0.0]
    """
    attrs = {"interpolation": interpolation, "fill_mode": fill_mode, "fill_value": float(fill_value)}

    def apply_to(x: Tensor) -> Tensor:
        t = convert_to_tensor(transform, dtype=x.dtype)
        t = broadcast_to(t, (x.shape[0], 8)) if t.shape == (8,) else t
        return apply("affine_transform", (x, t), attrs)

    return on_batches("affine_transform", images, data_format, apply_to)


@vjp("affine_transform")
def affine_transform_vjp(node, dy):
    attrs = {name: node.attrs[name] for name in ("interpolation", "fill_mode")}
    return [apply("affine_transform_grad", (dy, node.inputs[1]), attrs), None]


@vjp("affine_transform_grad")
def affine_transform_grad_vjp(node, ddx):
    return [apply("affine_transform", (ddx, node.inputs[1]), {**node.attrs, "fill_value": 0.0}), None]


@public
def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images resized to (height, width), pixel centres at half-integers.

    Args:
        images: (batch, height, width, channels) or one image, or channels_first.
        size: (height, width) of the result.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        antialias: Whether the filter widens where an image shrinks.
        crop_to_aspect_ratio: Whether to cut the centre out of an image of another aspect ratio first.
        pad_to_aspect_ratio: Whether to pad such an image instead.
        fill_mode: `"constant"`.
        fill_value: The value of the padding.
        data_format: `"channels_last"`, `"channels_first"` or None for the default.

    >>> kcore.ops.image.resize(np.ones((1, 4, 4, 3)), (2, 8)).shape
    (1, 2, 8, 3)
    """
    if fill_mode != "constant":
        raise ValueError(f"[resize] expected fill_mode 'constant', received {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("[resize] expected at most one of crop_to_aspect_ratio and pad_to_aspect_ratio")
    if np.ndim(size) != 1 or len(size) != 2:
        raise ValueError(f"[resize] expected size (height, width), received {size!r}")
    height, width = int(size[0]), int(size[1])
    if height < 1 or width < 1:
        raise ValueError(f"[resize] expected a positive height and width, received {size!r}")
    attrs = {"height": height, "width": width, "interpolation": interpolation, "antialias": bool(antialias)}

    def apply_to(x: Tensor) -> Tensor:
        _, h, w, _ = x.shape
        if crop_to_aspect_ratio:
            x = _crop(x, max(min(h, int(w * height / width)), 1), max(min(w, int(h * width / height)), 1))
        elif pad_to_aspect_ratio:
            x = _pad(x, max(h, int(w * height / width)), max(w, int(h * width / height)), fill_value)
        return apply("resize", (x,), attrs)

    return on_batches("resize", images, data_format, apply_to)


def _crop(x: Tensor, height: int, width: int) -> Tensor:
    batch, h, w, channels = x.shape
    start = [0, int((h - height) / 2), int((w - width) / 2), 0]
    return strided_slice(x, start, [batch, height, width, channels], [1, 1, 1, 1])


def _pad(x: Tensor, height: int, width: int, fill_value: float) -> Tensor:
    # The same on both sides, as Keras has it: an odd difference leaves a row or a column out.
    top, left = int((height - x.shape[1]) / 2), int((width - x.shape[2]) / 2)
    return pad(x, [(0, 0), (top, top), (left, left), (0, 0)], constant_values=fill_value)


@vjp("resize")
def resize_vjp(node, dy):
    _, height, width, _ = node.inputs[0].shape
    return [apply("resize_grad", (dy,), {**node.attrs, "height": height, "width": width})]


@vjp("resize_grad")
def resize_grad_vjp(node, ddx):
    _, height, width, _ = node.inputs[0].shape
    return [apply("resize", (ddx,), {**node.attrs, "height": height, "width": width})]
