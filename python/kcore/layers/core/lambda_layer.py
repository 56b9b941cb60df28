"""Lambda: any function as a layer."""

from __future__ import annotations

import inspect
import types

from kcore.graph import KerasTensor, compute_output_spec
from kcore.layers.layer import Layer
from kcore.saving.lambdas import func_dump, func_load
from kcore.saving.scopes import in_safe_mode
from kcore.saving.serialization import deserialize_keras_object, serialize_keras_object


class Lambda(Layer):
    """Applies a function. For anything with weights, or that is to be saved and shared, write a Layer instead.

    Args:
        function: takes the inputs; also `mask` and `training` if it has parameters of these names.
        output_shape: shape of the output without the batch, or a function from input to output shape; None: found by itself.
        mask: the output's mask, or a function of the inputs and their mask; None for no mask.
        arguments: dictionary of further keyword arguments of `function`.

    A file keeps a Python lambda as its byte code, so loading one runs code from the file: refused in safe mode.

    >>> import numpy as np
    >>> Lambda(lambda x: x * 2)(np.ones((2, 3), "float32")).numpy().sum()
    np.float32(12.0)
    """

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        if not callable(function):
            raise TypeError(f"[Lambda] expected a function, received {function!r}")
        if output_shape is not None and not callable(output_shape) and not isinstance(output_shape, (tuple, list)):
            raise TypeError(
                f"[Lambda] expected output_shape to be a tuple, a function or None, received {output_shape!r}"
            )
        super().__init__(**kwargs)
        self.function = function
        self.arguments = arguments or {}
        if mask is not None:
            self.supports_masking = True
        self.mask = mask
        self._output_shape = output_shape
        parameters = inspect.signature(function).parameters if _has_signature(function) else ()
        self._takes = [name for name in ("mask", "training") if name in parameters]

    def call(self, inputs, mask=None, training=None):
        given = {"mask": mask, "training": training}
        extra = {name: given[name] for name in self._takes if name not in self.arguments}
        return self.function(inputs, **self.arguments, **extra)

    def compute_output_shape(self, input_shape):
        if self._output_shape is None:
            if input_shape and isinstance(input_shape[0], (tuple, list)):
                inputs = [KerasTensor(shape, dtype=self.compute_dtype) for shape in input_shape]
            else:
                inputs = KerasTensor(input_shape, dtype=self.compute_dtype)
            return compute_output_spec(self.call, inputs).shape
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        batch = input_shape[0][0] if isinstance(input_shape[0], (tuple, list)) else input_shape[0]
        return (batch, *self._output_shape)

    def compute_output_spec(self, inputs, mask=None, training=None):
        if self._output_shape is None:
            return compute_output_spec(self.call, inputs, mask=mask, training=training)
        shapes = [x.shape for x in inputs] if isinstance(inputs, (list, tuple)) else inputs.shape
        return KerasTensor(self.compute_output_shape(shapes), dtype=self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self):
        config = {**super().get_config(), "function": _serialize(self.function)}
        if self._output_shape is not None:
            callable_shape = callable(self._output_shape)
            config["output_shape"] = _serialize(self._output_shape) if callable_shape else self._output_shape
        if self.mask is not None:
            config["mask"] = _serialize(self.mask) if callable(self.mask) else serialize_keras_object(self.mask)
        config["arguments"] = serialize_keras_object(self.arguments)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None, safe_mode=None):
        safe_mode = in_safe_mode() if safe_mode is None else safe_mode
        safe_mode = True if safe_mode is None else safe_mode
        config = dict(config)
        for name in ("function", "output_shape", "mask"):
            config[name] = _deserialize(name, config.get(name), custom_objects, safe_mode)
        if isinstance(config["output_shape"], list):
            config["output_shape"] = tuple(config["output_shape"])
        if config.get("arguments"):
            config["arguments"] = deserialize_keras_object(
                config["arguments"], custom_objects=custom_objects, safe_mode=safe_mode
            )
        return cls(**config)


def _has_signature(function) -> bool:
    try:
        inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return False
    return True


def _serialize(function):
    if isinstance(function, types.LambdaType) and function.__name__ == "<lambda>":
        code, defaults, closure = func_dump(function)
        return {"class_name": "__lambda__", "config": {"code": code, "defaults": defaults, "closure": closure}}
    return serialize_keras_object(function)


def _deserialize(name: str, value, custom_objects, safe_mode: bool):
    if isinstance(value, dict) and value.get("class_name") == "__lambda__":
        if safe_mode:
            raise ValueError(
                f"[Lambda] expected {name} to be a named function, received a Python lambda: loading it would run code "
                "from the file. If you trust the source, pass safe_mode=False to the loading function"
            )
        inner = value["config"]
        return func_load(inner["code"], defaults=inner["defaults"], closure=inner["closure"])
    if isinstance(value, dict):
        return deserialize_keras_object(value, custom_objects=custom_objects, safe_mode=safe_mode)
    return value
