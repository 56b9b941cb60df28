"""Saving and loading: picks the format by the name of the file."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from typing import Any

import h5py

from kcore.saving import archive, legacy_h5
from kcore.saving.atomic import may_write
from kcore.saving.serialization import deserialize_keras_object, serialize_keras_object
from kcore.saving.store import damage_as_error, open_for_reading

_LEGACY = (".h5", ".hdf5")


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
    """Saves a model: architecture, weights, and if it is compiled its training configuration and optimizer state.

    The write is atomic: a process killed while saving leaves an older file at this path whole.

    Args:
        model: the model.
        filepath: `NAME.keras` (recommended), or `NAME.h5` / `NAME.hdf5` for the legacy format.
        overwrite: replace an existing file without asking at the terminal.
        zipped: False writes the three parts of a `.keras` file into a folder of that name.
        include_optimizer: legacy files only; False leaves the training configuration and optimizer state out.

    Raises:
        ValueError: another ending, or an unknown argument.

    >>> import kcore, tempfile, os
    >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.keras")
    >>> save_model(model, path)
    >>> load_model(path).count_params()
    8
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    save_format = kwargs.pop("save_format", None)
    if kwargs:
        raise ValueError(f"[save_model] received unknown arguments {sorted(kwargs)}")
    if isinstance(filepath, h5py.File):
        legacy_h5.save_model(model, filepath, include_optimizer)
        return
    path = os.fspath(filepath)
    legacy = path.endswith(_LEGACY)
    if save_format:
        warnings.warn(
            f"[save_model] save_format={save_format!r} is ignored: the ending of the path decides", stacklevel=2
        )
    if not legacy and not path.endswith(".keras") and zipped is not False:
        raise ValueError(
            f"[save_model] expected a path ending in .keras (or .h5 for the legacy format), received {path!r}; "
            "model.export(path) writes a program for inference"
        )
    if not may_write(path, overwrite):
        return
    if zipped is False:
        archive.save_folder(model, path)
    elif legacy:
        legacy_h5.save_model(model, path, include_optimizer)
    else:
        archive.save_archive(model, path)


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Loads a model saved by `save_model`, or by Keras.

    Args:
        filepath: a `.keras` file, a folder written with `zipped=False`, or a legacy `.h5` / `.hdf5` file.
        custom_objects: dictionary from name to custom class or function.
        compile: restore the training configuration and optimizer state too.
        safe_mode: refuse Python lambdas, which would run code out of the file.

    Raises:
        ValueError: no such file, not a model file, damaged, or it needs `safe_mode=False`.
        TypeError: it uses a class or function that is not known.
    """
    if isinstance(filepath, h5py.File):
        return legacy_h5.load_model(filepath, custom_objects, compile, safe_mode)
    path = os.fspath(filepath)
    if not os.path.exists(path):
        raise ValueError(f"[load_model] expected a model file, received {path!r}: File not found")
    if os.path.isdir(path):
        if not os.path.exists(os.path.join(path, "config.json")):
            raise ValueError(
                f"[load_model] expected a .keras or .h5 file, or a folder with config.json, received {path!r}; "
                "TensorFlow SavedModel folders are not supported"
            )
        return archive.load_folder(path, custom_objects, compile, safe_mode)
    if path.endswith(".keras"):
        if not zipfile.is_zipfile(path):
            raise ValueError(
                f"[load_model] expected {path!r} to be a zip archive, received {os.path.getsize(path)} bytes of "
                "something else; the file is truncated or of another format"
            )
        return archive.load_archive(path, custom_objects, compile, safe_mode)
    if path.endswith(_LEGACY):
        return legacy_h5.load_model(path, custom_objects, compile, safe_mode)
    raise ValueError(f"[load_model] expected a path ending in .keras, .h5 or .hdf5, received {path!r}")


def save_weights(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Saves the weights of a built model, and its optimizer's state, to a `.weights.h5` file. The write is atomic.

    Args:
        model: the model, or a single layer.
        filepath: must end in `.weights.h5`.
        overwrite: replace an existing file without asking at the terminal.
        objects_to_skip: list of layers (or other parts) to leave out.

    Raises:
        ValueError: another ending, or the model is not built.
    """
    skip = kwargs.pop("objects_to_skip", None) or ()
    if kwargs:
        raise ValueError(f"[save_weights] received unknown arguments {sorted(kwargs)}")
    path = os.fspath(filepath)
    if not path.endswith(".weights.h5"):
        raise ValueError(f"[save_weights] expected a path ending in .weights.h5, received {path!r}")
    if may_write(path, overwrite):
        archive.save_weights_file(model, path, skip)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Loads weights into a built model. If anything does not fit, the model is left as it was.

    Args:
        model: the model, or a single layer.
        filepath: a `.weights.h5` or `.keras` file, or a legacy `.h5` / `.hdf5` file with or without a model.
        skip_mismatch: leave layers whose weights do not fit as they are, with a warning.
        by_name: legacy files only; match layers by name instead of by position.
        objects_to_skip: `.weights.h5` only; list of layers (or other parts) to leave as they are.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, damaged, or weights are missing or of another shape.
    """
    by_name = kwargs.pop("by_name", None)
    skip = kwargs.pop("objects_to_skip", None)
    if kwargs:
        raise ValueError(f"[load_weights] received unknown arguments {sorted(kwargs)}")
    path = os.fspath(filepath)
    legacy = path.endswith(_LEGACY) and not path.endswith(".weights.h5")
    if not legacy and not path.endswith((".weights.h5", ".keras")):
        raise ValueError(f"[load_weights] expected a path ending in .weights.h5, .keras or .h5, received {path!r}")
    if by_name is not None and not legacy:
        raise ValueError(f"[load_weights] expected a legacy .h5 file for by_name, received {path!r}")
    if skip is not None and not path.endswith(".weights.h5"):
        raise ValueError(f"[load_weights] expected a .weights.h5 file for objects_to_skip, received {path!r}")
    if not legacy:
        archive.load_weights_file(model, path, skip_mismatch, skip or ())
        return
    with open_for_reading(path) as file, damage_as_error("groups of weights"):
        group = file
        if "layer_names" not in file.attrs and "model_weights" in file:
            group = legacy_h5.subgroup(file, "model_weights")
        (legacy_h5.load_weights_by_name if by_name else legacy_h5.load_weights)(group, model, skip_mismatch)


def model_to_json(model: Any, **kwargs: Any) -> str:
    """The configuration of a model (without weights) as JSON; `kwargs` go to `json.dumps`."""
    return json.dumps(serialize_keras_object(model), **kwargs)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """A new model with fresh weights from the JSON of `model.to_json()`, ours or Keras's.

    >>> import kcore
    >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
    >>> model_from_json(model.to_json()).count_params()
    8
    """
    try:
        config = json.loads(json_string)
    except (TypeError, json.JSONDecodeError) as e:
        raise ValueError(
            f"[model_from_json] expected the JSON of a model, received {str(json_string)[:80]!r} ({e})"
        ) from e
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(f"[model_from_json] expected the JSON of a model, received {str(json_string)[:80]!r}")
    return deserialize_keras_object(config, custom_objects)
