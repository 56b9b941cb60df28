"""The graph of a Functional model as a config, in the form Keras 3 writes, and back; reads Keras 2's form as well."""

from __future__ import annotations

from typing import Any

from kcore import tree
from kcore.graph import KerasTensor, Node


def graph_config(model: Any) -> dict[str, Any]:
    """Layers with their calls, and the ends of the graph: `layers`, `input_layers`, `output_layers`."""
    from kcore.saving import serialize_keras_object  # saving stands above the models

    kept = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    index_of = {  # calls that belong to other models are left out, so the others move up
        id(node): index
        for operation in model.operations
        for index, node in enumerate(node for node in operation._inbound_nodes if id(node) in kept)
    }

    def history(tensor: KerasTensor) -> list:
        operation, node_index, tensor_index = tensor.keras_history
        return [operation.name, index_of[id(operation._inbound_nodes[node_index])], tensor_index]

    def reference(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return leaf
        config = {"shape": leaf.shape, "dtype": leaf.dtype, "keras_history": history(leaf)}
        return {"class_name": "__keras_tensor__", "config": config}

    def node_config(node: Node) -> dict[str, Any]:
        args = tuple(tree.map_structure(reference, arg) for arg in node.args)
        kwargs = {key: tree.map_structure(reference, value) for key, value in node.kwargs.items()}
        return {"args": serialize_keras_object(args), "kwargs": serialize_keras_object(kwargs)}

    layers = []
    for operation in model.operations:
        config = dict(serialize_keras_object(operation))
        config["name"] = operation.name
        config["inbound_nodes"] = [
            node_config(node) for node in operation._inbound_nodes if id(node) in kept and not node.is_input
        ]
        layers.append(config)

    def end(tensor: KerasTensor) -> list:
        name, node_index, tensor_index = history(tensor)
        return [name, node_index + _first_node(tensor.keras_history.operation), tensor_index]

    return {
        "layers": layers,
        "input_layers": tree.map_structure(end, model._inputs_struct),
        "output_layers": tree.map_structure(end, model._outputs_struct),
    }


def _first_node(operation: Any) -> int:
    # In the ends of a graph, but not inside it, Keras counts the calls of a nested Functional model from 1.
    from kcore.models.functional import Functional

    return 1 if isinstance(operation, Functional) else 0


def graph_from_config(config: dict[str, Any], custom_objects: Any = None) -> tuple[Any, Any]:
    """The inputs and outputs that graph_config described, with new layers between them.

    Raises:
        ValueError: the config names a layer that is not there, or its calls cannot be put in order.
    """
    from kcore.saving import deserialize_keras_object

    operations: dict[str, Any] = {}
    waiting: list[tuple[Any, Any]] = []
    for entry in config["layers"]:
        name = entry.get("name") or entry["config"].get("name")
        operation = deserialize_keras_object(
            {key: value for key, value in entry.items() if key not in ("name", "inbound_nodes")},
            custom_objects=custom_objects,
        )
        if operation.name != name and hasattr(operation, "_name"):
            operation._name = name  # a config without a name gets a new one; the graph knows the old one
        operations[name] = operation
        waiting.extend((operation, node) for node in entry.get("inbound_nodes", ()))

    while waiting:  # a call can be made once its inputs are there
        again = []
        for operation, node in waiting:
            try:
                args, kwargs = _arguments(node, operations)
                if getattr(operation, "function_name", None) == "get_item":  # JSON made a list of x[:, 1]
                    args = tuple(tuple(arg) if isinstance(arg, list) else arg for arg in args)
            except _NotYet:
                again.append((operation, node))
                continue
            operation(*args, **kwargs)
        if len(again) == len(waiting):
            names = sorted({operation.name for operation, _ in again})
            raise ValueError(
                f"[from_config] expected a graph, received calls of {names} whose inputs are never computed"
            )
        waiting = again

    def tensors(ends: Any) -> Any:
        return _map_histories(ends, lambda entry: _tensor(entry, operations, is_end=True))

    return tensors(config["input_layers"]), tensors(config["output_layers"])


class _NotYet(Exception):
    """An input of the call is not computed yet."""


def _arguments(node: Any, operations: dict[str, Any]) -> tuple[tuple, dict]:
    from kcore.saving import deserialize_keras_object

    if isinstance(node, list):  # Keras 2: a list of [layer, node, tensor, kwargs]
        tensors = [_tensor(entry, operations) for entry in node]
        kwargs = node[0][3] if node and len(node[0]) > 3 else {}
        return (tensors[0] if len(tensors) == 1 else tensors,), dict(kwargs)

    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                return _tensor(value["config"]["keras_history"], operations)
            if "class_name" in value:
                return deserialize_keras_object(value)
            return {key: restore(child) for key, child in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([restore(child) for child in value])
        return value

    return tuple(restore(arg) for arg in node["args"]), {key: restore(value) for key, value in node["kwargs"].items()}


def _tensor(history: Any, operations: dict[str, Any], is_end: bool = False) -> KerasTensor:
    name, node_index, tensor_index = history[:3]
    if name not in operations:
        raise ValueError(f"[from_config] expected a layer named {name!r}, received {sorted(operations)}")
    nodes = operations[name]._inbound_nodes
    if is_end:
        node_index -= _first_node(operations[name])
    if node_index >= len(nodes):
        raise _NotYet
    return nodes[node_index].outputs[tensor_index]


def _map_histories(ends: Any, function: Any) -> Any:
    if isinstance(ends, dict):
        return {key: _map_histories(value, function) for key, value in ends.items()}
    if len(ends) == 3 and isinstance(ends[0], str) and isinstance(ends[1], int):
        return function(ends)
    return type(ends)([_map_histories(value, function) for value in ends])
