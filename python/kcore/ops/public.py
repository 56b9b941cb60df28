"""Marks the functions of `kcore.ops` that users call, with tensors or while building a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable)


def public(function: F) -> F:
    """Makes a function of tensors usable on the symbolic inputs of a functional model as well."""
    return function
