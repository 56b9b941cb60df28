"""Margins and patches: images cut and padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.autograd import Tensor
from kcore.ops.image.batches import on_batches
from kcore.ops.public import public
from kcore.ops.shape import concatenate, pad, reshape, strided_slice, transpose


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

    return on_batches("pad_images", images, data_format, apply_to)


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

    return on_batches("crop_images", images, data_format, apply_to)


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
def extract_patches(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The pixels of each window, side by side.

    Args:
        images: (batch, height, width, channels) or one image, or channels_first.
        size: (height, width) of a patch.
        strides: From one patch to the next; the size if None.
        dilation_rate: From one pixel of a patch to the next.
        padding: `"valid"` or `"same"` (zeros around).
        data_format: `"channels_last"`, `"channels_first"` or None for the default.

    Returns:
        (batch, rows, columns, height * width * channels of a patch).

    >>> kcore.ops.image.extract_patches(np.ones((1, 6, 6, 3)), 2).shape
    (1, 3, 3, 12)
    """
    size = _pair("size", size)
    strides = size if strides is None else _pair("strides", strides)
    dilation = _pair("dilation_rate", dilation_rate)
    if padding not in ("valid", "same"):
        raise ValueError(f"[extract_patches] expected padding 'valid' or 'same', received {padding!r}")

    def apply_to(x: Tensor) -> Tensor:
        spans = [(k - 1) * d + 1 for k, d in zip(size, dilation)]
        if padding == "same":
            lacks = [max((-(-n // s) - 1) * s + span - n, 0) for n, s, span in zip(x.shape[1:3], strides, spans)]
            x = pad(x, [(0, 0), *((n // 2, n - n // 2) for n in lacks), (0, 0)])
        batch, h, w, channels = x.shape
        if h < spans[0] or w < spans[1]:
            raise ValueError(f"[extract_patches] expected images of at least {tuple(spans)}, received {(h, w)}")
        rows, columns = (h - spans[0]) // strides[0] + 1, (w - spans[1]) // strides[1] + 1
        if strides == size and dilation == (1, 1):  # each pixel belongs to one patch
            x = strided_slice(x, [0] * 4, [batch, rows * size[0], columns * size[1], channels], [1] * 4)
            x = reshape(x, (batch, rows, size[0], columns, size[1], channels))
            return reshape(transpose(x, (0, 1, 3, 2, 4, 5)), (batch, rows, columns, size[0] * size[1] * channels))
        steps = [1, *strides, 1]
        pixels = [
            strided_slice(x, [0, i * dilation[0], j * dilation[1], 0], [batch, rows, columns, channels], steps)
            for i in range(size[0])
            for j in range(size[1])
        ]
        return concatenate(pixels, axis=-1)

    return on_batches("extract_patches", images, data_format, apply_to)


def _pair(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    pair = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(pair) != 2 or any(int(v) != v or v < 1 for v in pair):
        raise ValueError(f"[extract_patches] expected {name} of one or two positive ints, received {value!r}")
    return int(pair[0]), int(pair[1])
