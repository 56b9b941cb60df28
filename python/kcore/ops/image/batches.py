"""Images in whatever layout and dtype they come, as float batches in channels_last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.autograd import Tensor
from kcore.autograd.config import standardize_data_format
from kcore.autograd.dtype import is_floating
from kcore.ops import elementwise as ew
from kcore.ops.operands import as_tensor, cast_to
from kcore.ops.shape import expand_dims, reshape, transpose


def on_batches(op: str, images: Any, data_format: str | None, function: Callable[[Tensor], Tensor]) -> Tensor:
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
