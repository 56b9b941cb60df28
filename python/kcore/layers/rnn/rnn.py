"""RNN: runs a cell over time."""

from __future__ import annotations

from typing import Any

from kcore import ops, tree
from kcore.autograd import Variable
from kcore.layers.layer import Layer
from kcore.layers.options import BuiltinLayer
from kcore.layers.rnn.dropout_cell import DropoutRNNCell
from kcore.layers.rnn.scan import scan
from kcore.layers.rnn.stacked_rnn_cells import StackedRNNCells, initial_state_of
from kcore.saving.serialization import deserialize_keras_object, serialize_keras_object


class RNN(BuiltinLayer):
    """Runs a cell over the steps of a sequence.

    Args:
        cell: has `call(inputs, states) -> (output, new_states)` and `state_size` (an integer or a list of them); may have
            `output_size` and `get_initial_state(batch_size)`. A list of cells is stacked.
        return_sequences: whether every step's output is returned, or only the last.
        return_state: whether the last states are returned too.
        go_backwards: from the last step to the first; the outputs come in that order.
        stateful: whether a batch starts with the states the batch before it ended with. Needs a fixed batch size.
        unroll: accepted; there is nothing to unroll.
        zero_output_for_mask: whether masked steps put out zeros instead of the output before them.

    Call arguments: `sequences (batch, time, features...)`, `initial_state` (a list of tensors), `mask (batch, time)` bool,
    `training`. Output shape: `(batch, units)`, or `(batch, time, units)`; with states, a tuple of it and them.

    >>> import numpy as np
    >>> from kcore.layers import LSTMCell
    >>> RNN(LSTMCell(3), return_sequences=True)(np.ones((2, 5, 4), "float32")).shape
    (2, 5, 3)
    """

    OPTIONS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        zero_output_for_mask=False,
        **kwargs,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(list(cell))
        for name in ("call", "state_size"):
            if not hasattr(cell, name):
                raise ValueError(f"[{type(self).__name__}] expected a cell with {name}, received {cell!r}")
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self.supports_masking = True
        self.input_spec = None
        sizes = cell.state_size
        self.state_size = [sizes] if isinstance(sizes, int) else list(sizes)
        object.__setattr__(self, "states", None)  # state of the data, not of the layer: in no list of weights

    def build(self, sequences_shape, initial_state_shape=None):
        if len(sequences_shape) < 3:
            raise ValueError(
                f"[{type(self).__name__}] expected sequences (batch, time, features...), received shape "
                f"{tuple(sequences_shape)}"
            )
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        if self.stateful:
            if sequences_shape[0] is None:
                raise ValueError(
                    f"[{type(self).__name__}] expected a fixed batch size with stateful=True, received shape "
                    f"{tuple(sequences_shape)}"
                )
            zeros = self.get_initial_state(sequences_shape[0])
            states = tree.map_structure(lambda z: Variable(z, trainable=False, name="rnn_state"), zeros)
            object.__setattr__(self, "states", states)
        self.built = True

    def get_initial_state(self, batch_size):
        """The states before the first step: the cell's own, or zeros."""
        return initial_state_of(self.cell, batch_size, self.compute_dtype)

    def reset_state(self):
        """Sets the states that are carried from batch to batch to zero."""
        if self.states is not None:
            for state in tree.flatten(self.states):
                state.assign(ops.zeros_like(state.value))

    reset_states = reset_state

    def call(self, sequences, initial_state=None, mask=None, training=False):
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        mask = self._check_mask(sequences, mask)
        states = self._first_states(sequences, initial_state)
        self._reset_dropout_masks()
        outputs, states = self.inner_loop(sequences, states, mask, bool(training))
        self._reset_dropout_masks()
        if self.stateful:
            for variable, state in zip(tree.flatten(self.states), tree.flatten(states)):
                variable.assign(state)
        return (outputs, *states) if self.return_state else outputs

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """The outputs (of all steps or of the last, as `return_sequences` says) and the last states."""
        accepts = isinstance(self.cell, Layer) and "training" in _parameters(self.cell.call)
        extra = {"training": training} if accepts else {}

        def step(x, states):
            output, new_states = self.cell(x, states, **extra)
            return output, list(new_states) if isinstance(new_states, (list, tuple)) else [new_states]

        outputs, states = scan(step, sequences, initial_state, mask, self.go_backwards, self.zero_output_for_mask)
        return (ops.stack(outputs, axis=1) if self.return_sequences else outputs[-1]), states

    def _check_mask(self, sequences, mask):
        if len(sequences.shape) < 3 or sequences.shape[1] == 0:
            raise ValueError(
                f"[{type(self).__name__}] expected sequences (batch, time, features...) of at least one step, "
                f"received shape {tuple(sequences.shape)}"
            )
        if mask is None:
            return None
        if tuple(mask.shape) != tuple(sequences.shape[:2]):
            raise ValueError(
                f"[{type(self).__name__}] expected a mask of shape {tuple(sequences.shape[:2])}, received "
                f"{tuple(mask.shape)}"
            )
        return ops.cast(mask, "bool")

    def _first_states(self, sequences, initial_state):
        if initial_state is None:
            if self.stateful:
                return tree.map_structure(ops.convert_to_tensor, self.states)
            return list(self.get_initial_state(sequences.shape[0]))
        given = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        flat, sizes = tree.flatten(given), tree.flatten(self.state_size)
        if len(flat) != len(sizes) or any(
            tuple(s.shape) != (sequences.shape[0], n) for s, n in zip(flat, sizes) if len(s.shape) == 2
        ):
            raise ValueError(
                f"[{type(self).__name__}] expected initial_state of shapes {[(sequences.shape[0], n) for n in sizes]}, "
                f"received {[tuple(s.shape) for s in flat]}"
            )
        return tree.map_structure(lambda s: ops.cast(s, self.compute_dtype), given)

    def _reset_dropout_masks(self) -> None:
        for cell in self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]:
            if isinstance(cell, DropoutRNNCell):
                cell.reset_dropout_mask()
                cell.reset_recurrent_dropout_mask()

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, steps = sequences_shape[:2]
        size = getattr(self.cell, "output_size", None)
        size = tree.flatten(self.state_size)[0] if size is None else size
        size = tuple(size) if isinstance(size, (list, tuple)) else (size,)
        output = (batch, steps, *size) if self.return_sequences else (batch, *size)
        if not self.return_state:
            return output
        return (output, *tree.map_structure(lambda n: (batch, n), list(self.state_size)))

    def compute_mask(self, _, mask=None):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        output = mask if self.return_sequences else None
        return [output] + [None] * len(self.state_size) if self.return_state else output

    def get_config(self):
        config = super().get_config()
        return config if type(self).holds_own_cell else {**config, "cell": serialize_keras_object(self.cell)}

    holds_own_cell = False

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if "cell" in config:
            config["cell"] = deserialize_keras_object(config["cell"], custom_objects=custom_objects)
        return cls(**config)


def _parameters(function) -> Any:
    import inspect

    return inspect.signature(function).parameters
