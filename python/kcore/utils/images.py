"""Pictures: files, PIL images and arrays. Needs pillow, which is imported when used."""

from __future__ import annotations

import io
import os
import pathlib
import warnings
from typing import Any

import numpy as np

from kcore.autograd.config import floatx, standardize_data_format
from kcore.saving.names import nearest

_RESAMPLING = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}


def pillow(what: str) -> Any:
    """The module PIL.Image, or an ImportError that says how to get it."""
    try:
        from PIL import Image
    except ImportError as e:
        raise ImportError(f"[{what}] expected pillow to be installed, received {e}; run `pip install pillow`") from e
    return Image


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Opens a picture as a PIL image.

    Args:
        path: a path or an `io.BytesIO`.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"` (8-, 16- and 32-bit grey pictures stay as they are).
        target_size: (height, width) to resize to, or None.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"hamming"`, `"box"` or `"lanczos"`.
        keep_aspect_ratio: cut the middle to the wanted proportions before resizing, instead of distorting.

    Raises:
        ImportError: pillow is missing.
        ValueError: an unknown colour mode or interpolation.
        TypeError: `path` is no path.
    """
    Image = pillow("load_img")
    if color_mode not in _MODES:
        raise ValueError(
            f"[load_img] expected color_mode of {sorted(_MODES)}, received {color_mode!r}{nearest(color_mode, _MODES)}"
        )
    if isinstance(path, io.BytesIO):
        image = Image.open(path)
    elif isinstance(path, (str, bytes, os.PathLike)):
        with open(path, "rb") as file:
            image = Image.open(io.BytesIO(file.read()))
    else:
        raise TypeError(f"[load_img] expected a path or io.BytesIO, received {type(path).__name__}")
    if image.mode != _MODES[color_mode] and not (color_mode == "grayscale" and image.mode in ("I;16", "I")):
        image = image.convert(_MODES[color_mode])
    if target_size is None or image.size == (target_size[1], target_size[0]):
        return image
    if interpolation not in _RESAMPLING:
        raise ValueError(
            f"[load_img] expected interpolation of {_RESAMPLING}, received {interpolation!r}"
            f"{nearest(interpolation, _RESAMPLING)}"
        )
    height, width = target_size
    box = middle_box(image.size, (width, height)) if keep_aspect_ratio else None
    return image.resize((width, height), getattr(Image.Resampling, interpolation.upper()), box=box)


def middle_box(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """(left, upper, right, lower) of the largest middle part of a picture with the proportions of `target`.

    >>> middle_box((100, 50), (10, 10))
    (25, 0, 75, 50)
    """
    (width, height), (target_width, target_height) = size, target
    crop_height = min(height, width * target_height // target_width)
    crop_width = min(width, height * target_width // target_height)
    left, upper = (width - crop_width) // 2, (height - crop_height) // 2
    return left, upper, left + crop_width, upper + crop_height


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A PIL image as an array (height, width, channels), or (channels, height, width) if so asked; values 0 ... 255."""
    data_format = standardize_data_format(data_format)
    x = np.asarray(img, dtype=dtype or floatx())
    if x.ndim not in (2, 3):
        raise ValueError(f"[img_to_array] expected a picture of rank 2 or 3, received shape {x.shape}")
    if x.ndim == 2:
        x = x[:, :, None]
    return x.transpose(2, 0, 1) if data_format == "channels_first" else x


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """An array (height, width, 1, 3 or 4) as a PIL image.

    Args:
        x: the array.
        data_format: `"channels_last"`, `"channels_first"`, or None for the default one.
        scale: spread the values over 0 ... 255; otherwise they are taken as they are.
        dtype: dtype to compute in.

    Raises:
        ImportError: pillow is missing.
        ValueError: another rank or number of channels.
    """
    Image = pillow("array_to_img")
    x = np.asarray(x, dtype=dtype or floatx())
    if x.ndim != 3:
        raise ValueError(f"[array_to_img] expected an array of rank 3, received shape {x.shape}")
    if standardize_data_format(data_format) == "channels_first":
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - x.min()
        x = x / (x.max() or 1) * 255
    channels = x.shape[2]
    if channels not in (1, 3, 4):
        raise ValueError(f"[array_to_img] expected 1, 3 or 4 channels, received {channels} in shape {x.shape}")
    if channels == 1 and x.max() > 255:
        return Image.fromarray(x[:, :, 0].astype("int32"))  # 32-bit grey
    return Image.fromarray((x[:, :, 0] if channels == 1 else x).astype("uint8"))


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Writes an array as a picture; the format follows the ending of the path unless `file_format` names it.

    Other arguments go to `PIL.Image.save`. JPEG has no transparency: it is dropped with a warning.
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = pathlib.Path(path).suffix[1:]
    file_format = "jpeg" if file_format and file_format.lower() == "jpg" else file_format
    if image.mode == "RGBA" and file_format and file_format.lower() == "jpeg":
        warnings.warn("[save_img] JPEG has no transparency: the fourth channel is dropped", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, format=file_format, **kwargs)


def smart_resize(
    x: Any, size: tuple[int, int], interpolation: str = "bilinear", data_format: str = "channels_last"
) -> Any:
    """Resizes pictures without distortion: the largest middle part of the wanted proportions is cut out first.

    Args:
        x: array or tensor (height, width, channels) or (N, height, width, channels).
        size: (height, width) of the result.
        interpolation: as in `ops.image.resize`.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        An array for an array, a tensor for a tensor.
    """
    from kcore import ops

    if len(size) != 2:
        raise ValueError(f"[smart_resize] expected size (height, width), received {size!r}")
    image = ops.convert_to_tensor(x)
    if len(image.shape) not in (3, 4):
        raise ValueError(f"[smart_resize] expected pictures of rank 3 or 4, received shape {tuple(image.shape)}")
    rows = -3 if data_format == "channels_last" else -2
    height, width = image.shape[rows], image.shape[rows + 1]
    crop_height = max(min(height, int(width * size[0] / size[1])), 1)
    crop_width = max(min(width, int(height * size[1] / size[0])), 1)
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    cut = [slice(None)] * len(image.shape)
    cut[rows], cut[rows + 1] = slice(top, top + crop_height), slice(left, left + crop_width)
    resized = ops.image.resize(image[tuple(cut)], size, interpolation=interpolation, data_format=data_format)
    return np.array(resized) if isinstance(x, np.ndarray) else resized
