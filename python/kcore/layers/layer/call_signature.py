"""How a layer's `call` is called: its parameters, the arguments of one call, and the context nested calls share."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from kcore import tree
from kcore.autograd import Tensor
from kcore.autograd.surroundings import surroundings
from kcore.graph import KerasTensor

TENSORS = (Tensor, KerasTensor)


class CallSignature:
    """The parameters of a `call` method, read once per class."""

    def __init__(self, function: Callable, skip: int):
        self.signature = inspect.signature(function)
        parameters = list(self.signature.parameters.values())[skip:]
        self.signature = self.signature.replace(parameters=parameters)
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.positional = [p.name for p in parameters if p.kind in positional]
        self.names = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.required = {name for name in self.names if name not in self.defaults}
        self.has_var_positional = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.has_var_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters)

    def accepts(self, name: str) -> bool:
        """Whether `call` has a parameter of this name (`**kwargs` does not count)."""
        return name in self.names

    def bind(self, args: tuple, kwargs: dict) -> dict[str, Any]:
        """The given arguments by parameter name, in order.

        Raises:
            TypeError: an argument is missing, unknown or given twice.
        """
        if not self.has_var_positional and len(args) <= len(self.positional):
            bound = dict(zip(self.positional, args))
            fits = self.required <= bound.keys() | kwargs.keys() and not (bound.keys() & kwargs.keys())
            if fits and (self.has_var_keyword or kwargs.keys() <= self.names):
                bound.update(kwargs)
                return bound
        try:
            bound = self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(
                f"{error}; expected the arguments of call{self.signature}, received {len(args)} positional and the "
                f"keywords {sorted(kwargs)}"
            ) from None
        for parameter in self.signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                bound.update(bound.pop(parameter.name, {}))
        return dict(bound)


def tensor_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Those arguments that are tensors or nests of nothing but tensors."""
    found = {}
    for name, value in arguments.items():
        if isinstance(value, TENSORS):
            found[name] = value
        elif isinstance(value, (list, tuple, dict)) and value:
            leaves = tree.flatten(value)
            if any(isinstance(leaf, TENSORS) for leaf in leaves) and all(
                leaf is None or isinstance(leaf, TENSORS) for leaf in leaves
            ):
                found[name] = value
    return found


class CallContext(threading.local):
    """What the layers called inside one outermost call share, per thread."""

    def __init__(self) -> None:
        self.depth = 0
        self.training: bool | None = None
        self.number = 0  # of the outermost call, so that a layer knows which losses are of its last call
        self.losses: list[tuple[Any, Tensor]] | None = None  # where add_loss puts them instead: (layer, loss) each


context = CallContext()


def _capture_context() -> Callable[[], AbstractContextManager]:
    then = {"depth": context.depth, "training": context.training, "number": context.number, "losses": []}

    @contextmanager
    def brought_back() -> Iterator[None]:
        now = {name: getattr(context, name) for name in then}
        context.__dict__.update(then)
        try:
            yield
        finally:
            context.__dict__.update(now)

    return brought_back


surroundings.append(_capture_context)
