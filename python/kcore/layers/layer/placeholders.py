"""Placeholders: what a layer does on KerasTensors, which have shapes and no values."""

from __future__ import annotations

from typing import Any

from kcore import tree
from kcore.autograd.variable import autocast as variables_autocast
from kcore.graph import KerasTensor, Node, compute_output_spec
from kcore.layers.layer.building import shapes_for, shapes_of
from kcore.layers.layer.call_signature import tensor_arguments


class Placeholders:
    """The part of Layer that finds the shapes of outputs, and puts calls into the graph of a model."""

    def _call_on_placeholders(self, noted: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        outputs = self._output_spec(*args, **kwargs)
        Node(self, args, noted, outputs)
        return outputs

    def _notes_all_arguments(self, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Whether the graph is to hold the mask and `training` that a call fills in, or only what it was given.

        As in Keras, whose files hold them for calls on one tensor of the layer's own dtype. Other calls fill them in
        again when the model runs, or is read from a file.
        """
        if not self._convert_input_args:
            return True
        if kwargs or len(args) != 1 or not isinstance(args[0], KerasTensor):
            return False
        return args[0].dtype == self._input_array_dtype()

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensors of the outputs for KerasTensor inputs."""
        if getattr(type(self).compute_output_shape, "is_default", False):
            return compute_output_spec(self._call_cast, *args, **kwargs)
        tensors = tensor_arguments(self._call_signature().bind(args, kwargs))
        shapes = {f"{name}_shape": shapes_of(value) for name, value in tensors.items()}
        shape = self.compute_output_shape(**shapes_for(type(self).compute_output_shape, shapes))
        dtype = self._dtype_policy.array_dtype
        return tree.map_shape_structure(lambda s: KerasTensor(s, dtype), shape)

    def _output_spec(self, *args: Any, **kwargs: Any) -> Any:
        def cast(x: Any) -> Any:
            if not isinstance(x, KerasTensor):
                return x
            y = self._cast(x)
            if y is not x:
                y.keras_mask = x.keras_mask
            return y

        if self._convert_input_args:
            args, kwargs = tree.map_structure(cast, (args, kwargs))
        return self.compute_output_spec(*args, **kwargs)

    def _call_cast(self, *args: Any, **kwargs: Any) -> Any:
        if self._convert_input_args:
            args = tuple([self._convert(arg) for arg in args])
            kwargs = {key: self._convert(value) for key, value in kwargs.items()}
        outer = variables_autocast.dtype
        variables_autocast.dtype = self._dtype_policy.autocast_dtype(outer, self.autocast)
        try:
            return self.call(*args, **kwargs)
        finally:
            variables_autocast.dtype = outer

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the outputs (a tuple, or a nest of tuples) for the shapes of the inputs; None stays None.

        Written from `call` by itself; overridden where `call` does what cannot be followed without data.
        """
        layer = self
        if not self.built and not getattr(type(self).build, "is_default", False):
            layer = type(self).from_config(self.get_config())  # shapes are asked for before the variables are wanted
        dtype = self._dtype_policy.array_dtype

        def placeholders(shapes: Any) -> Any:
            return tree.map_shape_structure(lambda shape: KerasTensor(shape, dtype), shapes)

        positional = [placeholders(shape) for shape in args]
        if "input_shape" in kwargs:
            positional.insert(0, placeholders(kwargs.pop("input_shape")))
        named = {key.removesuffix("_shape"): placeholders(shapes) for key, shapes in kwargs.items()}
        layer._maybe_build(layer._call_signature().bind(tuple(positional), named))
        return tree.map_structure(lambda x: x.shape, compute_output_spec(layer._call_cast, *positional, **named))

    compute_output_shape.is_default = True
