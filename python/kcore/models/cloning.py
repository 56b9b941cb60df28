"""clone_model: the same architecture with new layers and new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import tree
from kcore.graph import KerasTensor
from kcore.layers.core.input_layer import Input, InputLayer
from kcore.layers.layer import Layer
from kcore.models.functional import Functional
from kcore.models.model import Model
from kcore.models.sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Model:
    """A model like `model` with layers of its own; weights are initialized anew.

    Args:
        model: Functional or Sequential; others must have a `get_config`.
        input_tensors: KerasTensors to build it on, in the structure of the model's inputs; new ones if None.
        clone_function: Makes the new layer from the old one, by default from its config.
        call_function: Called as `call_function(layer, *args, **kwargs)` in place of the layer, for Functional models.
        recursive: Whether nested models are cloned with the same functions.

    Example:

    >>> import kcore
    >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(3)])
    >>> clone_model(model).output_shape
    (None, 3)
    """
    if kwargs:
        raise ValueError(f"[clone_model] expected known arguments, received {sorted(kwargs)}")
    if recursive and clone_function is None:
        raise ValueError("[clone_model] expected a clone_function with recursive=True")

    def clone(layer: Layer) -> Layer:
        if recursive and isinstance(layer, (Functional, Sequential)):
            return clone_model(layer, clone_function=clone_function, call_function=call_function, recursive=True)
        return (clone_function or _from_config)(layer)

    if isinstance(model, Sequential):
        return _clone_sequential(model, input_tensors, clone, call_function)
    if isinstance(model, Functional) and "_operations" in model.__dict__:
        return _clone_functional(model, input_tensors, clone, call_function)
    if clone_function is not None or input_tensors is not None or call_function is not None:
        raise ValueError(
            f"[clone_model] expected no other arguments for a subclassed model, received some for {model!r}"
        )
    return type(model).from_config(model.get_config())


def _from_config(layer: Layer) -> Layer:
    return type(layer).from_config(layer.get_config())


def _clone_sequential(model: Sequential, input_tensors: Any, clone: Callable, call_function: Any) -> Sequential:
    if call_function is not None:
        raise ValueError("[clone_model] expected call_function=None for a Sequential model")
    layers: list[Any] = [clone(layer) for layer in model.layers]
    if input_tensors is not None:
        tensors = tree.flatten(input_tensors)
        if len(tensors) != 1 or not isinstance(tensors[0], KerasTensor):
            raise ValueError(f"[clone_model] expected one KerasTensor in input_tensors, received {input_tensors}")
        layers.insert(0, tensors[0])
    elif model._layers and isinstance(model._layers[0], InputLayer):
        first = model._layers[0]
        layers.insert(0, Input(batch_shape=first.batch_shape, dtype=first.dtype, name=first.name))
    return Sequential(layers, name=model.name, trainable=model.trainable)


def _clone_functional(model: Functional, input_tensors: Any, clone: Callable, call_function: Any) -> Functional:
    if input_tensors is None:
        inputs = tree.map_structure(
            lambda x: Input(batch_shape=x.shape, dtype=x.dtype, name=x.keras_history.operation.name), model.input
        )
    else:
        tensors = tree.flatten(input_tensors)
        if len(tensors) != len(model.inputs) or not all(isinstance(x, KerasTensor) for x in tensors):
            raise ValueError(
                f"[clone_model] expected {len(model.inputs)} KerasTensors in input_tensors, received {input_tensors}"
            )
        inputs = tree.pack_sequence_as(model.input, tensors)
    clones: dict[int, Any] = {}

    def wrap(operation: Any) -> Callable:
        if id(operation) not in clones:
            is_layer = isinstance(operation, Layer)
            clones[id(operation)] = clone(operation) if is_layer else _from_config(operation)
        copy = clones[id(operation)]
        if call_function is None or not isinstance(copy, Layer):
            return copy
        return lambda *args, **kwargs: call_function(copy, *args, **kwargs)

    outputs = model.run(tree.flatten(inputs), wrap)
    return Functional(inputs, outputs, name=model.name, trainable=model.trainable)
