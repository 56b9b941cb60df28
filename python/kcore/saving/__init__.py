"""Files: receives models and plain configs from anyone above `autograd`, hands out files that Keras 3 opens, and back.

`serialization`, `registration`, `scopes` and `lambdas` may be imported by every package (they import the others only
when called); the rest sits above `models`, and is loaded when first used because h5py takes long to import.
Nothing here may import callbacks, datasets or utils.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kcore.saving.registration import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from kcore.saving.scopes import enable_unsafe_deserialization
from kcore.saving.serialization import deserialize_keras_object, serialize_keras_object

if TYPE_CHECKING:
    from kcore.saving.api import load_model, load_weights, save_model, save_weights

_FILES = ("load_model", "load_weights", "model_from_json", "model_to_json", "save_model", "save_weights")

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "enable_unsafe_deserialization",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(importlib.import_module("kcore.saving.api"), name)
    raise AttributeError(f"module 'kcore.saving' has no attribute '{name}'")
