"""Custom objects: names under which users' classes and functions are written to files and found again."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

_OBJECTS: dict[str, Any] = {}
_NAMES: dict[Any, str] = {}
_scope = threading.local()


def scoped_objects() -> dict[str, Any]:
    """The custom objects of the innermost `custom_object_scope` of this thread."""
    return getattr(_scope, "objects", {})


class CustomObjectScope:
    """Makes custom classes and functions known by name inside a `with` block.

    Args:
        custom_objects: dictionary from name to class or function.

    >>> class Twice: pass
    >>> with CustomObjectScope({"Twice": Twice}):
    ...     get_registered_object("Twice") is Twice
    True
    """

    def __init__(self, custom_objects: dict[str, Any] | None):
        self.custom_objects = custom_objects or {}
        self._outer: dict[str, Any] = {}

    def __enter__(self) -> CustomObjectScope:
        self._outer = scoped_objects()
        _scope.objects = dict(self.custom_objects)
        return self

    def __exit__(self, *exc: Any) -> None:
        _scope.objects = self._outer


custom_object_scope = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """The global, live dictionary from registered name to object; editing it registers or forgets objects."""
    return _OBJECTS


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable:
    """Decorator that registers a class or function as `"package>name"`, so that files can refer to it.

    Args:
        package: first half of the key.
        name: second half; the object's own name by default.

    Raises:
        ValueError: the class has no `get_config`.

    >>> @register_keras_serializable("docs")
    ... def halve(x):
    ...     return x / 2
    >>> get_registered_name(halve)
    'docs>halve'
    """

    def decorate(obj: Any) -> Any:
        if inspect.isclass(obj) and not hasattr(obj, "get_config"):
            raise ValueError(
                f"[register_keras_serializable] expected a class with get_config(), received {obj.__name__} without it"
            )
        key = f"{package}>{name if name is not None else obj.__name__}"
        _OBJECTS[key] = obj
        _NAMES[obj] = key
        return obj

    return decorate


def get_registered_name(obj: Any) -> str:
    """The registered name of a class or function, or its Python name when it was never registered."""
    try:
        return _NAMES[obj]
    except (KeyError, TypeError):
        return obj.__name__


def get_registered_object(
    name: str, custom_objects: dict[str, Any] | None = None, module_objects: dict[str, Any] | None = None
) -> Any:
    """The object known as `name` in the active scope, registered, or in the given dictionaries; else None."""
    for table in (scoped_objects(), _OBJECTS, custom_objects, module_objects):
        if table and name in table:
            return table[name]
    return None
