"""Configurations: turns layers, models, losses, functions and plain values into JSON-ready dicts and back.

The dicts are those of Keras 3 (`module`, `class_name`, `config`, `registered_name`, and where they apply
`build_config`, `compile_config`, `shared_object_id`), so a file can be read by either library.
"""

from __future__ import annotations

import types
import warnings
from typing import Any

import numpy as np

from kcore.saving import names, registration
from kcore.saving.lambdas import func_dump, func_load
from kcore.saving.scopes import SafeModeScope, in_safe_mode, record_deserialized, record_serialized, shared_object

_PLAIN = (str, int, float, bool)


def _is_tensor(obj: Any) -> bool:
    from kcore.autograd import Tensor

    return isinstance(obj, Tensor)


def _is_keras_tensor(obj: Any) -> bool:
    from kcore.graph import KerasTensor

    return isinstance(obj, KerasTensor)


# ---------------------------------------------------------------------------------------------------- writing


def serialize_keras_object(obj: Any) -> Any:
    """Turns a value into JSON-ready data from which `deserialize_keras_object` rebuilds it.

    Plain values, lists, tuples and dicts keep their form; slices, bytes, arrays, tensors and lambdas become tagged
    dicts; objects with `get_config` become dicts of their class and configuration.

    Raises:
        TypeError: an object has no `get_config`.

    >>> import kcore
    >>> serialize_keras_object(kcore.regularizers.L2(0.5))["class_name"]
    'L2'
    """
    if obj is None or (isinstance(obj, _PLAIN) and type(obj).__module__ != "numpy"):
        return obj
    if isinstance(obj, (list, tuple)):
        items = [serialize_keras_object(x) for x in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, dict):
        return serialize_dict(obj)
    special = _serialize_value(obj)
    if special is not None:
        return special[0]
    if isinstance(obj, types.FunctionType) and obj.__name__ == "<lambda>":
        warnings.warn(
            "The object being saved includes a Python lambda. Loading it will need safe_mode=False; "
            "a named function decorated with @kcore.saving.register_keras_serializable() would not.",
            stacklevel=2,
        )
        return {"class_name": "__lambda__", "config": {"value": func_dump(obj)}}
    config = _serialize_object(obj)
    record_serialized(obj, config)
    return config


def serialize_dict(values: dict) -> dict:
    """`serialize_keras_object` on every value of a dict."""
    return {key: serialize_keras_object(value) for key, value in values.items()}


