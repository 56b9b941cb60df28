"""The legacy `.h5` format: one HDF5 file with the configuration as attributes and weights grouped by layer name."""

from __future__ import annotations

import json
import logging
import warnings
from typing import Any

import h5py
import numpy as np

from kcore.saving import legacy_config
from kcore.saving.archive import KERAS_VERSION
from kcore.saving.atomic import atomic_path
from kcore.saving.scopes import SafeModeScope
from kcore.saving.state import restore
from kcore.saving.store import damage_as_error, open_for_reading, read_dataset, to_numpy, write_dataset

# HDF5 keeps an attribute in the object header, which holds 64 KiB; Keras splits lists of names above this size.
_ATTRIBUTE_LIMIT = 64512
_TOP = "top_level_model_weights"


# ---------------------------------------------------------------------------------------------------- writing


def save_model(model: Any, path: Any, include_optimizer: bool = True) -> None:
    """Writes a model to a legacy `.h5` file, or into an open `h5py.File`."""
    if isinstance(path, h5py.File):
        _write(model, path, include_optimizer)
        return
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        _write(model, file, include_optimizer)


def _write(model: Any, file: h5py.File, include_optimizer: bool) -> None:
    optimizer = getattr(model, "optimizer", None) if include_optimizer else None
    metadata = {"keras_version": KERAS_VERSION, "backend": "kcore", "model_config": legacy_config.of_model(model)}
    if optimizer is not None and getattr(model, "compiled", False):
        metadata["training_config"] = legacy_config.of_training(model)
    for key, value in metadata.items():
        file.attrs[key] = value if isinstance(value, str) else json.dumps(value).encode("utf8")
    write_weights(model, file.create_group("model_weights"))
    if optimizer is not None and optimizer.variables:
        _write_list(file.create_group("optimizer_weights"), optimizer.variables)


def write_weights(model: Any, group: h5py.Group) -> None:
    """Writes the weights of every layer into a group, as `model_weights` of a legacy file."""
    _write_names(group, "layer_names", [layer.name for layer in model.layers])
    group.attrs["backend"] = b"kcore"
    group.attrs["keras_version"] = KERAS_VERSION.encode("utf8")
    # Sorted so that a name that is a prefix of another one is created first.
    for layer in sorted(model.layers, key=lambda layer: layer.name):
        _write_list(group.create_group(layer.name), legacy_weights(layer))
    _write_list(group.create_group(_TOP), own_weights(model))


def legacy_weights(layer: Any) -> list[Any]:
    """A layer's variables in the order of legacy files: trainable ones first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def own_weights(model: Any) -> list[Any]:
    """The variables that belong to the model itself and to none of its layers."""
    weights = {id(v) for v in model.weights}
    return [v for v in [*model._trainable_variables, *model._non_trainable_variables] if id(v) in weights]


def _write_list(group: h5py.Group, variables: list[Any]) -> None:
    names = [str(v.path) for v in variables]
    _write_names(group, "weight_names", names)
    for name, variable in zip(names, variables):
        write_dataset(group, name, to_numpy(variable))


def _write_names(group: h5py.Group, key: str, names: list[str]) -> None:
    """Stores a list of names as one attribute, or as KEY0, KEY1, ... where it would not fit into one."""
    encoded = [name.encode("utf8") for name in names]
    too_long = [name for name in encoded if len(name) > _ATTRIBUTE_LIMIT]
    if too_long:
        raise ValueError(f"[save] expected names under {_ATTRIBUTE_LIMIT} bytes, received {too_long[0][:80]!r}...")
    whole = np.asarray(encoded)
    chunks = [whole]
    while any(chunk.nbytes > _ATTRIBUTE_LIMIT for chunk in chunks):
        chunks = np.array_split(whole, len(chunks) + 1)
    if len(chunks) == 1:
        group.attrs[key] = encoded
    else:
        for i, chunk in enumerate(chunks):
            group.attrs[f"{key}{i}"] = chunk


# ---------------------------------------------------------------------------------------------------- reading


def load_model(path: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Reads a model from a legacy `.h5` file or an open `h5py.File`.

    Raises:
        ValueError: not a legacy file, damaged, or holding a Python lambda while in safe mode.
    """
    if isinstance(path, h5py.File):
        return _read(path, custom_objects, compile, safe_mode)
    with open_for_reading(path, "load_model") as file:
        return _read(file, custom_objects, compile, safe_mode)


