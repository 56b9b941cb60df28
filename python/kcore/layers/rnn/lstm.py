"""LSTM and its cell: long short-term memory."""

from __future__ import annotations

from kcore import initializers, ops, random
from kcore.layers.options import add_weight, positive_int
from kcore.layers.rnn.cell_options import Cell, CellRNN, cell_arguments, is_named
from kcore.layers.rnn.dropout_cell import masked
from kcore.ops import rnn as recurrent

_REST = ("kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "seed")


class LSTMCell(Cell):
    """One step of an LSTM (Hochreiter and Schmidhuber, 1997), gates in the order input, forget, cell, output.

    `i, f, o = recurrent_activation(x @ kernel + h @ recurrent_kernel + bias)`, `g` likewise with `activation`;
    `c = f * c + i * g`; `h = o * activation(c)`.

    Args:
        units: size of output and of both states.
        activation, recurrent_activation: as in the formulas.
        use_bias: whether there is a bias.
        unit_forget_bias: whether the forget gate's bias starts at 1 (Jozefowicz et al., 2015).
        kernel_..., recurrent_..., bias_...: initializers, regularizers and constraints of the weights.
        dropout, recurrent_dropout: fractions of the inputs and of the state dropped in training, each gate with its
            own mask.
        seed: of the dropout.

    Weights: `kernel (features, 4 * units)`, `recurrent_kernel (units, 4 * units)`, `bias (4 * units,)`. States: `[h, c]`.

    >>> import numpy as np
    >>> cell = LSTMCell(3)
    >>> cell(np.ones((2, 4), "float32"), cell.get_initial_state(2))[0].shape
    (2, 3)
    """

    OPTIONS = ("units", "activation", "recurrent_activation", "use_bias", "unit_forget_bias", "kernel_initializer")
    OPTIONS += ("recurrent_initializer", "bias_initializer", "kernel_regularizer", "recurrent_regularizer")
    OPTIONS += ("bias_regularizer", *_REST)
    dropout_mask_count = 4

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_cell_options(locals(), units=positive_int(self, "units", units))
        self.seed_generator = random.SeedGenerator(seed)
        self.state_size = [units, units]
        self.output_size = units

    def build(self, input_shape):
        units = self.units
        self.kernel = add_weight(self, "kernel", (input_shape[-1], 4 * units))
        self.recurrent_kernel = add_weight(self, "recurrent_kernel", (units, 4 * units), options="recurrent")
        self.bias = None
        if self.use_bias:
            extra = {"initializer": self._forgetful_bias} if self.unit_forget_bias else {}
            self.bias = add_weight(self, "bias", (4 * units,), **extra)
        self.built = True

    def _forgetful_bias(self, shape, dtype=None, **kwargs):
        parts = [(self.bias_initializer, 1), (initializers.get("ones"), 1), (self.bias_initializer, 2)]
        return ops.concatenate([init((n * self.units,), dtype=dtype) for init, n in parts])

    def call(self, inputs, states, training=False):
        h, c = states
        drop = self.get_dropout_mask(inputs) if training else None
        recurrent_drop = self.get_recurrent_dropout_mask(h) if training else None
        gates = ops.add(_product(inputs, self.kernel, drop, 4), _product(h, self.recurrent_kernel, recurrent_drop, 4))
        if self.bias is not None:
            gates = ops.add(gates, self.bias)
        i, f, g, o = ops.split(gates, 4, axis=-1)
        c = ops.add(
            ops.multiply(self.recurrent_activation(f), c),
            ops.multiply(self.recurrent_activation(i), self.activation(g)),
        )
        h = ops.multiply(self.recurrent_activation(o), self.activation(c))
        return h, [h, c]


class LSTM(CellRNN):
    """Long short-term memory over a sequence. See `LSTMCell` for the formulas.

    Args: those of `LSTMCell`, then those of `RNN`, and `activity_regularizer`, a penalty on the output.

    With the standard activations and without recurrent dropout, one op runs all steps.

    Input shape: `(batch, time, features)`. Output shape: `(batch, units)`, or `(batch, time, units)`.

    >>> import numpy as np
    >>> output, h, c = LSTM(3, return_state=True)(np.ones((2, 5, 4), "float32"))
    >>> output.shape, c.shape
    ((2, 3), (2, 3))
    """

    OPTIONS = ("units", "activation", "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer")
    OPTIONS += ("bias_initializer", "unit_forget_bias", "kernel_regularizer", "recurrent_regularizer")
    OPTIONS += ("bias_regularizer", "activity_regularizer", *_REST)

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        use_cudnn="auto",
        **kwargs,
    ):
        values = locals()
        super().__init__(LSTMCell(name="lstm_cell", **cell_arguments(values, self.OPTIONS)), values)
        self.use_cudnn = use_cudnn

    def fused_op(self):
        cell = self.cell
        standard = is_named(cell.activation, "tanh") and is_named(cell.recurrent_activation, "sigmoid")
        return (recurrent.lstm, {}) if standard else None


def _product(x, kernel, masks, gates: int):
    """`x @ kernel`, with each gate's own dropout mask where there are masks."""
    if masks is None:
        return ops.matmul(x, kernel)
    parts = ops.split(kernel, gates, axis=-1)
    return ops.concatenate([ops.matmul(masked(x, m), part) for m, part in zip(masks, parts)], axis=-1)
