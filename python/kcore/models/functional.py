"""Functional: a model that is the graph between some inputs and some outputs."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

from kcore import tree
from kcore.autograd import convert_to_tensor
from kcore.graph import Function, KerasTensor, Node
from kcore.layers.core.input_layer import InputLayer
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.models.copying import reduce_model
from kcore.models.graph_config import graph_config, graph_from_config
from kcore.models.model import Model
from kcore.models.trainer import Trainer


class Functional(Function, Model):
    """A model made from KerasTensors; what `Model(inputs, outputs)` returns.

    Args:
        inputs: KerasTensor, or a list or dict of them. A tensor inside another model makes a model that begins there.
        outputs: KerasTensor, or a nest of them.
        name: Automatic if None.

    Raises:
        ValueError: an output is not computed from the inputs alone, or two layers have one name.
    """

    _is_recomputed = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Functional:
        return Layer.__new__(cls, *args, **kwargs)

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, **kwargs: Any):
        if inputs is None and outputs is None:  # a subclass of a class that was once made from inputs and outputs
            Layer.__init__(self, name=name, **kwargs)
            Trainer.__init__(self)
            return
        trainable = kwargs.pop("trainable", None)
        if "_losses" not in self.__dict__:
            Layer.__init__(self, name=name, **kwargs)
            Trainer.__init__(self)
        elif name is not None:
            self._name = name
        for tensor in tree.flatten(inputs):
            if not isinstance(tensor, KerasTensor):
                raise ValueError(
                    f"[{type(self).__name__}] expected all `inputs` to be KerasTensors, received {tensor!r} of type "
                    f"{type(tensor).__name__}"
                )
        if not all(_is_input(tensor) for tensor in tree.flatten(inputs)):
            inputs, outputs = clone_graph(inputs, outputs)
        self._take_graph(inputs, outputs)
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        if trainable is not None:
            self.trainable = trainable
        self.built = True
        self._path = self.name

    def _take_graph(self, inputs: Any, outputs: Any) -> None:
        # The graph's own lists of layers and tensors are not attributes to look for state in.
        object.__setattr__(self, "_tracking", False)
        try:
            self._set_graph(inputs, outputs)
        finally:
            object.__setattr__(self, "_tracking", True)
        for layer in self.layers:
            self._tracker.track(layer)

    # --- what it is made of ------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers of the graph, inputs first."""
        if "_operations" not in self.__dict__:
            return Model.layers.fget(self)
        return [operation for operation in self._operations if isinstance(operation, Layer)]

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError("`Model.layers` is reserved: it lists the layers. Use another name for the attribute.")

    @property
    def input(self) -> Any:
        """The inputs as they were given."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The outputs as they were given."""
        return self._outputs_struct

    @property
    def input_shape(self) -> Any:
        """The shapes of the inputs; that of the input if there is one."""
        return _unpack(tree.map_structure(lambda x: x.shape, self._inputs_struct))

    @property
    def output_shape(self) -> Any:
        """The shapes of the outputs; that of the output if there is one."""
        return _unpack(tree.map_structure(lambda x: x.shape, self._outputs_struct))

    @property
    def input_names(self) -> list[str]:
        """The names of the input layers."""
        return [tensor.keras_history.operation.name for tensor in self._inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that the outputs come from."""
        return [tensor.keras_history.operation.name for tensor in self._outputs]

    @property
    def input_spec(self) -> Any:
        """One InputSpec per input."""
        if "_inputs" not in self.__dict__:
            return self.__dict__.get("_own_input_spec")
        specs = [
            InputSpec(
                shape=(None, *tensor.shape[1:]) if tensor.shape else (),
                allow_last_axis_squeeze=True,
                name=name,
                optional=getattr(tensor.keras_history.operation, "optional", False),
            )
            for tensor, name in zip(self._inputs, self._input_keys())
        ]
        return specs

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        object.__setattr__(self, "_own_input_spec", value)

    def _input_keys(self) -> list[str]:
        """What each input is called in a dict of data: its key in a dict of inputs, else its layer's name."""
        if isinstance(self._inputs_struct, dict):
            return [".".join(map(str, path)) for path, _ in tree.flatten_with_path(self._inputs_struct)]
        return [tensor.keras_history.operation.name for tensor in self._inputs]

    # --- calling -----------------------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        """Runs the graph."""
        values = self._standardize(inputs)
        if mask is not None:
            for value, one in zip(values, tree.flatten(mask)):
                if one is not None and value is not None:
                    value.keras_mask = convert_to_tensor(one, "bool")
        return _unpack(self.run(values, _with_training(training)))

    def compute_output_spec(self, inputs: Any, training: bool | None = None, mask: Any = None, **_: Any) -> Any:
        """KerasTensors of the outputs."""
        flat = self._standardize(inputs)
        if all(given.shape == own.shape and given.dtype == own.dtype for given, own in zip(flat, self._inputs)):
            return _unpack(tree.map_structure(lambda x: KerasTensor(x.shape, x.dtype), self._outputs_struct))
        return _unpack(self.run(flat, lambda operation: operation._output_spec))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the outputs for those of the inputs."""
        shapes = tree.map_shape_structure(lambda shape: KerasTensor(shape, "float32"), input_shape)
        flat = [KerasTensor(given.shape, own.dtype) for given, own in zip(tree.flatten(shapes), self._inputs)]
        outputs = self.compute_output_spec(tree.pack_sequence_as(self._inputs_struct, flat))
        return tree.map_structure(lambda x: x.shape, outputs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """None: the layers inside have set the masks of their outputs."""
        return None

    def _set_output_masks(self, inputs: Any, mask: Any, outputs: Any) -> None:
        pass

    def _check_inputs(self, inputs: Any) -> None:
        if "_operations" not in self.__dict__:
            super()._check_inputs(inputs)  # `call` checks the inputs of a graph one by one

    def _maybe_build(self, arguments: dict[str, Any]) -> None:
        if "_operations" not in self.__dict__:
            super()._maybe_build(arguments)

    def _standardize(self, inputs: Any) -> list:
        """The inputs flat, in order, as tensors of the right rank and dtype."""
        flat = self._flatten_inputs(inputs)
        return [self._standardize_one(x, own, key) for x, own, key in zip(flat, self._inputs, self._input_keys())]

    def _flatten_inputs(self, inputs: Any) -> list:
        keys = self._input_keys()
        if isinstance(inputs, dict) and not (isinstance(self._inputs_struct, dict) and _is_deep(self._inputs_struct)):
            missing = [key for key in keys if key not in inputs]
            if missing:
                raise ValueError(
                    f"[{self.name}] expected a dict with keys {keys}, received keys {sorted(map(str, inputs))}; "
                    f"missing {missing}"
                )
            self._warn_of_structure(inputs)
            return [inputs[key] for key in keys]
        flat = tree.flatten(inputs)
        if len(flat) != len(self._inputs):
            raise ValueError(
                f"[{self.name}] expected {len(self._inputs)} input(s) named {keys}, received {len(flat)} input tensors"
            )
        self._warn_of_structure(inputs)
        return flat

    def _warn_of_structure(self, inputs: Any) -> None:
        own = self._inputs_struct
        if isinstance(inputs, dict):
            same = set(inputs) == (set(own) if isinstance(own, dict) else set(self._input_keys()))
        elif isinstance(own, dict):
            same = False
        else:  # a tensor and a list of one tensor mean the same
            same = tree.is_nested(own) == tree.is_nested(inputs) or len(self._inputs) == 1
        if same:
            return
        warnings.warn(
            f"The structure of `inputs` does not match that of model {self.name!r}: expected {_describe(own)}, received "
            f"{_describe(inputs)}",
            stacklevel=5,
        )

    def _standardize_one(self, x: Any, own: KerasTensor, key: str) -> Any:
        if x is None:
            if getattr(own.keras_history.operation, "optional", False):
                return None
            raise ValueError(f"[{self.name}] expected a tensor for input {key!r}, received None")
        if not isinstance(x, KerasTensor):
            x = convert_to_tensor(x)
            converted = convert_to_tensor(x, own.dtype)
            if converted is not x and x.keras_mask is not None:
                converted.keras_mask = x.keras_mask
            x = converted
        expected, shape = own.shape, x.shape
        if len(shape) == len(expected):
            # A batch of another size is welcome: the last one of an epoch is shorter.
            if any(e is not None and s is not None and e != s for e, s in zip(expected[1:], shape[1:])):
                self._wrong_shape(key, expected, shape)
            return x
        if len(shape) == len(expected) + 1 and shape[-1] == 1:
            return _squeeze(x)
        if len(shape) == len(expected) - 1 and expected[-1] == 1:
            return _expand(x)
        return self._wrong_shape(key, expected, shape)

    def _wrong_shape(self, key: str, expected: tuple, shape: tuple) -> None:
        raise ValueError(f"[{self.name}] expected input {key!r} of shape {expected}, received shape {tuple(shape)}")

    # --- configuration -----------------------------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> Any:
        if "_operations" in self.__dict__ and has_functional_constructor(type(self)):
            return reduce_model(self)
        return object.__reduce_ex__(self, protocol)

    def get_build_config(self) -> dict[str, Any]:
        return {"input_shape": None} if "_operations" in self.__dict__ else super().get_build_config()

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        if "_operations" not in self.__dict__:
            super().build_from_config(config)

    def get_config(self) -> dict[str, Any]:
        if "_operations" not in self.__dict__ or not has_functional_constructor(type(self)):
            return Model.get_config(self)
        return {"name": self.name, "trainable": self.trainable, **graph_config(self)}

    get_config.is_default = True


def has_functional_constructor(cls: type) -> bool:
    """Whether a class is made from inputs, outputs and name, as Functional is, and so can be made from a graph's config."""
    if cls is Functional:
        return True
    names = [[p.name for p in list(inspect.signature(c.__init__).parameters.values())[1:]] for c in (cls, Functional)]
    own, base = (set(n) - {"kwargs", "args"} for n in names)
    return (
        own == base
        or (not own and "__init__" in cls.__dict__ and _passes_everything(cls))
        or (cls.__init__ is Functional.__init__)
    )


def _passes_everything(cls: type) -> bool:
    kinds = {p.kind for p in list(inspect.signature(cls.__init__).parameters.values())[1:]}
    return kinds == {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def functional_from_config(cls: type, config: dict[str, Any], custom_objects: Any = None) -> Functional:
    """The model for the config of a graph."""
    inputs, outputs = graph_from_config(config, custom_objects)
    model = cls(inputs, outputs, name=config["name"])
    if config.get("trainable") is False:
        model.trainable = False
    return model


def clone_graph(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """The graph from tensors inside another one, begun with input layers of its own."""
    copies: dict[int, KerasTensor] = {}
    new_inputs = []
    for tensor in tree.flatten(inputs):
        if _is_input(tensor):
            new = tensor
        else:
            new = InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}CLONE").output
        copies[id(tensor)] = new
        new_inputs.append(new)
    function = Function(inputs, outputs)
    for node, _ in function._plan:
        args, kwargs = node.fill_in(copies)
        results = [KerasTensor(tensor.shape, tensor.dtype, name=f"{tensor.name}CLONE") for tensor in node.outputs]
        Node(node.operation, args, kwargs, results)
        copies.update(zip(map(id, node.outputs), results))
    return (
        tree.pack_sequence_as(inputs, new_inputs),
        tree.map_structure(lambda tensor: copies[id(tensor)], outputs),
    )


def _is_input(tensor: Any) -> bool:
    return tensor.keras_history is not None and isinstance(tensor.keras_history.operation, InputLayer)


def _with_training(training: bool | None) -> Callable[[Any], Callable] | None:
    """Calls layers with the `training` that the model was called with, even where the graph was built with another."""
    if training is None:
        return None

    def wrap(operation: Any) -> Callable:
        if not isinstance(operation, Layer) or not operation._call_signature().accepts("training"):
            return operation

        def call(*args: Any, **kwargs: Any) -> Any:
            kwargs["training"] = training
            return operation(*args, **kwargs)

        return call

    return wrap


def _unpack(structure: Any) -> Any:
    """The only item of a list or tuple of one."""
    if isinstance(structure, (list, tuple)) and len(structure) == 1 and not tree.is_shape(structure):
        return structure[0]
    return structure


def _is_deep(structure: dict) -> bool:
    return any(tree.is_nested(value) for value in structure.values())


def _describe(structure: Any) -> Any:
    if isinstance(structure, dict):
        return {key: _describe(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_describe(value) for value in structure]
    return f"a tensor of shape {tuple(structure.shape)}" if hasattr(structure, "shape") else repr(structure)


def _squeeze(x: Any) -> Any:
    from kcore import ops

    return ops.squeeze(x, axis=-1)


def _expand(x: Any) -> Any:
    from kcore import ops

    return ops.expand_dims(x, axis=-1)
