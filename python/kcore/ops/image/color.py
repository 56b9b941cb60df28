"""Colours: brightness, and hue, saturation and value."""

from __future__ import annotations

from typing import Any

from kcore.autograd import Tensor
from kcore.autograd.dtype import is_floating
from kcore.ops import elementwise as ew
from kcore.ops.image.batches import on_batches
from kcore.ops.operands import as_tensor
from kcore.ops.public import public
from kcore.ops.shape import concatenate, split


@public
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """The brightness 0.2989 r + 0.587 g + 0.114 b, as one channel.

    >>> kcore.ops.image.rgb_to_grayscale(np.ones((2, 2, 3))).shape
    (2, 2, 1)
    """

    def apply_to(x: Tensor) -> Tensor:
        planes = [ew.multiply(plane, weight) for plane, weight in zip(_planes(x, "rgb_to_grayscale"), _LUMA)]
        return ew.add(ew.add(planes[0], planes[1]), planes[2])

    return on_batches("rgb_to_grayscale", images, data_format, apply_to)


_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601


def _planes(x: Tensor, op: str) -> list[Tensor]:
    if x.shape[-1] != 3:
        raise ValueError(f"[{op}] expected 3 channels, received {x.shape[-1]}")
    return split(x, 3, axis=-1)


def _require_floats(images: Any, op: str) -> Tensor:
    images = as_tensor(images)
    if not is_floating(images.dtype):
        raise ValueError(f"[{op}] expected images of a float dtype, received {images.dtype}")
    return images


@public
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value, each in [0, 1], of colours with channels in [0, 1].

    >>> kcore.ops.image.rgb_to_hsv([[[0.0, 1.0, 0.0]]]).numpy().round(3).tolist()
    [[[0.3330000042915344, 1.0, 1.0]]]
    """

    def apply_to(x: Tensor) -> Tensor:
        r, g, b = _planes(x, "rgb_to_hsv")
        value = ew.maximum(ew.maximum(r, g), b)
        spread = ew.subtract(value, ew.minimum(ew.minimum(r, g), b))
        # Sixths of the circle, from the channel that is largest.
        sixths = ew.where(
            ew.equal(r, value),
            ew.divide_no_nan(g - b, spread),
            ew.where(ew.equal(g, value), ew.divide_no_nan(b - r, spread) + 2, ew.divide_no_nan(r - g, spread) + 4),
        )
        hue = ew.where(ew.less(sixths, 0), sixths + 6, sixths) / 6
        return concatenate([hue, ew.divide_no_nan(spread, value), value], axis=-1)

    return on_batches("rgb_to_hsv", _require_floats(images, "rgb_to_hsv"), data_format, apply_to)


@public
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue of colours given as hue, saturation and value; the inverse of `rgb_to_hsv`.

    >>> kcore.ops.image.hsv_to_rgb([[[0.0, 1.0, 0.5]]]).tolist()
    [[[0.5, 0.0, 0.0]]]
    """

    def apply_to(x: Tensor) -> Tensor:
        hue, saturation, value = _planes(x, "hsv_to_rgb")

        def channel(offset: float) -> Tensor:
            # The distance along the circle from where the channel is full, as a trapezoid of height 1.
            k = ew.mod(hue * 6 + offset, 6)
            return value - value * saturation * ew.clip(ew.minimum(k, 4 - k), 0, 1)

        return concatenate([channel(5), channel(3), channel(1)], axis=-1)

    return on_batches("hsv_to_rgb", _require_floats(images, "hsv_to_rgb"), data_format, apply_to)
