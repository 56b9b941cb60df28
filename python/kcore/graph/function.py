"""Function: the part of the graph between some inputs and some outputs, put in order and run on values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import tree
from kcore.graph.keras_tensor import KerasTensor
from kcore.graph.node import Node
from kcore.graph.operation import Operation


class Function(Operation):
    """Computes `outputs` from `inputs` (nests of KerasTensors).

    Example:

    >>> import kcore
    >>> x = kcore.Input((3,))
    >>> double = Function(x, x * 2)
    >>> double(kcore.ops.ones((1, 3))).shape
    (1, 3)
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        super().__init__(name=name)
        self._set_graph(inputs, outputs)

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        self._inputs_struct = tree.map_structure(lambda x: x, inputs)
        self._outputs_struct = tree.map_structure(lambda x: x, outputs)
        self._inputs = tree.flatten(inputs)
        self._outputs = tree.flatten(outputs)
        for kind, tensors in (("inputs", self._inputs), ("outputs", self._outputs)):
            if not tensors:
                raise ValueError(f"[{self.name}] expected at least one KerasTensor in `{kind}`, received {tensors}")
            for tensor in tensors:
                if not isinstance(tensor, KerasTensor):
                    raise ValueError(
                        f"[{self.name}] expected all `{kind}` to be KerasTensors, received {tensor!r} of type "
                        f"{type(tensor).__name__}"
                    )
        self._nodes_by_depth, self._operations_by_depth, self._operations = map_graph(self._inputs, self._outputs)
        self._plan = _plan(self._nodes_by_depth, self._inputs, self._outputs)

    @property
    def operations(self) -> list:
        """The operations, inputs first."""
        return list(self._operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The inputs, flat."""
        return self._inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The outputs, flat."""
        return self._outputs

    def call(self, inputs: Any) -> Any:
        """The outputs for values of the inputs, in the structure of `outputs`."""
        tree.assert_same_paths(self._inputs_struct, inputs)
        return self.run(tree.flatten(inputs))

    def run(self, inputs: list, wrap: Callable[[Any], Callable] | None = None) -> Any:
        """Runs every node once.

        Args:
            inputs: Values of the inputs, flat.
            wrap: What to call instead of an operation; given it, returns a function.
        """
        values: dict[int, Any] = {id(tensor): value for tensor, value in zip(self._inputs, inputs)}
        for node, finished in self._plan:
            args, kwargs = node.fill_in(values)
            operation = node.operation if wrap is None else wrap(node.operation)
            results = operation(*args, **kwargs)
            for tensor, value in zip(node.outputs, tree.flatten(results)):
                values[id(tensor)] = value
            for key in finished:
                del values[key]
        return tree.pack_sequence_as(self._outputs_struct, [values[id(tensor)] for tensor in self._outputs])

    def compute_output_spec(self, inputs: Any) -> Any:
        """KerasTensors of the outputs for KerasTensors in place of the inputs."""
        return self.run(tree.flatten(inputs), _spec_of)


def _spec_of(operation: Any) -> Callable:
    return operation.compute_output_spec


def map_graph(
    inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> tuple[dict[int, list[Node]], dict[int, list[Any]], list[Any]]:
    """Nodes and operations by depth (the longest way to an output), and the operations in the order of a model's layers.

    Raises:
        ValueError: an output does not depend on `inputs` alone, or two operations have one name.
    """
    order, rank = _walk(inputs, outputs)
    node_depth: dict[int, int] = {}
    depth_of: dict[int, int] = {}
    for node in reversed(order):
        depth = max(node_depth.get(id(node), 0), depth_of.get(id(node.operation), 0))
        node_depth[id(node)] = depth_of[id(node.operation)] = depth
        for parent in _parents(node, inputs):
            node_depth[id(parent)] = max(node_depth.get(id(parent), 0), depth + 1)
    for tensor in inputs:  # those that no output depends on
        node = _node_of(tensor)
        if id(node.operation) not in depth_of:
            depth_of[id(node.operation)] = node_depth[id(node)] = 0
            rank[id(node.operation)] = -1
            order.append(node)

    nodes_by_depth: dict[int, list[Node]] = {}
    operations_by_depth: dict[int, list[Any]] = {}
    seen: set[int] = set()
    for node in order:
        nodes_by_depth.setdefault(node_depth[id(node)], []).append(node)
        if id(node.operation) not in seen:
            seen.add(id(node.operation))
            operations_by_depth.setdefault(depth_of[id(node.operation)], []).append(node.operation)
    operations = []
    for depth in sorted(operations_by_depth, reverse=True):
        operations_by_depth[depth].sort(key=lambda operation: rank[id(operation)])
        operations.extend(operations_by_depth[depth])
    _check_names(operations)
    return nodes_by_depth, operations_by_depth, operations


def _walk(inputs: list[KerasTensor], outputs: list[KerasTensor]) -> tuple[list[Node], dict[int, int]]:
    """The nodes, parents first, and the rank of each operation: the order in which a walk from the outputs meets them."""
    order: list[Node] = []
    rank: dict[int, int] = {}
    finished: set[int] = set()
    open_nodes: set[int] = set()
    given = {id(tensor) for tensor in inputs}
    for output in outputs:
        stack: list[tuple[Node, bool]] = [(_node_of(output), False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                open_nodes.discard(id(node))
                finished.add(id(node))
                order.append(node)
                continue
            if id(node) in finished:
                continue
            if id(node) in open_nodes:
                raise ValueError(f"[Function] expected a graph without cycles, received one at {node.operation.name!r}")
            rank.setdefault(id(node.operation), len(rank))
            open_nodes.add(id(node))
            stack.append((node, True))
            if node.is_input or all(id(tensor) in given for tensor in node.outputs):
                if not any(id(tensor) in given for tensor in node.outputs):
                    raise ValueError(
                        f"[Function] expected outputs that are computed from `inputs`; output {output.name!r} depends on "
                        f"{node.operation.name!r}, which is not connected to them"
                    )
                continue
            for tensor in reversed(node.input_tensors):
                if tensor.keras_history is None and id(tensor) not in given:
                    raise ValueError(f"[Function] expected tensors made from keras.Input, received {tensor}")
                if tensor.keras_history is not None and id(_node_of(tensor)) not in finished:
                    stack.append((_node_of(tensor), False))
    return order, rank


def _parents(node: Node, inputs: list[KerasTensor]) -> list[Node]:
    given = {id(tensor) for tensor in inputs}
    return [] if all(id(tensor) in given for tensor in node.outputs) else node.parent_nodes


def _node_of(tensor: KerasTensor) -> Node:
    if tensor.keras_history is None:
        raise ValueError(f"[Function] expected tensors made from keras.Input, received {tensor}, which has no history")
    operation, index, _ = tensor.keras_history
    return operation._inbound_nodes[index]


def _check_names(operations: list[Any]) -> None:
    names = [operation.name for operation in operations]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"[Function] expected all operations to have unique names, received more than one {twice}")


def _plan(
    nodes_by_depth: dict[int, list[Node]], inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> list[tuple[Node, list[int]]]:
    """The nodes in running order, each with the values that nobody needs after it."""
    given = {id(tensor) for tensor in inputs}
    nodes = [
        node
        for depth in sorted(nodes_by_depth, reverse=True)
        for node in nodes_by_depth[depth]
        if not node.is_input and not all(id(tensor) in given for tensor in node.outputs)
    ]
    needed = {id(tensor) for tensor in outputs}
    plan: list[tuple[Node, list[int]]] = []
    for node in reversed(nodes):
        finished = list(dict.fromkeys(id(t) for t in node.input_tensors + node.outputs if id(t) not in needed))
        needed.update(finished)
        plan.append((node, finished))
    plan.reverse()
    return plan
