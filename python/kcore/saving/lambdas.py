"""Python lambdas in files: written as Keras does (marshalled code in base64), read only when the user says so."""

from __future__ import annotations

import base64
import marshal
import types
from typing import Any


def func_dump(func: types.FunctionType) -> tuple[str, tuple | None, tuple | None]:
    """(code, defaults, closure) of a Python function; the code is marshalled and in base64, 76 characters a line."""
    code = base64.encodebytes(marshal.dumps(func.__code__)).decode("ascii")
    closure = tuple(cell.cell_contents for cell in func.__closure__) if func.__closure__ else None
    return code, func.__defaults__, closure


def func_load(code: Any, defaults: Any = None, closure: Any = None, globs: dict | None = None) -> types.FunctionType:
    """Rebuilds a function from `func_dump`. This runs code out of a file: callers check safe mode first.

    Args:
        code: marshalled code in base64, or the whole (code, defaults, closure) triple.
        defaults: default values of the last arguments, or None.
        closure: values of the free variables, or None.
        globs: the function's globals; by default `kcore`, the same module as `keras`, and `np`.

    Raises:
        ValueError: the text is not code marshalled by this version of Python.
    """
    if isinstance(code, (list, tuple)):
        code, defaults, closure = code
    try:
        compiled = marshal.loads(base64.b64decode(code))
    except (ValueError, EOFError, TypeError) as e:
        raise ValueError(
            "[deserialize_keras_object] expected a Python lambda marshalled by this version of Python, "
            f"received code that cannot be read ({e}); use a registered function instead of a lambda"
        ) from e
    if not isinstance(compiled, types.CodeType):
        raise ValueError(f"[deserialize_keras_object] expected marshalled code, received {type(compiled).__name__}")
    if globs is None:
        import numpy

        import kcore

        globs = {"kcore": kcore, "keras": kcore, "np": numpy}
    cells = tuple(types.CellType(value) for value in closure) if closure is not None else None
    return types.FunctionType(compiled, globs, compiled.co_name, tuple(defaults) if defaults else None, cells)