def _serialize_value(obj: Any) -> tuple[Any] | None:
    """(data,) for values that are neither plain nor configurable objects; None for all others."""
    if isinstance(obj, bytes):
        return ({"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}},)
    if isinstance(obj, slice):
        parts = {k: serialize_keras_object(getattr(obj, k)) for k in ("start", "stop", "step")}
        return ({"class_name": "__slice__", "config": parts},)
    if obj is Ellipsis:
        return ({"class_name": "__ellipsis__", "config": {}},)
    if isinstance(obj, np.ndarray) and obj.ndim > 0:
        return ({"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": str(obj.dtype)}},)
    if isinstance(obj, (np.ndarray, np.generic)):
        return (obj.item(),)
    if isinstance(obj, np.dtype):
        return (obj.name,)
    if _is_keras_tensor(obj):
        history = getattr(obj, "_keras_history", None)
        if history is not None:
            history = [history[0].name, *history[1:]]
        shape = list(obj.shape) if obj.shape is not None else None
        config = {"shape": shape, "dtype": obj.dtype, "keras_history": history}
        return ({"class_name": "__keras_tensor__", "config": config},)
    if _is_tensor(obj):
        return ({"class_name": "__tensor__", "config": {"value": obj.numpy().tolist(), "dtype": obj.dtype}},)
    return None


def _serialize_object(obj: Any) -> dict:
    """The dict of a class instance or a named function."""
    if isinstance(obj, (types.FunctionType, types.BuiltinFunctionType)):
        name = registration.get_registered_name(obj)
        kind = type(obj).__name__
        return {"module": "builtins", "class_name": kind, "config": name, "registered_name": kind}
    cls = type(obj)
    if isinstance(obj, type) or not hasattr(obj, "get_config"):
        raise TypeError(
            "[serialize_keras_object] expected a plain value, an array, a function or an object with get_config(), "
            f"received {obj!r} of type {cls.__name__}"
        )
    inner = obj.get_config()
    if not isinstance(inner, dict):
        raise TypeError(
            f"[serialize_keras_object] expected {cls.__name__}.get_config() to return a dict, received {inner!r}"
        )
    inner = serialize_dict(inner)
    public = names.public_name_of_class(cls)
    if public is not None:
        module, class_name = public
        registered = class_name if names.is_private(module) else None
    else:
        module, class_name = cls.__module__, cls.__name__
        registered = registration.get_registered_name(cls)
        if module == "__main__":
            module = None
    config = {"module": module, "class_name": class_name, "config": inner, "registered_name": registered}
    for key, method in (("build_config", "get_build_config"), ("compile_config", "get_compile_config")):
        extra = getattr(obj, method)() if hasattr(obj, method) else None
        if extra is not None:
            config[key] = serialize_dict(extra)
    return config


# ---------------------------------------------------------------------------------------------------- reading


def deserialize_keras_object(
    config: Any, custom_objects: dict[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """Rebuilds what `serialize_keras_object` wrote, or what Keras wrote.

    Args:
        config: the data.
        custom_objects: dictionary from name to custom class or function.
        safe_mode: refuse Python lambdas, which would run code out of the file.
        module_objects: dictionary in which bare names (`"relu"`) are looked up.

    Raises:
        ValueError: a lambda in safe mode, or a name that files may not use.
        TypeError: an unknown class or function (with the nearest known name), or a config its class refuses.

    >>> import kcore
    >>> deserialize_keras_object(serialize_keras_object(kcore.regularizers.L2(0.5))).l2
    0.5
    """
    module_objects = kwargs.pop("module_objects", None)
    kwargs.pop("printable_module_name", None)
    if kwargs:
        raise TypeError(f"[deserialize_keras_object] received unknown arguments {sorted(kwargs)}")
    scoped = in_safe_mode()
    safe_mode = safe_mode if scoped is None else scoped
    custom = {**(custom_objects or {}), **registration.scoped_objects(), **registration.get_custom_objects()}
    return _deserialize(config, custom, safe_mode, module_objects)


def _deserialize(config: Any, custom: dict[str, Any], safe_mode: bool, module_objects: dict | None = None) -> Any:
    if config is None:
        return None
    if isinstance(config, str):
        if custom.get(config) is not None:
            return custom[config]
        if module_objects is not None and config in module_objects:
            found = module_objects[config]
            return found() if isinstance(found, type) else found
        return config
    if isinstance(config, (list, tuple)):
        return [_deserialize(x, custom, safe_mode) for x in config]
    if isinstance(config, _PLAIN):
        return config
    if not isinstance(config, dict):
        raise TypeError(
            f"[deserialize_keras_object] expected a configuration, received {config!r} ({type(config).__name__})"
        )
    if "class_name" not in config or "config" not in config:
        return {key: _deserialize(value, custom, safe_mode) for key, value in config.items()}
    if str(config["class_name"]).startswith("__"):
        return _deserialize_value(config, custom, safe_mode)
    if config["class_name"] == "function" or (
        config["class_name"] == "builtin_function_or_method" and isinstance(config["config"], str)
    ):
        return _find_function(config, custom, module_objects)
    return _deserialize_instance(config, custom, safe_mode, module_objects)


def _deserialize_value(config: dict, custom: dict[str, Any], safe_mode: bool) -> Any:
    """Reads the tagged dicts of `_serialize_value`, and lambdas."""
    kind, inner = config["class_name"], config["config"] or {}
    try:
        if kind == "__keras_tensor__":
            from kcore.graph import KerasTensor

            tensor = KerasTensor(inner["shape"], dtype=inner["dtype"])
            tensor._pre_serialization_keras_history = inner["keras_history"]
            return tensor
        if kind == "__tensor__":
            from kcore.autograd import convert_to_tensor

            return convert_to_tensor(np.array(inner["value"]), dtype=inner["dtype"])
        if kind == "__numpy__":
            return np.array(inner["value"], dtype=inner["dtype"])
        if kind == "__bytes__":
            return inner["value"].encode("utf-8")
        if kind == "__ellipsis__":
            return Ellipsis
        if kind == "__slice__":
            return slice(*(_deserialize(inner[k], custom, safe_mode) for k in ("start", "stop", "step")))
    except KeyError as e:
        raise ValueError(f"[deserialize_keras_object] expected {kind} with {e.args[0]!r}, received {inner}") from None
    if kind == "__lambda__":
        if safe_mode:
            raise ValueError(
                "[deserialize_keras_object] expected no Python code in the file, received a lambda. Running code from "
                "a file is unsafe and refused by default; if you trust its source, pass safe_mode=False to the "
                "loading function or call kcore.config.enable_unsafe_deserialization()."
            )
        return func_load(inner["value"] if "value" in inner else (inner["code"], inner["defaults"], inner["closure"]))
    raise TypeError(f"[deserialize_keras_object] expected a known kind of value, received {kind!r}")


def _find_function(config: dict, custom: dict[str, Any], module_objects: dict | None) -> Any:
    name = config["config"]
    if not isinstance(name, str):
        raise TypeError(f"[deserialize_keras_object] expected the name of a function, received {name!r}")
    # Keras up to 3.6 wrote registered functions without their package.
    short = [obj for key, obj in custom.items() if ">" not in name and key.endswith(f">{name}")]
    for found in (
        custom.get(name),
        (module_objects or {}).get(name),
        names.find_function(name, config.get("module")),
        *short,
    ):
        if found is not None:
            return found
    hint = names.suggest(name, "builtins", custom)
    raise TypeError(
        f"[deserialize_keras_object] expected a known function, received '{name}'{hint} Decorate custom functions with "
        "@kcore.saving.register_keras_serializable() before loading, or pass them in custom_objects."
    )


def _find_class(config: dict, custom: dict[str, Any], module_objects: dict | None) -> Any:
    name, module = config["class_name"], config.get("module")
    registered = config.get("registered_name")
    ours = module is None or module.split(".")[0] in ("keras", "kcore", "builtins")
    # What was written as a class of the library is not replaced by a custom one of the same name.
    for key in (registered, name) if registered or not module or not ours else ():
        if key is not None and custom.get(key) is not None:
            return custom[key]
    if module_objects and name in module_objects:
        return module_objects[name]
    if ours:
        found = names.find_class(name, module)
        if found is not None and not (module is None and registered and registered != name):
            return found
    hint = names.suggest(name, module if module and module.startswith("keras") else None, custom)
    raise TypeError(
        f"[deserialize_keras_object] expected a known class, received '{name}' of module {module!r}{hint} Decorate "
        "custom classes with @kcore.saving.register_keras_serializable() and import them before loading, or pass "
        "them in custom_objects."
    )


def _short(config: Any, limit: int = 600) -> str:
    text = repr(config)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _deserialize_instance(config: dict, custom: dict[str, Any], safe_mode: bool, module_objects: dict | None) -> Any:
    name, inner = config["class_name"], config["config"]
    inner = {} if inner is None else inner
    if not isinstance(inner, dict):
        raise TypeError(f"[deserialize_keras_object] expected the config of '{name}' to be a dict, received {inner!r}")
    if "shared_object_id" in config:
        shared = shared_object(config["shared_object_id"])
        if shared is not None:
            return shared
    cls = _find_class(config, custom, module_objects)
    if isinstance(cls, types.FunctionType):
        return cls
    if not hasattr(cls, "from_config"):
        raise TypeError(f"[deserialize_keras_object] expected '{name}' to have from_config(), received {cls}")
    with registration.CustomObjectScope(custom), SafeModeScope(safe_mode):
        try:
            instance = cls.from_config(inner)
        except TypeError as e:
            raise TypeError(
                f"[deserialize_keras_object] '{name}' could not be rebuilt: {e}. Layers and other objects returned "
                f"by get_config() must be deserialized in from_config(). Its config: {_short(inner)}"
            ) from e
        build_config = config.get("build_config")
        if build_config and hasattr(instance, "build_from_config") and not instance.built:
            instance.build_from_config(build_config)
            instance.built = True
        if config.get("compile_config"):
            instance.compile_from_config(config["compile_config"])
            instance.compiled = True
    if "shared_object_id" in config:
        record_deserialized(instance, config["shared_object_id"])
    return instance
