"""`keras.config`: settings of the process."""

from __future__ import annotations

import importlib
from typing import Any

from kcore.autograd.config import (
    epsilon,
    float32_matmul_precision,
    floatx,
    image_data_format,
    set_epsilon,
    set_float32_matmul_precision,
    set_floatx,
    set_image_data_format,
)
from kcore.backend import backend
from kcore.dtype_policies import dtype_policy, set_dtype_policy

# Settings of what stands above, loaded with it.
_ELSEWHERE = {"enable_unsafe_deserialization": "kcore.saving"}

__all__ = [  # noqa: F822
    "backend",
    "dtype_policy",
    "enable_unsafe_deserialization",
    "epsilon",
    "float32_matmul_precision",
    "floatx",
    "image_data_format",
    "set_dtype_policy",
    "set_epsilon",
    "set_float32_matmul_precision",
    "set_floatx",
    "set_image_data_format",
]


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module 'kcore.config' has no attribute {name!r}")