def _read(file: h5py.File, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    config = _json(file, "model_config")
    with damage_as_error("groups of weights"):
        complete = "model_weights" in file
    if config is None or not complete:
        raise ValueError(
            f"[load_model] expected a legacy .h5 file with a model's configuration, received {file.filename} with "
            f"{sorted([*file.attrs, *file])}; weights alone are loaded with model.load_weights()"
        )
    with SafeModeScope(safe_mode):
        model = legacy_config.to_model(config, custom_objects, safe_mode)
        load_weights(subgroup(file, "model_weights"), model)
        training = _json(file, "training_config") if compile else None
        if training is not None:
            model.compile(**legacy_config.compile_arguments(training, custom_objects))
            _load_optimizer(model, file)
    if compile and training is None:
        logging.getLogger("kcore").warning("[load_model] the file holds no training configuration: compile the model")
    return model


def _json(file: h5py.File, key: str) -> Any:
    with damage_as_error(f"the attribute {key}"):
        text = file.attrs.get(key)
    if text is None:
        return None
    try:
        return json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except (json.JSONDecodeError, UnicodeDecodeError) as e:
        raise ValueError(f"[load_model] expected attribute {key} to be JSON, received text that is not ({e})") from e


def _load_optimizer(model: Any, file: h5py.File) -> None:
    if "optimizer_weights" not in file:
        return
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    values = _read_list(subgroup(file, "optimizer_weights"))
    shapes = [tuple(v.shape) for v in optimizer.variables]
    if shapes != [v.shape for v in values]:
        warnings.warn(
            f"[load_model] expected optimizer state of shapes {shapes[:6]}..., received {[v.shape for v in values][:6]}"
            "...: the optimizer starts afresh",
            stacklevel=5,
        )
        return
    for variable, value in zip(optimizer.variables, values):
        variable.assign(value)


def _read_names(group: h5py.Group, key: str) -> list[str]:
    with damage_as_error(f"the names {key}"):
        chunks = [group.attrs[key]] if key in group.attrs else []
        while key not in group.attrs and f"{key}{len(chunks)}" in group.attrs:
            chunks.append(group.attrs[f"{key}{len(chunks)}"])
        return [n.decode("utf8") if isinstance(n, bytes) else str(n) for chunk in chunks for n in chunk]


def _read_list(group: h5py.Group) -> list[np.ndarray]:
    return [read_dataset(group, name) for name in _read_names(group, "weight_names")]


def subgroup(group: h5py.Group, name: str) -> h5py.Group:
    """A group inside a group, which must be there."""
    with damage_as_error(f"a group '{name}'"):
        found = group.get(name)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"[load_weights] expected a group '{group.name}/{name}', received {found}")
    return found


def load_weights(group: h5py.Group, model: Any, skip_mismatch: bool = False) -> None:
    """Loads legacy weights by position: the k-th layer with weights gets the k-th stored group with weights.

    Raises:
        ValueError: another number of layers or weights, or other shapes. The model is then left as it was.
    """
    _check_legacy(group)
    layers = [layer for layer in model.layers if legacy_weights(layer)]
    stored = [(n, _read_list(subgroup(group, n))) for n in _read_names(group, "layer_names")]
    stored = [(name, values) for name, values in stored if values]
    if len(stored) != len(layers):
        raise ValueError(
            f"[load_weights] expected weights of {len(layers)} layers {[layer.name for layer in layers]}, "
            f"received a file with {len(stored)} layers {[name for name, _ in stored]}"
        )
    plan = []
    for layer, (name, values) in zip(layers, stored):
        plan += _pair(
            layer, legacy_weights(layer), values, f"layer '{layer.name}' ('{name}' in the file)", skip_mismatch
        )
    if _TOP in group:
        plan += _pair(model, own_weights(model), _read_list(subgroup(group, _TOP)), "the model itself", skip_mismatch)
    _assign(plan)


def load_weights_by_name(group: h5py.Group, model: Any, skip_mismatch: bool = False) -> None:
    """Loads legacy weights into the layers of the same name; other layers keep theirs."""
    _check_legacy(group)
    plan = []
    for name in _read_names(group, "layer_names"):
        for layer in model.layers:
            if layer.name == name:
                values = _read_list(subgroup(group, name))
                plan += _pair(layer, legacy_weights(layer), values, f"layer '{name}'", skip_mismatch)
    if _TOP in group:
        plan += _pair(model, own_weights(model), _read_list(subgroup(group, _TOP)), "the model itself", skip_mismatch)
    _assign(plan)


def _check_legacy(group: h5py.Group) -> None:
    if "layer_names" not in group.attrs and "layer_names0" not in group.attrs:
        raise ValueError(
            f"[load_weights] expected a legacy .h5 file with the attribute 'layer_names', received "
            f"{group.file.filename} with {sorted([*group.attrs, *group])}; "
            "files of save_weights() must be named *.weights.h5"
        )


def _pair(
    owner: Any, variables: list[Any], values: list[np.ndarray], where: str, skip_mismatch: bool
) -> list[tuple[Any, Any, np.ndarray]]:
    """(owner, variable, value) to assign, after checking that number and shapes fit."""
    problem = None
    if len(variables) != len(values):
        problem = f"[load_weights] expected {len(variables)} weights for {where}, received {len(values)}"
        if skip_mismatch:
            warnings.warn(f"{problem}: skipped", stacklevel=4)
            return []
        raise ValueError(problem)
    plan = []
    for variable, value in zip(variables, values):
        if tuple(variable.shape) != value.shape:
            problem = (
                f"[load_weights] expected shape {tuple(variable.shape)} for '{variable.path}' of {where}, "
                f"received {value.shape}"
            )
            if not skip_mismatch:
                raise ValueError(problem)
            warnings.warn(f"{problem}: skipped", stacklevel=4)
        else:
            plan.append((owner, variable, value))
    return plan


def _assign(plan: list[tuple[Any, Any, np.ndarray]]) -> None:
    """Assigns everything, or nothing."""
    before = [(variable, variable.value) for _, variable, _ in plan]
    try:
        for _, variable, value in plan:
            variable.assign(value)
        for owner in {id(o): o for o, _, _ in plan}.values():
            if hasattr(owner, "finalize_state"):
                owner.finalize_state()
    except BaseException:
        restore(None, before)
        raise
