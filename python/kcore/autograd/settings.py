"""Settings: attributes of layers and optimizers on which recorded steps may depend."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType
from typing import Any

from kcore.autograd.recorder import forget_recordings

_SCALARS = (int, float, bool, str, type(None))
_FUNCTIONS = (FunctionType, BuiltinFunctionType)
# What layers note while they are made and built: no op depends on it.
_BOOKKEEPING = {
    "built", "supports_masking", "_building", "_built_by_call", "_called", "_name", "_parent_path", "_path",
}  # fmt: skip


def note_attribute(owner: Any, name: str, value: Any) -> None:
    """Called before an attribute is set: what was recorded is forgotten if that changes a setting.

    Settings are numbers, strings and None (the rate of a dropout, say), and under public names also functions and tuples
    and lists of these.
    """
    attributes = owner.__dict__
    if name not in attributes or name in _BOOKKEEPING:
        return
    if type(value) not in _SCALARS[:-1] and (name.startswith("_") or not _is_setting(value)):
        return
    old = attributes[name]
    if type(old) is type(value) and _is_setting(old) and old == value:
        return
    forget_recordings(f"{name} of {attributes.get('name', type(owner).__name__)} was set")


def _is_setting(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(map(_is_setting, value))
    return type(value) in _SCALARS or type(value) in _FUNCTIONS
