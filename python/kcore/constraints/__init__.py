"""Where weights may be. After each step the optimizer replaces a weight w by constraint(w), of the same shape."""

from __future__ import annotations

from kcore import ops
from kcore.autograd import Tensor
from kcore.autograd.config import epsilon
from kcore.lookup import Lookup

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]
_FINDERS = ("get", "serialize", "deserialize")


class Constraint:
    """What a constraint is: subclasses write `__call__(w)`, which gives the nearest allowed w, and `get_config`."""

    def __call__(self, w) -> Tensor:
        raise NotImplementedError(f"[{type(self).__name__}] expected a __call__ method")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> Constraint:
        """A constraint with these arguments."""
        return cls(**config)


class MaxNorm(Constraint):
    """Shrinks what has a Euclidean norm over `axis` of more than `max_value` to that norm.

    For a Dense kernel (inputs, units) axis 0 bounds the incoming weights of each unit; for a Conv2D kernel
    (height, width, inputs, filters) use axis [0, 1, 2]. Srivastava et al., https://jmlr.org/papers/v15/srivastava14a.html
    """

    def __init__(self, max_value=2, axis=0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w) -> Tensor:
        norm = _norm(w, self.axis)
        return ops.multiply(w, ops.divide(ops.clip(norm, 0, self.max_value), ops.add(norm, epsilon())))

    def get_config(self) -> dict:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Replaces negative weights by zero."""

    def __call__(self, w) -> Tensor:
        return ops.multiply(w, ops.cast(ops.greater_equal(w, 0.0), w.dtype))


class UnitNorm(Constraint):
    """Scales to a Euclidean norm of 1 over `axis`."""

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w) -> Tensor:
        return ops.divide(w, ops.add(_norm(w, self.axis), epsilon()))

    def get_config(self) -> dict:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Moves the Euclidean norm over `axis` into [min_value, max_value], by the fraction `rate` of the way."""

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w) -> Tensor:
        norm = _norm(w, self.axis)
        inside = ops.clip(norm, self.min_value, self.max_value)
        desired = ops.add(ops.multiply(inside, self.rate), ops.multiply(norm, 1 - self.rate))
        return ops.multiply(w, ops.divide(desired, ops.add(norm, epsilon())))

    def get_config(self) -> dict:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


def _norm(w, axis) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm


def get(identifier):
    """The constraint called or described by `identifier`; None is None.

    >>> type(get("max_norm")).__name__
    'MaxNorm'
    """
    return _LOOKUP.get(identifier)


def serialize(constraint) -> dict:
    """The config of a constraint."""
    return _LOOKUP.serialize(constraint)


def deserialize(config, custom_objects: dict | None = None):
    """The constraint that `serialize` described."""
    return _LOOKUP.deserialize(config, custom_objects)


_LOOKUP = Lookup("constraint", {name: globals()[name] for name in __all__ if name not in _FINDERS})
