"""Conversions and the odds and ends of `keras.ops`: shapes, casts."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.autograd import convert_to_tensor, is_tensor, standardize_dtype, stop_gradient
from kcore.ops.elementwise import cast
from kcore.ops.operands import as_tensor
from kcore.ops.shape import unstack

__all__ = [
    "cast",
    "convert_to_numpy",
    "convert_to_tensor",
    "dtype",
    "is_tensor",
    "ndim",
    "shape",
    "size",
    "stop_gradient",
    "unstack",
]


def convert_to_numpy(x: Any) -> np.ndarray:
    """A NumPy copy of the values of x.

    >>> kcore.ops.convert_to_numpy(kcore.ops.ones((2,)))
    array([1., 1.], dtype=float32)
    """
    return np.array(x) if isinstance(x, (list, tuple)) else np.array(as_tensor(x).array.numpy())


def shape(x: Any) -> tuple:
    """The shape of x; None stands for a dimension that is not known while a model is built."""
    return tuple(x.shape) if hasattr(x, "shape") else as_tensor(x).shape


def ndim(x: Any) -> int:
    """The number of dimensions of x."""
    return len(shape(x))


def size(x: Any) -> Any:
    """The number of elements of x."""
    return as_tensor(x).size


def dtype(x: Any) -> str:
    """The name of the dtype of x."""
    return standardize_dtype(x.dtype) if hasattr(x, "dtype") else as_tensor(x).dtype
