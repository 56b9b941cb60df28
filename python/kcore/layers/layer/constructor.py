"""What is given to a layer's constructor beside its own arguments: shapes, as old Keras took them, and mistakes."""

from __future__ import annotations

import difflib
import inspect
import warnings
from typing import Any


def input_shape_argument(kwargs: dict[str, Any]) -> tuple | None:
    """Takes the shape arguments of old Keras out of `kwargs`."""
    shape = None
    if "input_dim" in kwargs:
        shape = (None, kwargs.pop("input_dim"))
    if "input_shape" in kwargs:
        shape = (None, *kwargs.pop("input_shape"))
    if "batch_input_shape" in kwargs:
        shape = tuple(kwargs.pop("batch_input_shape"))
    if shape is not None:
        warnings.warn(
            "Do not pass an `input_shape` or `input_dim` argument to a layer; begin a Sequential model with an "
            "`Input(shape)` object instead.",
            stacklevel=4,
        )
    return shape


def unknown_arguments(cls: type, kwargs: dict[str, Any]) -> str:
    known = set()
    for base in cls.__mro__:
        if "__init__" in base.__dict__:
            known.update(inspect.signature(base.__init__).parameters)
    known -= {"self", "args", "kwargs"}
    hints = [match for name in kwargs for match in difflib.get_close_matches(name, known, n=1)]
    hint = f"; did you mean {', '.join(map(repr, hints))}?" if hints else ""
    return f"[{cls.__name__}] expected known arguments, received {kwargs}{hint}"
