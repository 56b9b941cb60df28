"""Python's operators on Tensor, Variable and KerasTensor: x + y calls ops.add."""

from __future__ import annotations

from typing import Any

from kcore.autograd import Tensor, Variable
from kcore.graph.keras_tensor import KerasTensor
from kcore.ops import elementwise, indexing, shape


def _binary(function: Any) -> tuple[Any, Any]:
    def operator(self: Any, other: Any) -> Any:
        return NotImplemented if other is None else function(self, other)

    def reflected(self: Any, other: Any) -> Any:
        return NotImplemented if other is None else function(other, self)

    return operator, reflected


def _matmul(x1: Any, x2: Any) -> Any:
    from kcore.ops.matmul import matmul  # a family of its own, loaded with its first product

    return matmul(x1, x2)


def install(cls: type) -> None:
    """Gives a class of tensor-like objects their operators and methods."""
    reflected_ops = {
        "add": elementwise.add,
        "sub": elementwise.subtract,
        "mul": elementwise.multiply,
        "truediv": elementwise.divide,
        "floordiv": elementwise.floor_divide,
        "mod": elementwise.mod,
        "pow": elementwise.power,
        "matmul": _matmul,
        "and": elementwise.logical_and,
        "or": elementwise.logical_or,
        "xor": elementwise.logical_xor,
    }
    for name, function in reflected_ops.items():
        forward, backward = _binary(function)
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", backward)
    comparisons = {
        "eq": elementwise.equal,
        "ne": elementwise.not_equal,
        "lt": elementwise.less,
        "le": elementwise.less_equal,
        "gt": elementwise.greater,
        "ge": elementwise.greater_equal,
    }
    for name, function in comparisons.items():
        setattr(cls, f"__{name}__", _comparison(function, name))
    cls.__neg__ = lambda self: elementwise.negative(self)
    cls.__pos__ = lambda self: self
    cls.__abs__ = lambda self: elementwise.absolute(self)
    cls.__invert__ = lambda self: elementwise.logical_not(self)
    cls.__round__ = lambda self, ndigits=None: elementwise.round(self, ndigits or 0)
    cls.__getitem__ = lambda self, key: indexing.get_item(self, key)
    cls.astype = lambda self, dtype: elementwise.cast(self, dtype)
    cls.reshape = lambda self, *dims: shape.reshape(self, dims[0] if len(dims) == 1 else dims)
    cls.squeeze = lambda self, axis=None: shape.squeeze(self, axis)
    cls.T = property(lambda self: shape.transpose(self))


def _comparison(function: Any, name: str) -> Any:
    def compare(self: Any, other: Any) -> Any:
        if other is None or isinstance(other, str):
            return {"eq": False, "ne": True}.get(name, NotImplemented)
        return function(self, other)

    return compare


for _cls in (Tensor, Variable, KerasTensor):
    install(_cls)
# Keras writes `/` in a model's config as TrueDivide.
KerasTensor.__truediv__, KerasTensor.__rtruediv__ = _binary(elementwise.true_divide)
