"""Layers: state and a computation.

Receives tensors or placeholders and ops to compute with; hands layers to the models. Must not import optimizers, models or
saving.
"""

from kcore.layers.core.input_layer import Input, InputLayer
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer

__all__ = ["Input", "InputLayer", "InputSpec", "Layer"]
