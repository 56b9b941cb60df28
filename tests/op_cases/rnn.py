"""Recurrent ops against a plain float64 loop over time, their gradient ops against complex steps of that loop."""

import math
from dataclasses import replace

import numpy as np

from .case import Case, booleans, normal


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "sigmoid": sigmoid, "linear": lambda x: x}


def unroll(x, states, mask, go_backwards, cell):
    times = range(x.shape[1])[:: -1 if go_backwards else 1]
    outputs = []
    for t in times:
        new = cell(x[:, t], *states)
        if mask is not None:
            new = [np.where(mask[:, t, None], a, b) for a, b in zip(new, states)]
        states = new
        outputs.append(states[0])
    return np.stack(outputs, 1), *states


def both_directions(oracle, x, weights, mask, go_backwards, **attrs):
    """Of two directions: each with its half of states and weights, outputs side by side in the order of time."""
    results = []
    for d, backwards in enumerate((go_backwards, not go_backwards)):
        y, *states = oracle(x, *[None if w is None else w[d] for w in weights], mask, go_backwards=backwards, **attrs)
        results.append((y[:, ::-1] if backwards else y, *states))
    ys, *states = zip(*results)
    return (np.concatenate(ys, -1), *[None if s[0] is None else np.stack(s) for s in states])


