"""The `.keras` format (a zip of metadata.json, config.json and model.weights.h5) and `.weights.h5` files."""

from __future__ import annotations

import datetime
import io
import json
import os
import shutil
import zipfile
from typing import Any

import h5py

from kcore.saving import state
from kcore.saving.atomic import atomic_path, sync
from kcore.saving.scopes import ObjectSharingScope
from kcore.saving.serialization import deserialize_keras_object, serialize_keras_object
from kcore.saving.store import open_for_reading

# The release of Keras whose layout the files follow.
KERAS_VERSION = "3.15.1"
_METADATA, _CONFIG, _WEIGHTS = "metadata.json", "config.json", "model.weights.h5"


def _config_and_metadata(model: Any) -> tuple[str, str]:
    with ObjectSharingScope():
        config = json.dumps(serialize_keras_object(model))
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    return config, json.dumps({"keras_version": KERAS_VERSION, "date_saved": now})


def save_archive(model: Any, path: str) -> None:
    """Writes a `.keras` file. Members are stored uncompressed: weights hardly compress, and reading stays fast."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        write_archive(model, file)


def write_archive(model: Any, file: Any) -> None:
    """Writes the `.keras` archive into an open binary file."""
    config, metadata = _config_and_metadata(model)
    weights = io.BytesIO()
    with h5py.File(weights, "w") as h5:
        state.save_state(model, h5)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_METADATA, metadata)
        archive.writestr(_CONFIG, config)
        archive.writestr(_WEIGHTS, weights.getvalue())


def save_folder(model: Any, path: str) -> None:
    """Writes the same three files into a folder (`zipped=False`), built beside it and moved into place when whole."""
    config, metadata = _config_and_metadata(model)
    path = os.path.realpath(path)
    fresh, old = f"{path}.new", f"{path}.old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    os.makedirs(fresh)
    for name, text in ((_METADATA, metadata), (_CONFIG, config)):
        with open(os.path.join(fresh, name), "w", encoding="utf-8") as file:
            file.write(text)
    with h5py.File(os.path.join(fresh, _WEIGHTS), "w") as h5:
        state.save_state(model, h5)
    for name in (_METADATA, _CONFIG, _WEIGHTS):
        sync(os.path.join(fresh, name))
    if os.path.exists(path):
        os.replace(path, old)
    os.replace(fresh, path)
    shutil.rmtree(old, ignore_errors=True)


def load_archive(file: Any, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    """Reads a `.keras` file (a path or an open binary file) into a new model."""
    with _opened(file, "load_model") as archive:
        model = _build(_member(archive, _CONFIG).decode("utf-8"), custom_objects, compile, safe_mode)
        if _WEIGHTS in archive.namelist():
            with open_for_reading(io.BytesIO(_member(archive, _WEIGHTS)), "load_model") as h5:
                state.load_state(model, h5)
    return model


def load_folder(path: str, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    """Reads a folder written with `zipped=False`."""
    with open(os.path.join(path, _CONFIG), encoding="utf-8") as file:
        model = _build(file.read(), custom_objects, compile, safe_mode)
    with open_for_reading(os.path.join(path, _WEIGHTS), "load_model") as h5:
        state.load_state(model, h5)
    return model


def _opened(file: Any, what: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file, "r")
    except (zipfile.BadZipFile, NotImplementedError) as e:
        raise ValueError(f"[{what}] expected a .keras archive, received a file that is not ({e}): {file}") from e


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """One file of the archive, with its checksum verified.

    Raises:
        ValueError: it is missing, damaged, or would unpack to far more than a saved model could.
    """
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(
            f"[load_model] expected a .keras archive with {name}, received one with {archive.namelist()}"
        ) from None
    if info.file_size > 2**32 and info.file_size > 100 * info.compress_size:
        raise ValueError(
            f"[load_model] expected {name} to be stored as Keras stores it, received {info.compress_size} bytes "
            f"that claim to unpack to {info.file_size}"
        )
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as e:
        raise ValueError(f"[load_model] expected a whole {name}, received a damaged one ({e})") from e


def _build(config: str, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    try:
        config = json.loads(config)
    except json.JSONDecodeError as e:
        raise ValueError(f"[load_model] expected {_CONFIG} to be JSON, received text that is not ({e})") from e
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(f"[load_model] expected {_CONFIG} to describe a model, received {str(config)[:200]}")
    if not compile:
        config["compile_config"] = None
    with ObjectSharingScope():
        return deserialize_keras_object(config, custom_objects, safe_mode=safe_mode)


def save_weights_file(model: Any, path: str, skip: Any = ()) -> None:
    """Writes a `.weights.h5` file."""
    _check_built(model, "save_weights")
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as h5:
        state.save_state(model, h5, skip)


def load_weights_file(model: Any, path: str, skip_mismatch: bool = False, skip: Any = ()) -> None:
    """Reads the weights of a `.weights.h5` or `.keras` file into a built model."""
    _check_built(model, "load_weights")
    if not str(path).endswith(".keras"):
        with open_for_reading(path) as h5:
            state.load_state(model, h5, skip_mismatch, skip)
        return
    with (
        _opened(path, "load_weights") as archive,
        open_for_reading(io.BytesIO(_member(archive, _WEIGHTS))) as h5,
    ):
        state.load_state(model, h5, skip_mismatch, skip)


def _check_built(model: Any, what: str) -> None:
    if not getattr(model, "built", True):
        raise ValueError(
            f"[{what}] expected a built model, received '{model.name}', whose weights do not exist yet; "
            "call it on some data or call build(input_shape) first"
        )
