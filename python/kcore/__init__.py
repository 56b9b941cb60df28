"""kcore: Keras's API on a small C++ core of our own kernels.

All but the ops load when they are first used, so that importing kcore stays quick.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from kcore import _load as _load  # first: how the core's threads wait
from kcore import ops as ops  # gives tensors their operators

__version__ = "0.1.0"

_PACKAGES = (
    "activations",
    "autograd",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "dtype_policies",
    "export",
    "graph",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "tree",
    "utils",
)
# Which module each public name comes from.
_MODULES = {
    "kcore.autograd": (
        "GradientTape",
        "Variable",
        "custom_gradient",
        "function",
        "grad",
        "jit",
        "stop_gradient",
        "value_and_grad",
    ),
    "kcore.dtype_policies": ("DTypePolicy", "FloatDTypePolicy"),
    "kcore.graph": ("Function", "KerasTensor", "Operation"),
    "kcore.initializers": ("Initializer",),
    "kcore.layers": ("Input", "InputSpec", "Layer"),
    "kcore.layers.layer.remat": ("RematScope", "remat"),
    "kcore.losses": ("Loss",),
    "kcore.metrics": ("Metric",),
    "kcore.models": ("Functional", "Model", "Sequential"),
    "kcore.naming": ("name_scope",),
    "kcore.optimizers": ("Optimizer",),
    "kcore.regularizers": ("Regularizer",),
}
_SOURCE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted((*_PACKAGES, *_SOURCE, "version"))


def version() -> str:
    """The version of kcore."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _SOURCE:
        value = getattr(importlib.import_module(_SOURCE[name]), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    if name in _PACKAGES:
        return importlib.import_module(f"kcore.{name}")
    near = difflib.get_close_matches(name, __all__, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise AttributeError(f"module 'kcore' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return __all__
