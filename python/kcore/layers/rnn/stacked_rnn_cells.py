"""StackedRNNCells: several cells as one, each fed by the one before."""

from __future__ import annotations

import inspect

from kcore import ops
from kcore.layers.layer import Layer
from kcore.saving.serialization import deserialize_keras_object, serialize_keras_object


class StackedRNNCells(Layer):
    """One cell made of several.

    Args:
        cells: each has `call` and `state_size`.

    >>> from kcore.layers import GRUCell, LSTMCell
    >>> StackedRNNCells([LSTMCell(3), GRUCell(2)]).state_size
    [[3, 3], 2]
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        for cell in cells:
            for name in ("call", "state_size"):
                if not hasattr(cell, name):
                    raise ValueError(f"[StackedRNNCells] expected cells with {name}, received {cell!r}")
        self.cells = list(cells)

    @property
    def state_size(self):
        """The state sizes of every cell."""
        return [list(c.state_size) if isinstance(c.state_size, (list, tuple)) else c.state_size for c in self.cells]

    @property
    def output_size(self):
        """The output size of the last cell."""
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size=None):
        """The initial states of every cell: a list of lists."""
        return [initial_state_of(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape):
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
                cell.built = True
            size = _output_size(cell)
            input_shape = (input_shape[0], *(size if isinstance(size, (list, tuple)) else (size,)))
        self.built = True

    def call(self, inputs, states, training=False, **kwargs):
        new_states = []
        for cell, state in zip(self.cells, states):
            state = list(state) if isinstance(state, (list, tuple)) else [state]
            extra = {}
            if "training" in inspect.signature(cell.call).parameters:
                extra["training"] = training
            inputs, new = cell(inputs, state, **extra)
            new_states.append(list(new) if isinstance(new, (list, tuple)) else [new])
        return inputs, new_states

    def get_config(self):
        return {**super().get_config(), "cells": [serialize_keras_object(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        cells = [deserialize_keras_object(cell, custom_objects=custom_objects) for cell in config["cells"]]
        return cls(**{**config, "cells": cells})


def _output_size(cell):
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    return cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size


def initial_state_of(cell, batch_size: int, dtype: str) -> list:
    """A cell's own initial states, or zeros `(batch, size)` for every size."""
    if getattr(cell, "get_initial_state", None) is not None:
        states = cell.get_initial_state(batch_size=batch_size)
        return list(states) if isinstance(states, (list, tuple)) else [states]
    sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
    return [ops.zeros((batch_size, size), dtype=dtype) for size in sizes]
