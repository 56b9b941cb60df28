"""Recurrent layers over whole sequences, fused in C++. Shapes: x (batch, steps, features), states (batch, units).

All follow Keras: the kernels of the gates lie side by side (LSTM i, f, c, o; GRU z, r, h), a masked step repeats the
state before it, and `go_backwards` reads time from its end and returns outputs in the order of processing.

With a leading axis of two before states and weights, both directions run at the same time, the second against the
first: outputs are (batch, steps, 2 units), in the order of time, and the last states (2, batch, units).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore.autograd import GradientTape, Tensor, apply, convert_to_tensor, is_recorded, vjp, vjp_of
from kcore.ops import elementwise as ew
from kcore.ops.matmul import matmul
from kcore.ops.operands import as_tensor
from kcore.ops.shape import concatenate, expand_dims, flip, reshape, split, stack, unstack

ACTIVATIONS = ("tanh", "relu", "sigmoid", "linear")  # of simple_rnn


def _optional(x: Any, dtype: str | None = None) -> Tensor | None:
    return None if x is None else convert_to_tensor(x, dtype=dtype)


def _zero_masked(y: Tensor, inputs: tuple, go_backwards: bool, wanted: bool) -> Tensor:
    mask = inputs[-1]
    if mask is None or not wanted:
        return y
    in_time = len(inputs[1].shape) == 3 or not go_backwards  # of two directions, or forwards
    return ew.where(expand_dims(mask if in_time else flip(mask, axis=1), -1), y, 0.0)


def _without_caches(attrs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attrs.items() if name != "caches"}


def lstm(
    x: Any,
    h0: Any,
    c0: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    mask: Any = None,
    go_backwards: bool = False,
    zero_output_for_mask: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9, 1997) with tanh and sigmoid.

        i, f, o = sigmoid(x W + h R + b);  g = tanh(x W + h R + b);  c = f c + i g;  h = o tanh(c)

    Args:
        x: (batch, steps, features).
        h0: (batch, units), the output before the first step.
        c0: (batch, units), the cell state before the first step.
        kernel: (features, 4 units).
        recurrent_kernel: (units, 4 units).
        bias: (4 units,) or None.
        mask: (batch, steps) bool or None; False repeats the state.
        go_backwards: Whether to read time from its end.
        zero_output_for_mask: Whether outputs of masked steps are zero.

    Returns:
        Outputs (batch, steps, units), the last h and the last c, (batch, units).

    >>> y, h, c = lstm(np.ones((1, 3, 2)), np.zeros((1, 1)), np.zeros((1, 1)), np.ones((2, 4)), np.ones((1, 4)))
    >>> y.shape, h.shape
    ((1, 3, 1), (1, 1))
    """
    inputs = (*map(as_tensor, (x, h0, c0, kernel, recurrent_kernel)), _optional(bias), _optional(mask, "bool"))
    attrs = {"go_backwards": bool(go_backwards), "caches": is_recorded(inputs)}
    y, h, c, _, _ = apply("lstm", inputs, attrs)
    return _zero_masked(y, inputs, go_backwards, zero_output_for_mask), h, c


@vjp("lstm")
def lstm_vjp(node, dy, dh, dc, dgates=None, dcells=None):
    y, _, _, gates, cells = node.outputs
    grads = apply("lstm_grad", (*node.inputs, y, gates, cells, dy, dh, dc), _without_caches(node.attrs))
    return [*grads[:5], grads[5] if node.inputs[5] is not None else None, None]


