"""Public names: which `keras.*` name stands in a file for each of our classes and functions, and the way back."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
from typing import Any

# Packages whose public names may appear in a model's configuration. Loading never reaches any other name: files
# cannot ask for load_model, get_file and the like.
_PACKAGES = (
    "layers",
    "models",
    "losses",
    "metrics",
    "optimizers",
    "optimizers.schedules",
    "initializers",
    "regularizers",
    "constraints",
    "activations",
    "dtype_policies",
    "random",
    "ops",
)
# Classes that Keras writes with module "keras" rather than with that of their package.
_AT_ROOT = {"DTypePolicy", "FloatDTypePolicy", "Model", "Sequential", "InputSpec"}
# Classes without a public name that Keras writes by the path of their file.
_PRIVATE = {"Functional": "keras.src.models.functional"}
# Functions of these packages appear in files by their bare name.
_FUNCTION_PACKAGES = (
    "activations",
    "constraints",
    "initializers",
    "losses",
    "metrics",
    "optimizers",
    "regularizers",
    "ops",
)


def _is_ours(obj: Any) -> bool:
    return (getattr(obj, "__module__", None) or "").split(".")[0] == "kcore"


@functools.cache
def _package(name: str) -> dict[str, Any]:
    """Public classes and functions of kcore.<name>."""
    try:
        module = importlib.import_module(f"kcore.{name}")
    except ModuleNotFoundError as e:
        if e.name and e.name.startswith("kcore"):
            return {}
        raise
    found = {}
    for attr in dir(module):
        if attr.startswith("_"):
            continue
        obj = getattr(module, attr)
        if (inspect.isclass(obj) or inspect.isfunction(obj)) and _is_ours(obj):
            found[attr] = obj
    if name == "models" and "Functional" not in found:
        functional = importlib.import_module("kcore.models.functional")
        found["Functional"] = functional.Functional
    return found


@functools.cache
def _names_of_classes() -> dict[type, tuple[str, str]]:
    names: dict[type, tuple[str, str]] = {}
    for package in _PACKAGES:
        for attr, obj in _package(package).items():
            if not inspect.isclass(obj):
                continue
            if attr in _PRIVATE:
                name = (_PRIVATE[attr], attr)
            else:
                name = ("keras" if attr in _AT_ROOT else f"keras.{package}", attr)
            # Aliases (Convolution2D, glorot_uniform) give way to the name the class carries itself.
            if obj not in names or (attr == obj.__name__ and names[obj][1] != attr):
                names[obj] = name
    return names


def public_name_of_class(cls: type) -> tuple[str, str] | None:
    """(module, class name) that stands for one of our classes in a file; None for anybody else's class.

    >>> import kcore
    >>> public_name_of_class(kcore.layers.Dense)
    ('keras.layers', 'Dense')
    """
    if hasattr(cls, "keras_module"):  # calls of ops functions in functional models
        return cls.keras_module, cls.__name__
    return _names_of_classes().get(cls) if _is_ours(cls) else None


def is_private(module: str) -> bool:
    """Whether Keras writes the names of this module's classes in `registered_name` as well."""
    return module.startswith("keras.src.")


def _packages_for(module: str | None) -> tuple[str, ...]:
    """The packages to search for an object of this module path, most likely first."""
    if not module:
        return _PACKAGES
    parts = module.split(".")
    if "schedules" in parts or "learning_rate_schedule" in parts:
        return ("optimizers.schedules",)
    if module == "keras":
        return _PACKAGES
    hits = tuple(p for p in _PACKAGES if p in parts)
    if hits:
        return hits
    if "engine" in parts or "functional" in parts or "sequential" in parts:  # tf.keras: keras.src.engine.functional
        return ("models", "layers")
    return _PACKAGES


def find_class(name: str, module: str | None = None) -> type | None:
    """Our class for a name found in a file, e.g. ("Dense", "keras.layers") or ("Add", "keras.src.ops.numpy").

    Args:
        name: the class's name.
        module: the module path written beside it; narrows the search, because e.g. `Mean` and `Add` exist twice.
    """
    packages = _packages_for(module)
    for package in packages:
        obj = _package(package).get(name)
        if inspect.isclass(obj):
            return obj
    if packages == ("ops",):
        from kcore import ops
        from kcore.graph.op_node import op_class_named

        return op_class_named(name, ops)
    return None


def find_function(name: str, module: str | None = None) -> Any:
    """Our function for a bare name found in a file, e.g. "relu" or "mean_squared_error"."""
    packages = _FUNCTION_PACKAGES
    if module and module != "builtins":
        packages = tuple(p for p in _packages_for(module) if p in _FUNCTION_PACKAGES) or packages
    for package in packages:
        obj = _package(package).get(name)
        if inspect.isfunction(obj):
            return obj
    return None


def nearest(name: str, candidates: Any) -> str:
    """A phrase naming the closest match, for error messages: `; did you mean 'Dense'?`, or nothing."""
    close = difflib.get_close_matches(str(name), [str(c) for c in candidates], n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def suggest(name: str, module: str | None = None, custom: Any = ()) -> str:
    """The nearest public or custom name to an unknown one, as a phrase for an error message."""
    candidates = set(custom)
    for package in _packages_for(module):
        candidates.update(_package(package))
    return nearest(name, sorted(candidates))
