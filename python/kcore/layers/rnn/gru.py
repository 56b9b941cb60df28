"""GRU and its cell: gated recurrent unit."""

from __future__ import annotations

from kcore import ops, random
from kcore.layers.options import add_weight, positive_int
from kcore.layers.rnn.cell_options import Cell, CellRNN, cell_arguments, is_named
from kcore.layers.rnn.dropout_cell import masked
from kcore.ops import rnn as recurrent

_OPTIONS = ("units", "activation", "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer")
_OPTIONS += ("bias_initializer", "kernel_regularizer", "recurrent_regularizer", "bias_regularizer")
_REST = ("kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "reset_after")
_REST += ("seed",)


class GRUCell(Cell):
    """One step of a GRU (Cho et al., arXiv 1406.1078), gates in the order update, reset, candidate.

    `z, r = recurrent_activation(x @ kernel + h @ recurrent_kernel + bias)`; the candidate is
    `activation(x @ kernel + r * (h @ recurrent_kernel))`, or with `reset_after=False` `activation(x @ kernel + (r *
    h) @ ...)`; `h = z * h + (1 - z) * candidate`.

    Args:
        units: size of output and state.
        activation, recurrent_activation: as in the formulas.
        use_bias: whether there is a bias; with `reset_after` the two products have one each.
        kernel_..., recurrent_..., bias_...: initializers, regularizers and constraints of the weights.
        dropout, recurrent_dropout: fractions of the inputs and of the state dropped in training, each gate with its
            own mask.
        reset_after: whether the reset gate acts after the product, as in cuDNN.
        seed: of the dropout.

    Weights: `kernel (features, 3 * units)`, `recurrent_kernel (units, 3 * units)`, `bias (2, 3 * units)` or `(3 * units,)`.

    >>> import numpy as np
    >>> cell = GRUCell(3)
    >>> cell(np.ones((2, 4), "float32"), cell.get_initial_state(2))[0].shape
    (2, 3)
    """

    OPTIONS = _OPTIONS + _REST
    dropout_mask_count = 3

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
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
        reset_after=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_cell_options(locals(), units=positive_int(self, "units", units))
        self.seed_generator = random.SeedGenerator(seed)
        self.state_size = units
        self.output_size = units

    def build(self, input_shape):
        width = 3 * self.units
        self.kernel = add_weight(self, "kernel", (input_shape[-1], width))
        self.recurrent_kernel = add_weight(self, "recurrent_kernel", (self.units, width), options="recurrent")
        shape = (2, width) if self.reset_after else (width,)
        self.bias = add_weight(self, "bias", shape) if self.use_bias else None
        self.built = True

    def call(self, inputs, states, training=False):
        h = states[0] if isinstance(states, (list, tuple)) else states
        drop = self.get_dropout_mask(inputs) if training else None
        recurrent_drop = self.get_recurrent_dropout_mask(h) if training else None
        drop, recurrent_drop = drop or [None] * 3, recurrent_drop or [None] * 3
        kernels = ops.split(ops.convert_to_tensor(self.kernel), 3, axis=-1)
        recurrent = ops.split(ops.convert_to_tensor(self.recurrent_kernel), 3, axis=-1)
        bias, recurrent_bias = [None] * 3, [None] * 3
        if self.bias is not None:
            both = ops.convert_to_tensor(self.bias)
            bias = ops.split(both[0] if self.reset_after else both, 3, axis=-1)
            recurrent_bias = ops.split(both[1], 3, axis=-1) if self.reset_after else recurrent_bias
        x = [_affine(masked(inputs, m), k, b) for m, k, b in zip(drop, kernels, bias)]  # z, r, candidate
        hs = [masked(h, m) for m in recurrent_drop]
        z = self.recurrent_activation(ops.add(x[0], _affine(hs[0], recurrent[0], recurrent_bias[0])))
        r = self.recurrent_activation(ops.add(x[1], _affine(hs[1], recurrent[1], recurrent_bias[1])))
        if self.reset_after:
            inner = ops.multiply(r, _affine(hs[2], recurrent[2], recurrent_bias[2]))
        else:
            inner = ops.matmul(ops.multiply(r, hs[2]), recurrent[2])
        candidate = self.activation(ops.add(x[2], inner))
        h = ops.add(ops.multiply(z, h), ops.multiply(ops.subtract(1.0, z), candidate))
        return h, ([h] if isinstance(states, (list, tuple)) else h)


class GRU(CellRNN):
    """Gated recurrent unit over a sequence. See `GRUCell` for the formulas.

    Args: those of `GRUCell`, then those of `RNN`, and `activity_regularizer`, a penalty on the output.

    With the standard activations and without recurrent dropout, one op runs all steps.

    Input shape: `(batch, time, features)`. Output shape: `(batch, units)`, or `(batch, time, units)`.

    >>> import numpy as np
    >>> GRU(3, return_sequences=True)(np.ones((2, 5, 4), "float32")).shape
    (2, 5, 3)
    """

    OPTIONS = _OPTIONS + ("activity_regularizer",) + _REST

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
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
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        reset_after=True,
        use_cudnn="auto",
        **kwargs,
    ):
        values = locals()
        super().__init__(GRUCell(name="gru_cell", **cell_arguments(values, self.OPTIONS)), values)
        self.use_cudnn = use_cudnn

    def fused_op(self):
        cell = self.cell
        standard = is_named(cell.activation, "tanh") and is_named(cell.recurrent_activation, "sigmoid")
        return (recurrent.gru, {"reset_after": cell.reset_after}) if standard else None


def _affine(x, kernel, bias):
    y = ops.matmul(x, kernel)
    return y if bias is None else ops.add(y, bias)