def gru(
    x: Any,
    h0: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    mask: Any = None,
    reset_after: bool = True,
    go_backwards: bool = False,
    zero_output_for_mask: bool = False,
) -> tuple[Tensor, Tensor]:
    """Gated recurrent unit (Cho et al., https://arxiv.org/abs/1406.1078) with tanh and sigmoid.

        z, r = sigmoid(x W + h R + b);  g = tanh(x W + b + r (h R + b'));  h = z h + (1 - z) g

    or with the reset gate before the product, g = tanh(x W + (r h) R + b), if not `reset_after`.

    Args:
        x: (batch, steps, features).
        h0: (batch, units), the output before the first step.
        kernel: (features, 3 units).
        recurrent_kernel: (units, 3 units).
        bias: (2, 3 units), of the inputs and of the recurrence, if `reset_after`, else (3 units,); or None.
        mask: (batch, steps) bool or None; False repeats the state.
        reset_after: Which form of the cell.
        go_backwards: Whether to read time from its end.
        zero_output_for_mask: Whether outputs of masked steps are zero.

    Returns:
        Outputs (batch, steps, units) and the last h (batch, units).

    >>> y, h = gru(np.ones((1, 3, 2)), np.zeros((1, 1)), np.ones((2, 3)), np.ones((1, 3)))
    >>> y.shape, h.shape
    ((1, 3, 1), (1, 1))
    """
    inputs = (*map(as_tensor, (x, h0, kernel, recurrent_kernel)), _optional(bias), _optional(mask, "bool"))
    attrs = {"reset_after": bool(reset_after), "go_backwards": bool(go_backwards), "caches": is_recorded(inputs)}
    y, h, _, _ = apply("gru", inputs, attrs)
    return _zero_masked(y, inputs, go_backwards, zero_output_for_mask), h


@vjp("gru")
def gru_vjp(node, dy, dh, dgates=None, dinner=None):
    y, _, gates, inner = node.outputs
    grads = apply("gru_grad", (*node.inputs, y, gates, inner, dy, dh), _without_caches(node.attrs))
    return [*grads[:4], grads[4] if node.inputs[4] is not None else None, None]


def simple_rnn(
    x: Any,
    h0: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    mask: Any = None,
    activation: str = "tanh",
    go_backwards: bool = False,
    zero_output_for_mask: bool = False,
) -> tuple[Tensor, Tensor]:
    """The fully connected recurrent network h = activation(x W + h R + b).

    Args:
        x: (batch, steps, features).
        h0: (batch, units), the output before the first step.
        kernel: (features, units).
        recurrent_kernel: (units, units).
        bias: (units,) or None.
        mask: (batch, steps) bool or None; False repeats the state.
        activation: One of `ACTIVATIONS`.
        go_backwards: Whether to read time from its end.
        zero_output_for_mask: Whether outputs of masked steps are zero.

    Returns:
        Outputs (batch, steps, units) and the last h (batch, units).

    >>> simple_rnn([[[1.0], [1.0]]], [[0.0]], [[1.0]], [[2.0]], activation="linear")[0].tolist()
    [[[1.0], [3.0]]]
    """
    inputs = (*map(as_tensor, (x, h0, kernel, recurrent_kernel)), _optional(bias), _optional(mask, "bool"))
    y, h = apply("simple_rnn", inputs, {"activation": activation, "go_backwards": bool(go_backwards)})
    return _zero_masked(y, inputs, go_backwards, zero_output_for_mask), h


@vjp("simple_rnn")
def simple_rnn_vjp(node, dy, dh):
    grads = apply("simple_rnn_grad", (*node.inputs, node.outputs[0], dy, dh), node.attrs)
    return [*grads[:4], grads[4] if node.inputs[4] is not None else None, None]


# --- the same in differentiable ops, step by step: what gradients of the gradients are taken of ---


def _unroll(x: Tensor, states: tuple, mask: Tensor | None, go_backwards: bool, cell: Callable) -> tuple:
    """Outputs (batch, steps, units), then the last states; `cell(x_t, *states) -> states`."""
    times = unstack(x, axis=1)
    masks = [None] * len(times) if mask is None else unstack(expand_dims(mask, -1), axis=1)
    outputs = []
    for x_t, m in list(zip(times, masks))[:: -1 if go_backwards else 1]:
        new = cell(x_t, *states)
        states = new if m is None else tuple(ew.where(m, a, b) for a, b in zip(new, states))
        outputs.append(states[0])
    return (stack(outputs, axis=1), *states)


def _plus(x: Tensor, bias: Tensor | None) -> Tensor:
    return x if bias is None else ew.add(x, bias)


def _lstm_steps(x, h0, c0, kernel, recurrent_kernel, bias, mask, go_backwards=False):
    def cell(x_t, h, c):
        z = _plus(ew.add(matmul(x_t, kernel), matmul(h, recurrent_kernel)), bias)
        i, f, g, o = split(z, 4, axis=-1)
        c = ew.add(ew.multiply(ew.sigmoid(f), c), ew.multiply(ew.sigmoid(i), ew.tanh(g)))
        return ew.multiply(ew.sigmoid(o), ew.tanh(c)), c

    return _unroll(x, (h0, c0), mask, go_backwards, cell)


