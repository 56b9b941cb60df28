"""SimpleRNN and its cell: the output is fed back."""

from __future__ import annotations

from kcore import ops, random
from kcore.layers.options import add_weight, positive_int
from kcore.layers.rnn.cell_options import Cell, CellRNN, cell_arguments, is_named
from kcore.layers.rnn.dropout_cell import masked
from kcore.ops import rnn as recurrent

_OPTIONS = ("units", "activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer")
_OPTIONS += ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer")
_CONSTRAINTS = ("kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout")


class SimpleRNNCell(Cell):
    """One step: `h = activation(x @ kernel + bias + h @ recurrent_kernel)`.

    Args:
        units: size of output and state.
        activation: name or function.
        use_bias: whether there is a bias.
        kernel_..., recurrent_..., bias_...: initializers, regularizers and constraints of the weights.
        dropout, recurrent_dropout: fractions of the inputs and of the state dropped in training.
        seed: of the dropout.

    Weights: `kernel (features, units)`, `recurrent_kernel (units, units)`, `bias (units,)`.

    >>> import numpy as np
    >>> cell = SimpleRNNCell(3)
    >>> cell(np.ones((2, 4), "float32"), cell.get_initial_state(2))[0].shape
    (2, 3)
    """

    OPTIONS = _OPTIONS + _CONSTRAINTS + ("seed",)

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
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
        self.state_size = units
        self.output_size = units

    def build(self, input_shape):
        self.kernel = add_weight(self, "kernel", (input_shape[-1], self.units))
        self.recurrent_kernel = add_weight(self, "recurrent_kernel", (self.units, self.units), options="recurrent")
        self.bias = add_weight(self, "bias", (self.units,)) if self.use_bias else None
        self.built = True

    def call(self, sequence, states, training=False):
        before = states[0] if isinstance(states, (list, tuple)) else states
        if training:
            sequence = masked(sequence, self.get_dropout_mask(sequence))
            h = ops.matmul(masked(before, self.get_recurrent_dropout_mask(before)), self.recurrent_kernel)
        else:
            h = ops.matmul(before, self.recurrent_kernel)
        x = ops.matmul(sequence, self.kernel)
        output = ops.add(x if self.bias is None else ops.add(x, self.bias), h)
        if self.activation is not None:
            output = self.activation(output)
        return output, ([output] if isinstance(states, (list, tuple)) else output)


class SimpleRNN(CellRNN):
    """A fully connected RNN: `h = activation(x @ kernel + bias + h @ recurrent_kernel)` for every step.

    Args: those of `SimpleRNNCell`, then those of `RNN`, and `activity_regularizer`, a penalty on the output.

    Input shape: `(batch, time, features)`. Output shape: `(batch, units)`, or `(batch, time, units)`.

    >>> import numpy as np
    >>> SimpleRNN(3)(np.ones((2, 5, 4), "float32")).shape
    (2, 3)
    """

    OPTIONS = _OPTIONS + ("activity_regularizer",) + _CONSTRAINTS

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        seed=None,
        **kwargs,
    ):
        values = locals()
        super().__init__(SimpleRNNCell(name="simple_rnn_cell", **cell_arguments(values, self.OPTIONS)), values)

    def fused_op(self):
        activation = self.cell.activation
        name = getattr(activation, "__name__", None)
        if activation is not None and not (name in ("tanh", "relu") and is_named(activation, name)):
            return None
        return recurrent.simple_rnn, {"activation": name or "linear"}
