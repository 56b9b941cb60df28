"""Sequential: a model that is a chain of layers."""

from __future__ import annotations

from typing import Any

from kcore import tree
from kcore.autograd.dtype import is_floating
from kcore.graph import KerasTensor
from kcore.layers.core.input_layer import InputLayer
from kcore.layers.layer import Layer
from kcore.layers.layer.tracking import no_tracking
from kcore.models.copying import reduce_model
from kcore.models.functional import Functional
from kcore.models.model import Model


class Sequential(Model):
    """Layers applied one after the other. Built at once if it begins with an Input, else by its first call.

    Args:
        layers: The layers; `Input(shape)` may be the first.
        trainable: Whether the weights are to be trained.
        name: Automatic if None.

    Example:

    >>> import kcore
    >>> model = Sequential([kcore.Input((4,)), kcore.layers.Dense(2)])
    >>> model.output_shape
    (None, 2)
    """

    _is_recomputed = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Sequential:
        return Layer.__new__(cls, *args, **kwargs)

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None):
        super().__init__(trainable=trainable, name=name)
        self._functional = None
        self._built_by_call = False
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Adds a layer at the end.

        Raises:
            ValueError: not a layer, a name that is taken, or an Input that is not the first.
        """
        if isinstance(layer, KerasTensor) and layer.keras_history is not None:
            origin = layer.keras_history.operation
            layer = origin if isinstance(origin, InputLayer) else layer
        if not isinstance(layer, Layer):
            raise ValueError(f"[Sequential.add] expected a Layer, received {layer!r} of type {type(layer).__name__}")
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(
                f"[Sequential.add] expected layers with unique names, received a second {layer.name!r} (layer "
                f"{self.name!r})"
            )
        if isinstance(layer, InputLayer) and self._layers and isinstance(self._layers[0], InputLayer):
            raise ValueError(
                f"[Sequential.add] expected one Input, received {layer.name!r} where the model begins with "
                f"{self._layers[0].name!r}"
            )
        self._tracker.unlock()
        if not self._layers and layer._input_shape_arg is not None:
            self._tracker.add("layers", InputLayer(batch_shape=layer._input_shape_arg))
        self._tracker.add("layers", layer)
        if rebuild:
            self._rebuild()
        else:
            self._forget_graph()

    def pop(self, rebuild: bool = True) -> Layer:
        """Removes the last layer and returns it."""
        if not self._layers:
            raise ValueError(f"[Sequential.pop] expected a model with layers, {self.name!r} has none")
        layer = self._layers[-1]
        self._tracker.unlock()
        self._tracker.untrack(layer)
        if rebuild:
            self._rebuild()
        else:
            self._forget_graph()
        return layer

    def _forget_graph(self) -> None:
        object.__setattr__(self, "_functional", None)
        self.built = False

    def _rebuild(self) -> None:
        self._forget_graph()
        if len(self._layers) > 1 and isinstance(self._layers[0], InputLayer):
            self.build(self._layers[0].batch_shape)
        elif self._layers and isinstance(self._layers[0], (Functional, Sequential)) and self._layers[0].built:
            shape = self._layers[0].input_shape
            if tree.is_shape(shape):
                self.build(shape)

    def build(self, input_shape: Any = None) -> None:
        """Creates the variables for inputs of a shape (tuple with None for unknown sizes)."""
        if self._functional is not None and self._layers and isinstance(self._layers[0], InputLayer):
            own = self._layers[0].batch_shape
            if input_shape is not None and tuple(input_shape) != own:
                raise ValueError(
                    f"[Sequential.build] model {self.name!r} is built for input shape {own}, received {input_shape}"
                )
        self._build_graph(input_shape)

    @no_tracking
    def _build_graph(self, input_shape: Any) -> None:
        if input_shape is None or not tree.is_shape(input_shape) or not self._layers:
            return
        if not isinstance(self._layers[0], InputLayer):
            first = self._layers[0]
            dtype = first.dtype_policy.array_dtype
            layer = InputLayer(batch_shape=tuple(input_shape), dtype=dtype if is_floating(dtype) else None)
            self._tracker.unlock()
            self._tracker.add("layers", layer)
            self._layers.insert(0, self._layers.pop())
            self._built_by_call = True
        x = inputs = self._layers[0].output
        for layer in self._layers[1:]:
            x = layer(x)
        functional = Functional(inputs, x)
        functional._name = self.name  # what its errors call it
        object.__setattr__(self, "_functional", functional)

    # --- calling -----------------------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        """Applies the layers."""
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask)
        x = inputs  # nested inputs, which no graph was built for
        for layer in self.layers:
            options = (
                {"training": training} if layer._call_signature().accepts("training") and training is not None else {}
            )
            x = layer(x, **options)
        return x

    def compute_output_spec(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        """KerasTensors of the outputs."""
        if self._functional is not None:
            return self._functional.compute_output_spec(inputs, training=training, mask=mask)
        x = inputs
        for layer in self.layers:
            x = layer.compute_output_spec(x)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for that of the inputs."""
        if self._functional is not None:
            return self._functional.compute_output_shape(input_shape)
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """None: the layers inside have set the masks of their outputs."""
        return None

    def _set_output_masks(self, inputs: Any, mask: Any, outputs: Any) -> None:
        pass

    # --- what it is made of ------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers without the input."""
        layers = list(self._layers)
        return layers[1:] if layers and isinstance(layers[0], InputLayer) else layers

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError("`Sequential.layers` is reserved: add layers with `add()`.")

    def _graph(self, what: str) -> Functional:
        if self._functional is None:
            raise AttributeError(
                f"Sequential model {self.name!r} has no defined {what} yet: build it, or call it on data."
            )
        return self._functional

    @property
    def inputs(self) -> list[KerasTensor]:
        """The input, in a list."""
        return self._graph("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The output, in a list."""
        return self._graph("outputs").outputs

    @property
    def input(self) -> Any:
        """The input."""
        return self._graph("input").input

    @property
    def output(self) -> Any:
        """The output."""
        return self._graph("output").output

    @property
    def input_shape(self) -> Any:
        """The shape of the input."""
        return self._graph("input shape").input_shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output."""
        return self._graph("output shape").output_shape

    @property
    def input_dtype(self) -> str:
        """The dtype that float inputs are cast to: that of the InputLayer, if there is one."""
        first = self._layers[0] if self._layers else None
        return first.dtype if isinstance(first, InputLayer) else super().input_dtype

    def _input_array_dtype(self) -> str:
        first = self._layers[0] if self._layers else None
        return first.dtype if isinstance(first, InputLayer) else super()._input_array_dtype()

    # --- configuration -----------------------------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> Any:
        return reduce_model(self)

    def get_config(self) -> dict[str, Any]:
        from kcore.saving import serialize_keras_object  # saving stands above the models

        config = Model.get_config(self)
        config["layers"] = [serialize_keras_object(layer) for layer in self._layers]
        if self._functional is not None:
            config["build_input_shape"] = self._layers[0].batch_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Sequential:
        from kcore.saving import deserialize_keras_object

        model = cls(name=config.get("name"))
        for entry in config["layers"]:
            model.add(deserialize_keras_object(entry, custom_objects=custom_objects), rebuild=False)
        model._rebuild()
        shape = config.get("build_input_shape")
        if model._functional is None and shape and tree.is_shape(shape):
            model.build(tuple(shape))
        if config.get("trainable") is False:
            model.trainable = False
        return model
