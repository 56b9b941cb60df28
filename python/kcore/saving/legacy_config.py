"""Configurations as legacy `.h5` files spell them, and their translation to and from those of Keras 3."""

from __future__ import annotations

from typing import Any

from kcore.saving import names
from kcore.saving.registration import CustomObjectScope
from kcore.saving.serialization import deserialize_keras_object, serialize_keras_object

# Arguments of Lambda that Keras 2 wrote and Keras 3 no longer knows.
_OLD_LAMBDA_ARGUMENTS = ("module", "function_type", "output_shape_type", "output_shape_module")
# Metrics that compile() completes from the shape of the output stay strings.
_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


# ---------------------------------------------------------------------------------------------------- writing


def of_model(model: Any) -> dict:
    """{"class_name", "config"} of a model, with the layers in legacy form."""
    return _strip(serialize_keras_object(model))


def _strip(config: dict) -> dict:
    """A layer's Keras 3 dict without what legacy files leave out; layers of nested models likewise.

    Only the layers themselves have a legacy form: initializers, cells and the like inside their configs keep the
    form of Keras 3, as in the files of Keras 3.
    """
    if str(config.get("module")).startswith("keras.src.ops"):
        # Calls of ops in the graph have no legacy form: Keras drops their module and then cannot read its own files.
        return config
    slim = {"class_name": config.get("registered_name") or config["class_name"], "config": config["config"]}
    if "name" in config and "inbound_nodes" in config:
        slim["name"], slim["inbound_nodes"] = config["name"], config["inbound_nodes"]
    inner = config["config"]
    if isinstance(inner, dict) and isinstance(inner.get("layers"), (list, tuple)):
        layers = [_strip(c) if isinstance(c, dict) and "class_name" in c else c for c in inner["layers"]]
        slim["config"] = {**inner, "layers": layers}
    return slim


def of_training(model: Any) -> dict:
    """The arguments of compile() as legacy files store them."""
    training = dict(model.get_compile_config() or {})
    training = serialize_keras_object(training)
    optimizer = serialize_keras_object(model.optimizer)
    training.pop("optimizer", None)
    training = {key: _shorten(value) for key, value in training.items()}
    training["optimizer_config"] = _shorten(optimizer)
    return training


def _shorten(config: Any) -> Any:
    """Losses and metrics: functions become their names, objects {"class_name", "config"}."""
    if isinstance(config, (list, tuple)):
        return [_shorten(c) for c in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "function":
        return config["config"]
    if "class_name" in config and "config" in config:
        return {"class_name": config.get("registered_name") or config["class_name"], "config": config["config"]}
    return {key: _shorten(value) for key, value in config.items()}


# ---------------------------------------------------------------------------------------------------- reading


def to_model(config: Any, custom_objects: Any, safe_mode: bool) -> Any:
    """The model described by `model_config`."""
    if not isinstance(config, dict) or not isinstance(config.get("config"), (dict, list)):
        raise ValueError(f"[load_model] expected model_config to describe a model, received {str(config)[:200]}")
    return deserialize_keras_object(_modernize(config), custom_objects, safe_mode=safe_mode)


def _modernize(config: dict) -> dict:
    """A layer's legacy dict in the form of Keras 3; layers of nested models likewise."""
    if "module" in config and "registered_name" in config:
        return config
    name, inner = config["class_name"], config["config"]
    if name == "Sequential" and isinstance(inner, list):  # the first releases of Keras 2
        inner = {"layers": inner}
    inner = dict(inner)
    if "batch_input_shape" in inner:
        shape = inner.pop("batch_input_shape")
        inner["batch_shape" if name == "InputLayer" else "input_shape"] = shape if name == "InputLayer" else shape[1:]
    if isinstance(inner.get("axis"), list) and len(inner["axis"]) == 1:
        inner["axis"] = inner["axis"][0]
    if name == "Lambda":
        inner = _modern_lambda(inner)
    if isinstance(inner.get("layers"), list):
        inner["layers"] = [_modernize(c) if isinstance(c, dict) and "class_name" in c else c for c in inner["layers"]]
    # Keras 2 wrote functional models as "Model" too; their layers say what they are.
    if name == "Model" and "layers" in inner:
        name = "Functional"
    cls = next(filter(None, (names.find_class(name, f"keras.{p}") for p in ("layers", "models", "src.ops"))), None)
    public = names.public_name_of_class(cls) if cls is not None else None
    # As registered name it lets a custom class of this name take precedence, as it does in Keras's legacy files.
    module = public[0] if public else None
    return {**config, "class_name": name, "config": inner, "module": module, "registered_name": name}


def _modern_lambda(config: dict) -> dict:
    config = {k: v for k, v in config.items() if k not in _OLD_LAMBDA_ARGUMENTS}
    function = config.get("function")
    if isinstance(function, list):
        code = dict(zip(("code", "defaults", "closure"), function))
        config["function"] = {"class_name": "__lambda__", "config": code}
    return config


def compile_arguments(training: dict, custom_objects: Any) -> dict[str, Any]:
    """The arguments for compile() out of `training_config`."""
    with CustomObjectScope(custom_objects):
        optimizer = training.get("optimizer_config")
        return {
            "optimizer": _revive(optimizer, "keras.optimizers") if optimizer else "rmsprop",
            "loss": _revive(training.get("loss"), "keras.losses"),
            "metrics": _revive(training.get("metrics"), "keras.metrics"),
            "weighted_metrics": _revive(training.get("weighted_metrics"), "keras.metrics"),
            "loss_weights": training.get("loss_weights"),
        }


def _revive(config: Any, module: str) -> Any:
    """Objects of nested lists and dicts of {"class_name", "config"} and names; names stay for compile() to resolve."""
    if isinstance(config, (list, tuple)):
        return [_revive(c, module) for c in config]
    if isinstance(config, str):
        found = None if config in _BY_SHAPE else deserialize_keras_object(config)
        return config if found is None else found
    if isinstance(config, dict) and "class_name" in config:
        known = names.find_class(config["class_name"], module) is not None
        inner = dict(config.get("config") or {})
        if isinstance(inner.get("fn"), str):  # Keras 2 named the function of a wrapper
            inner["fn"] = {"module": "builtins", "class_name": "function", "config": inner["fn"]}
        entry = {"module": module if known else None, "registered_name": None if known else config["class_name"]}
        return deserialize_keras_object({**config, **entry, "config": inner})
    if isinstance(config, dict):
        return {key: _revive(value, module) for key, value in config.items()}
    return config