def _gru_steps(x, h0, kernel, recurrent_kernel, bias, mask, reset_after=True, go_backwards=False):
    bias_x, bias_h = (bias, None) if bias is None or not reset_after else unstack(bias)
    units = h0.shape[1]
    r_zr, r_g = split(recurrent_kernel, [2 * units], axis=-1)

    def cell(x_t, h):
        x_zr, x_g = split(_plus(matmul(x_t, kernel), bias_x), [2 * units], axis=-1)
        if reset_after:
            h_zr, h_g = split(_plus(matmul(h, recurrent_kernel), bias_h), [2 * units], axis=-1)
            z, r = split(ew.sigmoid(ew.add(x_zr, h_zr)), 2, axis=-1)
            g = ew.tanh(ew.add(x_g, ew.multiply(r, h_g)))
        else:
            z, r = split(ew.sigmoid(ew.add(x_zr, matmul(h, r_zr))), 2, axis=-1)
            g = ew.tanh(ew.add(x_g, matmul(ew.multiply(r, h), r_g)))
        return (ew.add(g, ew.multiply(z, ew.subtract(h, g))),)

    return _unroll(x, (h0,), mask, go_backwards, cell)


def _simple_rnn_steps(x, h0, kernel, recurrent_kernel, bias, mask, activation="tanh", go_backwards=False):
    f = {"tanh": ew.tanh, "relu": ew.relu, "sigmoid": ew.sigmoid, "linear": lambda z: z}[activation]

    def cell(x_t, h):
        return (f(_plus(ew.add(matmul(x_t, kernel), matmul(h, recurrent_kernel)), bias)),)

    return _unroll(x, (h0,), mask, go_backwards, cell)


def _directions(steps: Callable, x: Tensor, weights: list, mask: Tensor | None, go_backwards=False, **attrs) -> tuple:
    """`steps` for states and weights of one direction, or of two."""
    if len(weights[0].shape) == 2:
        return steps(x, *weights, mask, go_backwards=go_backwards, **attrs)
    halves = [(None, None) if w is None else unstack(w) for w in weights]
    results = []
    for direction, backwards in enumerate((go_backwards, not go_backwards)):
        y, *states = steps(x, *[h[direction] for h in halves], mask, go_backwards=backwards, **attrs)
        results.append((flip(y, axis=1) if backwards else y, *states))
    ys, *states = zip(*results)
    return (concatenate(ys, axis=-1), *map(stack, states))


def _gradients(steps: Callable, inputs: tuple, mask: Tensor | None, dys: tuple, attrs: dict) -> tuple:
    """The outputs of a *_grad op, differentiable: the gradients of `steps(*inputs, mask, **attrs)` for each direction."""
    inputs = [None if v is None else reshape(v, v.shape) for v in inputs]  # told apart even if one serves as two
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([v for v in inputs if v is not None])
        outputs = _directions(steps, inputs[0], inputs[1:], mask, **attrs)
    pairs = [(y, dy) for y, dy in zip(outputs, dys) if dy is not None]
    given = [v for v in inputs if v is not None]
    grads = iter(
        tape.gradient(
            [y for y, _ in pairs], given, output_gradients=[dy for _, dy in pairs], unconnected_gradients="zero"
        )
    )
    return tuple(None if v is None else next(grads) for v in inputs)


@vjp("lstm_grad")
@vjp_of
def lstm_grad_vjp(x, h0, c0, kernel, recurrent_kernel, bias, mask, y, gates, cells, dy, dh, dc, **attrs):
    return _gradients(_lstm_steps, (x, h0, c0, kernel, recurrent_kernel, bias), mask, (dy, dh, dc), attrs)


@vjp("gru_grad")
@vjp_of
def gru_grad_vjp(x, h0, kernel, recurrent_kernel, bias, mask, y, gates, inner, dy, dh, **attrs):
    return _gradients(_gru_steps, (x, h0, kernel, recurrent_kernel, bias), mask, (dy, dh), attrs)


@vjp("simple_rnn_grad")
@vjp_of
def simple_rnn_grad_vjp(x, h0, kernel, recurrent_kernel, bias, mask, y, dy, dh, **attrs):
    return _gradients(_simple_rnn_steps, (x, h0, kernel, recurrent_kernel, bias), mask, (dy, dh), attrs)
