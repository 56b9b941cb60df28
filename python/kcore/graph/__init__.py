"""The symbolic graph: what calling layers and ops on placeholders builds, and how it is run.

Receives ops functions and layers called on KerasTensors; hands a Function to the models. Must not import ops, layers or
anything above: an operation knows only that it can be called.
"""

from kcore.graph.function import Function
from kcore.graph.keras_tensor import KerasTensor, any_keras_tensor, is_keras_tensor
from kcore.graph.node import KerasHistory, Node
from kcore.graph.operation import Operation
from kcore.graph.spec import compute_output_spec, symbolic_sizes

__all__ = [
    "Function",
    "KerasHistory",
    "KerasTensor",
    "Node",
    "Operation",
    "any_keras_tensor",
    "compute_output_spec",
    "is_keras_tensor",
    "symbolic_sizes",
]
