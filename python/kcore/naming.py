"""Names: automatic unique ones (dense, dense_1) and the scopes that make up a variable's path (model/dense/kernel)."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_counts: Counter[str] = Counter()
_local = threading.local()


def to_snake_case(name: str) -> str:
    """A class name as an object name.

    >>> to_snake_case("Conv2DTranspose"), to_snake_case("LSTM")
    ('conv2d_transpose', 'lstm')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def uniquify(name: str) -> str:
    """`name` the first time, then name_1, name_2, ...

    >>> reset_uids(); uniquify("dense"), uniquify("dense")
    ('dense', 'dense_1')
    """
    count = _counts[name]
    _counts[name] += 1
    return f"{name}_{count}" if count else name


def auto_name(class_name: str) -> str:
    """The next free name for an object of a class.

    >>> reset_uids(); auto_name("MaxPooling2D")
    'max_pooling2d'
    """
    return uniquify(to_snake_case(class_name))


def get_uid(prefix: str = "") -> int:
    """How often this was asked for `prefix`, this time included.

    >>> reset_uids(); get_uid("x"), get_uid("x")
    (1, 2)
    """
    _counts[prefix] += 1
    return _counts[prefix]


def reset_uids() -> None:
    """Starts all automatic names afresh."""
    _counts.clear()


class name_scope:
    """Variables created inside get `name` in their path.

    Entering a scope twice in a row on behalf of the same `caller` counts once: a layer opens its scope for the call and
    again for the build.

    >>> with name_scope("block"):
    ...     current_path()
    'block'
    """

    def __init__(self, name: str, caller: Any = None, **_: Any):
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"[name_scope] expected a name without '/', received {name!r}")
        self.name = name
        self.caller = caller
        self._entered = False

    def __enter__(self) -> name_scope:
        stack = _stack()
        if not (stack and self.caller is not None and stack[-1].caller is self.caller):
            stack.append(self)
            self._entered = True
        return self

    def __exit__(self, *_: Any) -> None:
        if self._entered:
            _stack().pop()
            self._entered = False


def current_path() -> str:
    """The names of the open scopes, joined by '/'."""
    return "/".join(scope.name for scope in _stack())


@contextmanager
def absolute_scope(path: str, caller: Any = None) -> Iterator[None]:
    """Leaves the open scopes and opens those of `path` instead."""
    outer = _stack()
    names = [name for name in path.split("/") if name]
    _local.stack = [name_scope(name) for name in names]
    if names:
        _local.stack[-1].caller = caller
    try:
        yield
    finally:
        _local.stack = outer


def _stack() -> list[name_scope]:
    if not hasattr(_local, "stack"):
        _local.stack = []
    return _local.stack
