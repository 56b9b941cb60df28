"""What holds while a file is read or written: safe mode, and objects that appear more than once."""

from __future__ import annotations

import threading
from typing import Any

_state = threading.local()
_unsafe_everywhere = False


class SafeModeScope:
    """Sets safe mode for nested deserialization inside a `with` block."""

    def __init__(self, safe_mode: bool | None = True):
        self.safe_mode = safe_mode

    def __enter__(self) -> None:
        self._outer = getattr(_state, "safe_mode", None)
        _state.safe_mode = self.safe_mode

    def __exit__(self, *exc: Any) -> None:
        _state.safe_mode = self._outer


def enable_unsafe_deserialization() -> None:
    """Turns safe mode off for the whole process: Python lambdas in files are then run. Only for files you trust."""
    global _unsafe_everywhere
    _unsafe_everywhere = True


def in_safe_mode() -> bool | None:
    """Whether safe mode holds here: True or False inside a scope, None where nothing was said."""
    if _unsafe_everywhere:
        return False
    return getattr(_state, "safe_mode", None)


class ObjectSharingScope:
    """Within it, objects met twice get a `shared_object_id` when written, and become one object again when read."""

    def __enter__(self) -> None:
        self._outer = (getattr(_state, "configs", None), getattr(_state, "objects", None))
        _state.configs, _state.objects = {}, {}

    def __exit__(self, *exc: Any) -> None:
        _state.configs, _state.objects = self._outer


def record_serialized(obj: Any, config: dict) -> None:
    """Notes that `obj` was written as `config`; the second time both configs get the same id."""
    configs = getattr(_state, "configs", None)
    if configs is None:
        return
    # The object is kept beside its config so that no other object can take over its id meanwhile.
    _, first = configs.setdefault(id(obj), (obj, config))
    if first is not config:
        first["shared_object_id"] = config["shared_object_id"] = id(obj)


def shared_object(key: int) -> Any:
    """The object already read under this id, or None."""
    objects = getattr(_state, "objects", None)
    return objects.get(key) if objects is not None else None


def record_deserialized(obj: Any, key: int) -> None:
    """Notes that `obj` was read under this id."""
    objects = getattr(_state, "objects", None)
    if objects is not None:
        objects[key] = obj
