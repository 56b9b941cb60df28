"""`keras.ops.numpy`: the ops by the name of the module that scripts may take them from."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from kcore import ops  # their home

    if not name.startswith("_") and name in vars(ops):
        return getattr(ops, name)
    raise AttributeError(f"module 'kcore.ops.numpy' has no attribute {name!r}")
