"""keras.ops.image: resampling of images. images (batch, height, width, channels) or (height, width, channels)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.autograd import Tensor, apply, convert_to_tensor, vjp
from kcore.autograd.config import standardize_data_format
from kcore.autograd.dtype import is_floating
from kcore.ops import elementwise as ew
from kcore.ops.operands import as_tensor, cast_to
from kcore.ops.public import public
from kcore.ops.shape import broadcast_to, expand_dims, pad, reshape, strided_slice, transpose


def _on_batches(op: str, images: Any, data_format: str | None, function: Callable[[Tensor], Tensor]) -> Tensor:
    """`function` of float images (batch, height, width, channels); the result in the layout and dtype of `images`."""
    images = as_tensor(images)
    if images.ndim not in (3, 4):
        raise ValueError(f"[{op}] expected images of 3 or 4 dimensions, received shape {images.shape}")
    first = standardize_data_format(data_format) == "channels_first"
    x = images if images.ndim == 4 else expand_dims(images, 0)
    x = transpose(x, (0, 2, 3, 1)) if first else x
    whole = not is_floating(x.dtype)
    y = function(cast_to(x, "float32") if whole else x)
    if whole and not is_floating(images.dtype) and is_floating(y.dtype):
        limits = np.iinfo(images.dtype)
        y = cast_to(ew.clip(ew.floor(ew.add(y, 0.5)), float(limits.min), float(limits.max)), images.dtype)
    y = transpose(y, (0, 3, 1, 2)) if first else y
    return y if images.ndim == 4 else reshape(y, y.shape[1:])


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

    return _on_batches("affine_transform", images, data_format, apply_to)


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

    return _on_batches("resize", images, data_format, apply_to)


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


@public
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images with zeros around them. Of top, bottom and target height two are given; of left, right and width too.

    >>> kcore.ops.image.pad_images(np.ones((2, 2, 1)), 1, 1, target_height=4, target_width=4).shape
    (4, 4, 1)
    """

    def apply_to(x: Tensor) -> Tensor:
        top, bottom = _margins("pad_images", "height", x.shape[1], top_padding, bottom_padding, target_height, -1)
        left, right = _margins("pad_images", "width", x.shape[2], left_padding, right_padding, target_width, -1)
        return pad(x, [(0, 0), (top, bottom), (left, right), (0, 0)])

    return _on_batches("pad_images", images, data_format, apply_to)


@public
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images without their margins. Of top, bottom and target height two are given; of left, right and width too.

    >>> kcore.ops.image.crop_images(np.ones((4, 4, 1)), 1, 1, target_height=2, target_width=2).shape
    (2, 2, 1)
    """

    def apply_to(x: Tensor) -> Tensor:
        batch, h, w, channels = x.shape
        top, bottom = _margins("crop_images", "height", h, top_cropping, bottom_cropping, target_height, 1)
        left, right = _margins("crop_images", "width", w, left_cropping, right_cropping, target_width, 1)
        size = [batch, h - top - bottom, w - left - right, channels]
        return strided_slice(x, [0, top, left, 0], size, [1, 1, 1, 1])

    return _on_batches("crop_images", images, data_format, apply_to)


def _margins(op: str, axis: str, size: int, before: Any, after: Any, target: Any, sign: int) -> tuple[int, int]:
    """Both margins, two of (before, after, target) being given; they are added (sign -1) or taken away (1)."""
    if sum(v is None for v in (before, after, target)) != 1:
        raise ValueError(
            f"[{op}] expected two of the margins and target_{axis}, received {before}, {after} and {target}"
        )
    total = sign * (size - target) if target is not None else 0
    before = total - after if before is None else before
    after = total - before if after is None else after
    if before < 0 or after < 0 or sign * (before + after) > size - (sign > 0):
        raise ValueError(f"[{op}] expected margins that fit a {axis} of {size}, received {before} and {after}")
    return int(before), int(after)


@public
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """The brightness 0.2989 r + 0.587 g + 0.114 b, as one channel.

    >>> kcore.ops.image.rgb_to_grayscale(np.ones((2, 2, 3))).shape
    (2, 2, 1)
    """

    def apply_to(x: Tensor) -> Tensor:
        if x.shape[-1] != 3:
            raise ValueError(f"[rgb_to_grayscale] expected 3 channels, received {x.shape[-1]}")
        planes = [
            ew.multiply(strided_slice(x, [0, 0, 0, i], [*x.shape[:3], 1], [1] * 4), w) for i, w in enumerate(_LUMA)
        ]
        return ew.add(ew.add(planes[0], planes[1]), planes[2])

    return _on_batches("rgb_to_grayscale", images, data_format, apply_to)


_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601
