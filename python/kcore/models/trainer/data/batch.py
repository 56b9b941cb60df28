"""One batch: the tuple (x, y, sample_weight) and what is done to it before a step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore import tree
from kcore.autograd import Tensor, Variable, convert_to_tensor
from kcore.autograd.config import floatx
from kcore.autograd.dtype import holds_numbers, numpy_dtype


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of a batch given as x, (x,), (x, y) or (x, y, sample_weight).

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if 1 <= len(data) <= 3:
        return (*data, *(None,) * (3 - len(data)))
    raise ValueError(
        f"[data] expected a batch as x, (x,), (x, y) or (x, y, sample_weight), received a tuple of {len(data)} elements"
    )


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The inverse of `unpack_x_y_sample_weight`: as short a tuple as will do; a plain x that is no tuple stays x.

    >>> pack_x_y_sample_weight(1, 2)
    (1, 2)
    """
    if sample_weight is not None:
        return (x, y, sample_weight)
    if y is not None:
        return (x, y)
    return (x,) if isinstance(x, (tuple, list)) else x


def class_weights_to_sample_weights(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    """The weight of each sample's class, float32 (batch,). Classes without a weight count 1.

    y: class numbers (batch,) or (batch, 1), or one-hot rows (batch, classes).
    """
    if tree.is_nested(y):
        raise ValueError("[class_weight] expected a model with a single output, received several targets")
    if not isinstance(class_weight, dict):
        raise ValueError(f"[class_weight] expected a dict of class numbers and weights, received {class_weight!r}")
    for label, weight in class_weight.items():
        if not isinstance(weight, (int, float)) or not math.isfinite(weight) or int(label) != label:
            raise ValueError(
                f"[class_weight] expected a finite weight for each class number, received {label!r}: {weight!r}"
            )
    y = np.asarray(y)
    if y.ndim >= 2:
        y = np.argmax(y, axis=-1) if y.shape[-1] != 1 else y[..., 0]
    if not np.all(np.isfinite(y)):
        raise ValueError("[class_weight] expected class numbers as targets, received NaN or infinity")
    y = np.round(y).astype(np.int64)
    weights = np.ones(y.shape, dtype=numpy_dtype(floatx()))
    for label, weight in class_weight.items():
        weights[y == int(label)] = weight
    return weights


def to_tensors(data: Any) -> Any:
    """A batch with its arrays as tensors; floating arrays in the default float. None stays."""
    return tree.map_structure(_to_tensor, data)


def _to_tensor(x: Any) -> Any:
    if x is None or isinstance(x, Tensor):
        return x
    if isinstance(x, Variable):
        return x.value
    if not isinstance(x, np.ndarray):
        x = as_array(x)
    if x.dtype.kind == "f" and x.dtype != floatx():
        x = x.astype(numpy_dtype(floatx()))
    elif not holds_numbers(x.dtype):
        raise ValueError(f"[data] expected numbers, received an array of dtype {x.dtype}")
    return convert_to_tensor(x)


def as_array(x: Any) -> np.ndarray:
    """Any array-like as NumPy array: tensors, pandas, torch, lists of numbers, scalars."""
    if isinstance(x, np.ndarray):
        return x
    module = type(x).__module__.partition(".")[0]
    if module == "pandas":
        values = x.to_numpy()
        return values[:, None] if values.ndim == 1 else values
    if module == "torch":
        return x.detach().cpu().numpy()
    return np.asarray(x)


def is_array(x: Any) -> bool:
    """Whether `x` holds one array, its first axis being the samples."""
    return isinstance(x, (np.ndarray, Tensor, Variable)) or (hasattr(x, "__array__") and hasattr(x, "shape"))


def describe(data: Any) -> str:
    """Shapes of arrays and types of the rest, for messages."""
    return str(tree.map_structure(lambda x: tuple(x.shape) if hasattr(x, "shape") else type(x).__name__, data))
