"""Helpers around training: downloads, labels, padding, pictures, folders of data, diagrams of models.

Receives arrays and models; hands out arrays, `Batches` and files. Modules are loaded when first used. What Keras
has here but belongs elsewhere (progress bars, data for the trainer) is found there.
"""

from __future__ import annotations

import importlib
from typing import Any

# Which module each public name comes from.
_MODULES = {
    "kcore.autograd": ("standardize_dtype",),
    "kcore.callbacks.progbar": ("Progbar",),
    "kcore.graph": ("is_keras_tensor",),
    "kcore.models.trainer.data": ("PyDataset", "pack_x_y_sample_weight", "unpack_x_y_sample_weight"),
    "kcore.saving": (
        "CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "get_custom_objects",
        "get_registered_name", "get_registered_object", "register_keras_serializable", "serialize_keras_object",
    ),
    "kcore.session": ("clear_session",),
    "kcore.utils.batches": ("Batches", "split_dataset", "timeseries_dataset_from_array"),
    "kcore.utils.directories": ("image_dataset_from_directory", "text_dataset_from_directory"),
    "kcore.utils.files": ("get_file",),
    "kcore.utils.images": ("array_to_img", "img_to_array", "load_img", "save_img"),
    "kcore.utils.numerical": ("normalize", "pad_sequences", "to_categorical"),
    "kcore.utils.plotting": ("model_to_dot", "plot_model"),
    "kcore.utils.seeds": ("set_random_seed",),
}  # fmt: skip
_SOURCE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted((*_SOURCE, "Sequence"))


def __getattr__(name: str) -> Any:
    if name == "Sequence":  # what Keras 2 called PyDataset
        name = "PyDataset"
    if name not in _SOURCE:
        raise AttributeError(f"module 'kcore.utils' has no attribute '{name}'")
    return getattr(importlib.import_module(_SOURCE[name]), name)


def __dir__() -> list[str]:
    return __all__
