"""Marks the functions of `kcore.ops` that users call, with tensors or while building a model."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from kcore.graph.keras_tensor import KerasTensor, any_keras_tensor

F = TypeVar("F", bound=Callable)


def public(function: F) -> F:
    """Makes a function of tensors usable on the symbolic inputs of a functional model as well.

    On a KerasTensor it becomes a node of the model's graph, and returns KerasTensors.
    """

    @wraps(function)
    def dispatch(*args: Any, **kwargs: Any) -> Any:
        for arg in args:
            kind = type(arg)
            if kind is KerasTensor or kind in _CONTAINERS:
                break
        else:
            if not kwargs:
                return function(*args)
        if any_keras_tensor(args, kwargs):
            from kcore.graph.op_node import symbolic_call  # only needed where models are built

            return symbolic_call(function, args, kwargs)
        return function(*args, **kwargs)

    return dispatch


_CONTAINERS = (list, tuple, dict)
