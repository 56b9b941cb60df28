"""Functions that a gradient calls once more: what they were called with, and in what surroundings, is kept for that."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from kcore.autograd.dtype import is_floating
from kcore.autograd.surroundings import surroundings
from kcore.autograd.tape import gradient_key
from kcore.autograd.tensor import Tensor


class Again:
    """A function as it is now: with what its closure refers to, and in the surroundings of its first call.

    By the time of its second call a name may mean something else: `x = cond(p, lambda: f(x), ...)`.
    """

    def __init__(self, function: Callable[..., Any]):
        self._function = _frozen(function, {})
        self._contexts = [capture() for capture in surroundings]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            for context in self._contexts:
                stack.enter_context(context())
            return self._function(*args, **kwargs)


def _frozen(value: Any, known: dict[int, Any]) -> Any:
    if id(value) in known:
        return known[id(value)]
    if type(value) in (list, tuple):
        return type(value)(_frozen(item, known) for item in value)
    if isinstance(value, types.MethodType):
        return types.MethodType(_frozen(value.__func__, known), value.__self__)
    if not isinstance(value, types.FunctionType) or not (value.__closure__ or value.__defaults__):
        return value
    cells = [types.CellType() for _ in value.__closure__ or ()]
    copy = types.FunctionType(value.__code__, value.__globals__, value.__name__, None, tuple(cells))
    known[id(value)] = copy
    copy.__defaults__, copy.__kwdefaults__ = _frozen(value.__defaults__, known), value.__kwdefaults__
    for cell, old in zip(cells, value.__closure__ or ()):
        try:
            content = old.cell_contents
        except ValueError:  # a name that has no value yet
            continue
        cell.cell_contents = _frozen(content, known)
    return copy


class Listener:
    """Stands for the tapes outside while a function runs, and notes which tensors from outside they want.

    Attributes:
        captured: those tensors, by their gradient_key.
        heard: the differentiable ops that ran.
    """

    def __init__(self, outside: list):
        self._outside = outside
        self._tracked: set[int] = set()
        self._alive: list[tuple] = []
        self.captured: dict[int, Tensor] = {}
        self.heard: list[str] = []

    def record(self, op: str, inputs: tuple, attrs: dict, outputs: tuple) -> None:
        self.heard.append(op)
        if any([x is not None and self._wants(x) for x in inputs]):  # a list: each is looked at
            self._tracked.update(id(y) for y in outputs)
            self._alive.append(outputs)

    def returned(self, outputs: Sequence[Any]) -> None:
        """What the function returned: tensors from outside may be among it as they are."""
        for y in outputs:
            if isinstance(y, Tensor):
                self._wants(y)

    def wants(self, inputs: Sequence[Tensor | None]) -> bool:
        return False  # the gradient computes again what it needs

    def _wants(self, x: Tensor) -> bool:
        if id(x) in self._tracked or gradient_key(x) in self.captured:
            return True
        if is_floating(x.dtype) and any([tape._wants(x) for tape in self._outside]):
            self.captured[gradient_key(x)] = x
            return True
        return False
