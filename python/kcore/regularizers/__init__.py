"""Penalties on weights and activities. A layer calls one with a tensor and adds the scalar it returns to the loss."""

from __future__ import annotations

import numpy as np

from kcore import ops
from kcore.autograd import Tensor
from kcore.lookup import Lookup

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]
_FINDERS = ("get", "serialize", "deserialize")


class Regularizer:
    """What a penalty is: subclasses write `__call__(x)`, which gives a scalar, and `get_config`."""

    def __call__(self, x) -> Tensor:
        return ops.zeros((), dtype=x.dtype)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a get_config method")

    @classmethod
    def from_config(cls, config: dict) -> Regularizer:
        """A regularizer with these arguments."""
        return cls(**config)


class L1(Regularizer):
    """`l1 * sum(|x|)`.

    >>> float(L1(0.5)(ops.convert_to_tensor([1.0, -3.0])))
    2.0
    """

    def __init__(self, l1=0.01):
        # Keras keeps this one as a float32, and so do its files.
        self.l1 = float(np.float32(_penalty("l1", l1, 0.01)))

    def __call__(self, x) -> Tensor:
        return ops.multiply(ops.sum(ops.abs(x)), self.l1)

    def get_config(self) -> dict:
        return {"l1": self.l1}


class L2(Regularizer):
    """`l2 * sum(x^2)`."""

    def __init__(self, l2=0.01):
        self.l2 = _penalty("l2", l2, 0.01)

    def __call__(self, x) -> Tensor:
        return ops.multiply(ops.sum(ops.square(x)), self.l2)

    def get_config(self) -> dict:
        return {"l2": self.l2}


class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x^2)`."""

    def __init__(self, l1=0.0, l2=0.0):
        self.l1 = _penalty("l1", l1, 0.0)
        self.l2 = _penalty("l2", l2, 0.0)

    def __call__(self, x) -> Tensor:
        penalty = ops.zeros((), dtype=x.dtype)
        if self.l1:
            penalty = L1.__call__(self, x)
        if self.l2:
            penalty = ops.add(penalty, L2.__call__(self, x))
        return penalty

    def get_config(self) -> dict:
        return {"l1": self.l1, "l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """Mean |cosine| between the rows (or columns) of a matrix, times `factor`. x (rows, columns)."""

    def __init__(self, factor=0.01, mode="rows"):
        self.factor = float(np.float32(_penalty("factor", factor, 0.01)))
        if mode not in ("rows", "columns"):
            raise ValueError(f'[OrthogonalRegularizer] expected mode "rows" or "columns", received {mode!r}')
        self.mode = mode

    def __call__(self, x) -> Tensor:
        if len(x.shape) != 2:
            raise ValueError(f"[OrthogonalRegularizer] expected a matrix, received shape {tuple(x.shape)}")
        axis = 1 if self.mode == "rows" else 0
        size = x.shape[1 - axis]
        x = ops.normalize(x, axis=axis)
        cosines = ops.matmul(x, ops.transpose(x)) if self.mode == "rows" else ops.matmul(ops.transpose(x), x)
        off_diagonal = ops.multiply(cosines, ops.subtract(1.0, ops.eye(size, dtype=x.dtype)))
        pairs = size * (size - 1) / 2
        return ops.multiply(ops.sum(ops.abs(off_diagonal)), self.factor * 0.5 / pairs if pairs else float("nan"))

    def get_config(self) -> dict:
        return {"factor": self.factor, "mode": self.mode}


def _penalty(name: str, value, default: float) -> float:
    if value is None:
        return default
    number = not isinstance(value, (bool, str)) and np.ndim(value) == 0 and np.isreal(value)
    if not number or not 0 <= value < float("inf"):
        raise ValueError(f"[regularizer] expected {name} to be a finite number >= 0, received {value!r}")
    return float(value)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier):
    """The regularizer called or described by `identifier`; None is None.

    >>> get("l2").get_config()
    {'l2': 0.01}
    """
    return _LOOKUP.get(identifier)


def serialize(regularizer) -> dict:
    """The config of a regularizer."""
    return _LOOKUP.serialize(regularizer)


def deserialize(config, custom_objects: dict | None = None):
    """The regularizer that `serialize` described."""
    return _LOOKUP.deserialize(config, custom_objects)


_LOOKUP = Lookup("regularizer", {name: globals()[name] for name in __all__ if name not in _FINDERS} | {"l1l2": L1L2})
