"""Names of dtypes, and the dtype that mixed operands meet at."""

from __future__ import annotations

import numpy as np

from kcore.autograd import config

# In the order of promotion within a kind.
DTYPES = ("bool", "uint8", "int32", "uint32", "int64", "bfloat16", "float32", "float64")
_FLOATS = ("bfloat16", "float32", "float64")

# What arrays of other dtypes are converted to on the way in: the narrowest that holds every value (float16 included).
_WIDENED = {"int8": "int32", "int16": "int32", "uint16": "int32", "uint64": "int64", "float16": "float32"}


def standardize_dtype(dtype: object) -> str:
    """The name of a dtype given as a name, a Python or NumPy type, or None (the default float).

    >>> standardize_dtype(np.float64)
    'float64'
    """
    if dtype is None:
        return config.floatx()
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    python_types = {float: config.floatx(), int: "int32", bool: "bool"}
    if isinstance(dtype, type) and dtype in python_types:
        return python_types[dtype]
    if hasattr(dtype, "name") and isinstance(dtype.name, str):
        name = dtype.name
    else:
        try:
            name = np.dtype(dtype).name
        except TypeError:
            name = str(dtype).rsplit(".", 1)[-1]  # torch.float32 and friends
    name = _WIDENED.get(name, name)
    if name not in DTYPES:
        raise ValueError(f"[dtype] expected one of {', '.join(DTYPES)}, received {dtype!r}")
    return name


def is_floating(dtype: str) -> bool:
    """Whether a dtype name is bfloat16, float32 or float64."""
    return dtype in _FLOATS


def numpy_dtype(dtype: str) -> np.dtype:
    """NumPy's dtype of a name of ours. That of bfloat16 comes with ml_dtypes, imported when it is first asked for."""
    if dtype == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(dtype)


def holds_numbers(dtype: np.dtype) -> bool:
    """Whether arrays of this NumPy dtype can become tensors. NumPy counts bfloat16 among the unknown kinds."""
    return dtype.kind in "biuf" or dtype.name == "bfloat16"


_KIND = {"bool": 0, "uint8": 1, "int32": 1, "uint32": 1, "int64": 1, "bfloat16": 2, "float32": 2, "float64": 2}
_INTEGER_PAIRS = {
    frozenset(("uint8", "int32")): "int32",
    frozenset(("uint8", "uint32")): "uint32",
    frozenset(("int32", "uint32")): "int64",
}


def promote(a: str, b: str) -> str:
    """The dtype two array dtypes meet at: as JAX's lattice has it, int64 with float32 is float32, with bfloat16 bfloat16."""
    if a == b:
        return a
    if _KIND[a] != _KIND[b]:
        return a if _KIND[a] > _KIND[b] else b
    if _KIND[a] == 2:
        return max(a, b, key=_FLOATS.index)
    return _INTEGER_PAIRS.get(frozenset((a, b)), "int64")


def result_type(*dtypes: object) -> str:
    """The dtype that operands of these dtypes are computed in. Python's `int` and `float` are weak: they give way.

    >>> result_type("int32", float), result_type("float64", float), result_type("uint8", "int32")
    ('float32', 'float64', 'int32')
    """
    strong = [standardize_dtype(d) for d in dtypes if d not in (int, float, bool)]
    weak_kind = max((1 if d is int else 2 if d is float else 0 for d in dtypes if d in (int, float, bool)), default=-1)
    if not strong:
        return standardize_dtype(None) if weak_kind == 2 else "int32" if weak_kind == 1 else "bool"
    result = strong[0]
    for dtype in strong[1:]:
        result = promote(result, dtype)
    if weak_kind > _KIND[result]:
        return config.floatx() if weak_kind == 2 else "int32"
    return result
