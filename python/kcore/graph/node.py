"""Node: one call of an operation in the graph, with the arguments it was called with."""

from __future__ import annotations

from typing import Any, NamedTuple

from kcore import tree
from kcore.graph.keras_tensor import KerasTensor


class KerasHistory(NamedTuple):
    """Where a KerasTensor came from: output `tensor_index` of call `node_index` of `operation`."""

    operation: Any
    node_index: int
    tensor_index: int


class Node:
    """A call `outputs = operation(*args, **kwargs)`; an input layer's node has neither arguments nor parents.

    Making one registers it with the operation and with the operations it depends on, and stamps the outputs' history.
    """

    def __init__(self, operation: Any, call_args: tuple = (), call_kwargs: dict | None = None, outputs: Any = None):
        self.operation = operation
        self.args = call_args
        self.kwargs = call_kwargs or {}
        self.input_tensors = [
            leaf for leaf in tree.flatten((list(call_args), dict(self.kwargs))) if isinstance(leaf, KerasTensor)
        ]
        self.outputs = tree.flatten([] if outputs is None else outputs)
        self.parent_nodes = list(
            {
                id(node): node
                for node in (
                    tensor.keras_history.operation._inbound_nodes[tensor.keras_history.node_index]
                    for tensor in self.input_tensors
                    if tensor.keras_history is not None  # a placeholder that only shapes are wanted of
                )
            }.values()
        )
        index = len(operation._inbound_nodes)
        for tensor_index, tensor in enumerate(self.outputs):
            tensor.keras_history = KerasHistory(operation, index, tensor_index)
        operation._inbound_nodes.append(self)
        for parent in self.parent_nodes:
            parent.operation._outbound_nodes.append(self)

    @property
    def is_input(self) -> bool:
        """True for the node of an input layer."""
        return not self.input_tensors

    @property
    def output_tensors(self) -> list[KerasTensor]:
        """The outputs, flat."""
        return self.outputs

    def fill_in(self, values: dict[int, Any]) -> tuple[tuple, dict]:
        """The arguments with each KerasTensor replaced by `values[id(tensor)]`."""

        def value_of(leaf: Any) -> Any:
            return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        args = self.args
        if len(args) == 1 and isinstance(args[0], KerasTensor):
            args = (values[id(args[0])],)
        else:
            args = tuple(tree.map_structure(value_of, arg) for arg in args)
        return args, {key: tree.map_structure(value_of, value) for key, value in self.kwargs.items()}

    def __repr__(self) -> str:
        return f"<Node operation={self.operation.name}, index={self.operation._inbound_nodes.index(self)}>"
