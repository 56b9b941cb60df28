"""What SimpleRNN, LSTM and GRU share: options that live in their cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import ops
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, rate_of
from kcore.layers.rnn.dropout_cell import DropoutRNNCell
from kcore.layers.rnn.rnn import RNN


class Cell(BuiltinLayer, DropoutRNNCell):
    """A cell whose first state is its output, `units` wide."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    def set_cell_options(self, values: dict[str, Any], **changed: Any) -> None:
        """`set_options` with the two dropout rates held to [0, 1]."""
        rates = {name: min(1.0, max(0.0, values[name])) for name in ("dropout", "recurrent_dropout")}
        self.set_options(values, **rates, **changed)
        for name, rate in rates.items():
            rate_of(self, rate, name)

    def get_initial_state(self, batch_size=None):
        """Zeros `(batch, units)` for every state."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in sizes]


class CellRNN(RNN):
    """An RNN with a cell of its own kind; the options of the cell are options of the layer."""

    holds_own_cell = True

    def __init__(self, cell: Cell, values: dict[str, Any]):
        taken = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "activity_regularizer")
        super().__init__(cell, **{name: values[name] for name in taken}, **values["kwargs"])
        self.input_spec = InputSpec(ndim=3)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        for name in cls.__dict__.get("OPTIONS", ()):
            if name != "activity_regularizer":
                setattr(cls, name, property(lambda self, name=name: getattr(self.cell, name)))

    def inner_loop(self, sequences, initial_state, mask, training=False):
        found = None if training and self.cell.recurrent_dropout else self.fused_op()
        if found is None:
            return super().inner_loop(sequences, initial_state, mask, training)
        op, options = found
        cell, kernel = self.cell, ops.convert_to_tensor(self.cell.kernel)
        if training and cell.dropout:
            sequences, kernel = self.drop_inputs(sequences, kernel, gates=kernel.shape[1] // cell.units)
        weights = (kernel, cell.recurrent_kernel, cell.bias)
        options = {**options, "go_backwards": self.go_backwards, "zero_output_for_mask": self.zero_output_for_mask}
        outputs, *states = op(sequences, *initial_state, *weights, mask, **options)
        # Time is the second axis, in the order of processing, so the last step is the last output; masked steps repeat
        # the state unless they put out zeros.
        if self.return_sequences:
            return outputs, states
        return (outputs[:, -1] if self.zero_output_for_mask and mask is not None else states[0]), states

    def fused_op(self) -> tuple[Callable, dict[str, Any]] | None:
        """The function of `kcore.ops.rnn` that runs this cell over all steps and its options, or None if none does."""
        raise NotImplementedError

    def drop_inputs(self, sequences, kernel, gates: int):
        """Sequences and kernel with the dropout masks of each gate applied: one wide product instead of one per gate."""
        masks = self.cell.get_dropout_mask(sequences[:, 0])
        masks = masks if isinstance(masks, list) else [masks]
        if gates == 1:
            return ops.multiply(sequences, ops.expand_dims(masks[0], 1)), kernel
        features, width = kernel.shape[0], kernel.shape[1] // gates
        wide = ops.concatenate([ops.multiply(sequences, ops.expand_dims(m, 1)) for m in masks], axis=-1)
        blocks = ops.multiply(
            ops.reshape(kernel, (1, features, gates, width)),
            ops.reshape(ops.eye(gates, dtype=kernel.dtype), (gates, 1, gates, 1)),
        )  # block g is the kernel with all columns but those of gate g set to zero
        return wide, ops.reshape(blocks, (gates * features, gates * width))


def is_named(function, name: str) -> bool:
    """Whether a resolved activation is kcore's own `name`."""
    from kcore import activations

    return function is getattr(activations, name)


def cell_arguments(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """What a layer's constructor passes on to its cell: these options, and how to compute."""
    kwargs = values["kwargs"]
    shared = {"dtype": kwargs.get("dtype"), "trainable": kwargs.get("trainable", True), "seed": values["seed"]}
    return {**{name: values[name] for name in names if name in values and name != "activity_regularizer"}, **shared}