def lstm(x, h0, c0, kernel, recurrent_kernel, bias, mask, go_backwards=False, caches=True):
    if kernel.ndim == 3:
        return both_directions(lstm, x, (h0, c0, kernel, recurrent_kernel, bias), mask, go_backwards)

    def cell(x_t, h, c):
        i, f, g, o = np.split(x_t @ kernel + h @ recurrent_kernel + (0 if bias is None else bias), 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    return (*unroll(x, (h0, c0), mask, go_backwards, cell), None, None)


def gru(x, h0, kernel, recurrent_kernel, bias, mask, reset_after=True, go_backwards=False, caches=True):
    if kernel.ndim == 3:
        weights = (h0, kernel, recurrent_kernel, bias)
        return both_directions(gru, x, weights, mask, go_backwards, reset_after=reset_after)
    units = h0.shape[1]
    bias_x, bias_h = (0, 0) if bias is None else bias if reset_after else (bias, 0)

    def cell(x_t, h):
        xs = np.split(x_t @ kernel + bias_x, 3, -1)
        hs = np.split(h @ recurrent_kernel + bias_h, 3, -1)
        z, r = sigmoid(xs[0] + hs[0]), sigmoid(xs[1] + hs[1])
        g = np.tanh(xs[2] + (r * hs[2] if reset_after else (r * h) @ recurrent_kernel[:, 2 * units :]))
        return (z * h + (1 - z) * g,)

    return (*unroll(x, (h0,), mask, go_backwards, cell), None, None)


def simple_rnn(x, h0, kernel, recurrent_kernel, bias, mask, activation="tanh", go_backwards=False):
    if kernel.ndim == 3:
        weights = (h0, kernel, recurrent_kernel, bias)
        return both_directions(simple_rnn, x, weights, mask, go_backwards, activation=activation)

    def cell(x_t, h):
        return (ACTIVATIONS[activation](x_t @ kernel + h @ recurrent_kernel + (0 if bias is None else bias)),)

    return unroll(x, (h0,), mask, go_backwards, cell)


def gradients(forward, inputs, mask, dys, bias_shape, **attrs):
    """The gradient of sum(dy * y) for each input by complex steps, exact to rounding: f'(x) = Im f(x + ih) / h."""
    bias = inputs[-1]
    inputs = [*inputs[:-1], np.zeros(bias_shape) if bias is None else bias]

    def slope(i, entry, h=1e-100):
        moved = list(inputs)
        moved[i] = inputs[i].astype(complex)
        moved[i].flat[entry] += 1j * h
        return sum((y * dy).sum() for y, dy in zip(forward(*moved, mask, **attrs), dys) if dy is not None).imag / h

    return tuple(np.reshape([slope(i, e) for e in range(x.size)], x.shape) for i, x in enumerate(inputs))


def lstm_grad(x, h0, c0, kernel, recurrent_kernel, bias, mask, y, gates, cells, dy, dh, dc, go_backwards=False):
    inputs = (x, h0, c0, kernel, recurrent_kernel, bias)
    return gradients(lstm, inputs, mask, (dy, dh, dc), (kernel.shape[1],), go_backwards=go_backwards)


def gru_grad(
    x, h0, kernel, recurrent_kernel, bias, mask, y, gates, inner, dy, dh, reset_after=True, go_backwards=False
):
    shape = (2, kernel.shape[1]) if reset_after else (kernel.shape[1],)
    attrs = {"reset_after": reset_after, "go_backwards": go_backwards}
    return gradients(gru, (x, h0, kernel, recurrent_kernel, bias), mask, (dy, dh), shape, **attrs)


def simple_rnn_grad(x, h0, kernel, recurrent_kernel, bias, mask, y, dy, dh, activation="tanh", go_backwards=False):
    inputs = (x, h0, kernel, recurrent_kernel, bias)
    attrs = {"activation": activation, "go_backwards": go_backwards}
    return gradients(simple_rnn, inputs, mask, (dy, dh), (kernel.shape[1],), **attrs)


B, T, F, H = 3, 4, 5, 3
X, H0, C0 = normal(B, T, F), normal(B, H, key="h0") / 2, normal(B, H, key="c0") / 2
MASK = booleans(B, T, key=3)


def weights(gates, bias_shape, features=F, units=H):
    scale = 0.5
    return (
        scale * normal(features, gates * units, key="kernel"),
        scale * normal(units, gates * units, key="recurrent"),
        scale * normal(*bias_shape, key="bias"),
    )


LSTM, GRU, GRU1, RNN = weights(4, (4 * H,)), weights(3, (2, 3 * H)), weights(3, (3 * H,)), weights(1, (H,))
# More than one block of the batch (16 rows) and odd sizes, so that the tails of tiles are met.
WIDE_X, WIDE_H, WIDE_C = normal(19, 5, 7), normal(19, 9, key="h"), normal(19, 9, key="c")
WIDE_MASK = booleans(19, 5)
WHY = "sums over features and units, then contractions by the gates, over the steps"


def wide(gates, bias_shape):
    # Smaller, or the states of more units saturate and finite differences lose their accuracy.
    return [w / 2 for w in weights(gates, bias_shape, features=7, units=9)]


# More units than a panel of the packed recurrent kernel holds on any ISA.
MANY_X, MANY_H, MANY_C, MANY_MASK = normal(5, 3, 4), normal(5, 70, key="h"), normal(5, 70, key="c"), booleans(5, 3)


def many(gates, bias_shape):
    return [w / 4 for w in weights(gates, bias_shape, features=4, units=70)]


def pairs(*arrays):
    """Arrays of two directions: the second differs."""
    return [None if a is None else np.stack([a, a[..., ::-1] * 0.9]) for a in arrays]


def direction_cases():
    """Both directions at once, with and without what the gradient needs, and on more than one block of the batch."""
    wide_lstm, wide_gru, wide_gru1, wide_rnn = wide(4, (36,)), wide(3, (2, 27)), wide(3, (27,)), wide(1, (9,))
    lstm_wide = [WIDE_X, *pairs(WIDE_H, WIDE_C, *wide_lstm), WIDE_MASK]
    gru_wide = [WIDE_X, *pairs(WIDE_H, *wide_gru), WIDE_MASK]
    rows = [
        ("lstm", [X, *pairs(H0, C0, *LSTM), MASK], lstm, {}, {"ulps": 16}),
        ("lstm", [X, *pairs(H0, C0, *LSTM[:2], None), None], lstm, {"go_backwards": True}, {"ulps": 16}),
        ("lstm", lstm_wide, lstm, {}, {"ulps": 32, "second": False}),
        ("gru", [X, *pairs(H0, *GRU), MASK], gru, {}, {"ulps": 16}),
        ("gru", [X, *pairs(H0, *GRU1), None], gru, {"reset_after": False, "go_backwards": True}, {"ulps": 16}),
        ("gru", gru_wide, gru, {}, {"ulps": 32, "second": False}),
        ("gru", [WIDE_X, *pairs(WIDE_H, *wide_gru1), None], gru, {"reset_after": False}, {"ulps": 32, "second": False}),
        ("simple_rnn", [X, *pairs(H0, *RNN), MASK], simple_rnn, {}, {"ulps": 16}),
        ("simple_rnn", [WIDE_X, *pairs(WIDE_H, *wide_rnn), None], simple_rnn, {}, {"ulps": 32, "second": False}),
    ]
    return [Case(op, inputs, f, attrs, why=WHY, name="both", **rest) for op, inputs, f, attrs, rest in rows]


def inference_cases():
    """Without caches: nothing to differentiate."""
    rows = [
        ("lstm", [WIDE_X, WIDE_H, WIDE_C, *wide(4, (36,)), WIDE_MASK], lstm, {}),
        ("gru", [WIDE_X, WIDE_H, *wide(3, (2, 27)), WIDE_MASK], gru, {}),
        ("gru", [WIDE_X, WIDE_H, *wide(3, (27,)), WIDE_MASK], gru, {"reset_after": False}),
    ]
    return [
        Case(op, inputs, f, {**attrs, "caches": False}, ulps=32, why=WHY, grad=False, name="inference")
        for op, inputs, f, attrs in rows
    ]


def many_cases():
    rows = [
        ("lstm", [MANY_X, MANY_H, MANY_C, *many(4, (280,)), MANY_MASK], lstm, {}),
        ("gru", [MANY_X, MANY_H, *many(3, (2, 210)), MANY_MASK], gru, {}),
        ("gru", [MANY_X, MANY_H, *many(3, (210,)), MANY_MASK], gru, {"reset_after": False}),
        ("simple_rnn", [MANY_X, MANY_H, *many(1, (70,)), MANY_MASK], simple_rnn, {}),
    ]
    return [Case(op, i, f, a, ulps=64, why=WHY, second=False, name="many") for op, i, f, a in rows]


def lstm_caches(x, h0, c0, kernel, recurrent_kernel, bias, mask, go_backwards=False):
    batch, steps, units = x.shape[0], x.shape[1], h0.shape[1]
    y, gates, cells = (
        np.zeros((batch, steps, units)),
        np.zeros((batch, steps, 4 * units)),
        np.zeros((batch, steps, units)),
    )
    h, c = h0, c0
    for step, t in enumerate(range(steps)[:: -1 if go_backwards else 1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent_kernel + (0 if bias is None else bias), 4, -1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        new_c = f * c + i * g
        keep = np.ones((batch, 1), bool) if mask is None else mask[:, t, None]
        h, c = np.where(keep, o * np.tanh(new_c), h), np.where(keep, new_c, c)
        y[:, step], cells[:, step], gates[:, t] = h, c, np.concatenate([i, f, g, o], -1)
    return y, gates, cells


def gru_caches(x, h0, kernel, recurrent_kernel, bias, mask, reset_after=True, go_backwards=False):
    batch, steps, units = x.shape[0], x.shape[1], h0.shape[1]
    bias_x, bias_h = (0, 0) if bias is None else bias if reset_after else (bias, 0)
    y, gates, inner = (
        np.zeros((batch, steps, units)),
        np.zeros((batch, steps, 3 * units)),
        np.zeros((batch, steps, units)),
    )
    h = h0
    for step, t in enumerate(range(steps)[:: -1 if go_backwards else 1]):
        xs = np.split(x[:, t] @ kernel + bias_x, 3, -1)
        hs = np.split(h @ recurrent_kernel + bias_h, 3, -1)
        z, r = sigmoid(xs[0] + hs[0]), sigmoid(xs[1] + hs[1])
        part = hs[2] if reset_after else r * h
        g = np.tanh(xs[2] + (r * part if reset_after else part @ recurrent_kernel[:, 2 * units :]))
        keep = np.ones((batch, 1), bool) if mask is None else mask[:, t, None]
        h = np.where(keep, z * h + (1 - z) * g, h)
        y[:, step], gates[:, t], inner[:, t] = h, np.concatenate([z, r, g], -1), np.where(keep, part, 0)
    return y, gates, inner


def flops(first, passes):
    """Of the products: two for each row, step and weight of the two kernels, in the forward pass and each gradient."""
    return lambda xs, ys, attrs: (
        2.0 * passes * math.prod(xs[0].shape[:2]) * sum(math.prod(w.shape) for w in xs[first : first + 2])
    )


FLOPS = {
    "lstm": flops(3, 1),
    "lstm_grad": flops(3, 2),
    **{op: flops(2, 1) for op in ("gru", "simple_rnn")},
    **{op: flops(2, 2) for op in ("gru_grad", "simple_rnn_grad")},
}


def grad_case(op, oracle, inputs, cached, dys, attrs, name):
    # Its own gradient is taken of the unrolled formula, which recomputes what is cached: the second gradient of the
    # forward op is what tests it.
    return Case(
        op,
        [*inputs, *cached, *dys],
        oracle,
        attrs,
        ulps=64,
        why=WHY,
        flops=FLOPS[op],
        grad=False,
        name=name,
    )


DY, DH, DC = normal(B, T, H, key="dy"), normal(B, H, key="dh"), normal(B, H, key="dc")

CASES = [
    Case("lstm", [X, H0, C0, *LSTM, None], lstm, ulps=16, why=WHY, flops=FLOPS["lstm"], name="plain"),
    Case("lstm", [X, H0, C0, *LSTM, MASK], lstm, {"go_backwards": True}, ulps=16, why=WHY, name="masked-backwards"),
    Case("lstm", [X, H0, C0, *LSTM[:2], None, MASK], lstm, {"go_backwards": False}, ulps=16, why=WHY, name="no-bias"),
    Case(
        "lstm", [WIDE_X, WIDE_H, WIDE_C, *wide(4, (36,)), WIDE_MASK], lstm, ulps=32, why=WHY, second=False, name="wide"
    ),
    Case("gru", [X, H0, *GRU, None], gru, ulps=16, why=WHY, flops=FLOPS["gru"], name="plain"),
    Case("gru", [X, H0, *GRU, MASK], gru, {"reset_after": True, "go_backwards": True}, ulps=16, why=WHY, name="masked"),
    Case(
        "gru", [X, H0, *GRU1, MASK], gru, {"reset_after": False, "go_backwards": True}, ulps=16, why=WHY, name="before"
    ),
    Case("gru", [X, H0, *GRU[:2], None, None], gru, {"reset_after": False}, ulps=16, why=WHY, name="no-bias"),
    Case("gru", [X, H0, *GRU[:2], None, MASK], gru, {"reset_after": True}, ulps=16, why=WHY, name="no-bias"),
    Case("gru", [WIDE_X, WIDE_H, *wide(3, (2, 27)), WIDE_MASK], gru, ulps=32, why=WHY, second=False, name="wide"),
    Case(
        "gru",
        [WIDE_X, WIDE_H, *wide(3, (27,)), WIDE_MASK],
        gru,
        {"reset_after": False},
        ulps=32,
        why=WHY,
        second=False,
        name="wide-before",
    ),
    Case("simple_rnn", [X, H0, *RNN, MASK], simple_rnn, {"activation": "tanh", "go_backwards": True}, ulps=16, why=WHY),
    Case(
        "simple_rnn",
        [X, H0, *RNN, None],
        simple_rnn,
        {"activation": "sigmoid"},
        ulps=16,
        why=WHY,
        flops=FLOPS["simple_rnn"],
        name="sigmoid",
    ),
    Case("simple_rnn", [X, H0, *RNN, MASK], simple_rnn, {"activation": "linear"}, ulps=16, why=WHY, name="linear"),
    Case(
        "simple_rnn", [X, H0, *RNN[:2], None, None], simple_rnn, {"activation": "relu"}, ulps=16, why=WHY, name="relu"
    ),
    Case(
        "simple_rnn",
        [WIDE_X, WIDE_H, *wide(1, (9,)), WIDE_MASK],
        simple_rnn,
        ulps=32,
        why=WHY,
        second=False,
        name="wide",
    ),
    grad_case(
        "lstm_grad",
        lstm_grad,
        [X, H0, C0, *LSTM, MASK],
        lstm_caches(X, H0, C0, *LSTM, MASK, go_backwards=True),
        [DY, DH, DC],
        {"go_backwards": True},
        "all",
    ),
    grad_case(
        "lstm_grad",
        lstm_grad,
        [X, H0, C0, *LSTM[:2], None, None],
        lstm_caches(X, H0, C0, *LSTM[:2], None, None),
        [None, DH, None],
        {},
        "last-h",
    ),
    grad_case("gru_grad", gru_grad, [X, H0, *GRU, MASK], gru_caches(X, H0, *GRU, MASK), [DY, DH], {}, "after"),
    grad_case(
        "gru_grad",
        gru_grad,
        [X, H0, *GRU1, MASK],
        gru_caches(X, H0, *GRU1, MASK, reset_after=False, go_backwards=True),
        [DY, None],
        {"reset_after": False, "go_backwards": True},
        "before",
    ),
    grad_case(
        "simple_rnn_grad",
        simple_rnn_grad,
        [X, H0, *RNN, MASK],
        [simple_rnn(X, H0, *RNN, MASK)[0]],
        [DY, DH],
        {},
        "tanh",
    ),
    *direction_cases(),
    *inference_cases(),
    *many_cases(),
]
# Of bfloat16, a step multiplies the state as it is rounded to bfloat16, and so the gradients of gates.
CASES = [replace(case, cached=4) for case in CASES]
