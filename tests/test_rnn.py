"""Recurrent ops: what bad arguments get, masked outputs, and gradients where one tensor serves as two inputs."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.autograd import apply, is_recorded
from kcore.ops import rnn

rng = np.random.default_rng(0)
X, H = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5))
KERNEL, RECURRENT, BIAS = rng.normal(size=(4, 20)), rng.normal(size=(5, 20)), rng.normal(size=20)
MASK = np.array([[True, False, True], [False, False, False]])


def lstm(x=X, h0=H, c0=H, kernel=KERNEL, recurrent_kernel=RECURRENT, bias=BIAS, mask=None, **options):
    return rnn.lstm(x, h0, c0, kernel, recurrent_kernel, bias, mask, **options)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: lstm(x=X[0]), r"\[lstm\] expected x with 3 dimensions, received shape \(3, 4\)"),
        (lambda: lstm(x=X[:, :0]), r"\[lstm\] expected x \(batch, steps, features\) of one step or more"),
        (lambda: lstm(h0=H[:1]), r"\[lstm\] expected h0 of shape \(2, 5\), received \(1, 5\)"),
        (lambda: lstm(c0=H[:, :4]), r"\[lstm\] expected c0 of shape \(2, 5\), received \(2, 4\)"),
        (lambda: lstm(kernel=KERNEL[:3]), r"\[lstm\] expected kernel of shape \(4, 20\), received \(3, 20\)"),
        (lambda: lstm(recurrent_kernel=RECURRENT[:, :15]), r"\[lstm\] expected recurrent_kernel of shape \(5, 20\)"),
        (lambda: lstm(bias=BIAS[:5]), r"\[lstm\] expected bias of shape \(20,\), received \(5,\)"),
        (lambda: lstm(mask=MASK[:, :2]), r"\[lstm\] expected mask of shape \(2, 3\), received \(2, 2\)"),
        (
            lambda: rnn.gru(X, H, KERNEL[:, :15], RECURRENT[:, :15], BIAS[:15]),
            r"\[gru\] expected bias of shape \(2, 15\), received \(15,\)",
        ),
        (
            lambda: rnn.simple_rnn(X, H, KERNEL[:, :5], RECURRENT[:, :5], activation="gelu"),
            r"\[simple_rnn\] expected activation tanh, relu, sigmoid or linear, received \"gelu\"",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda k: lstm(h0=H, kernel=k),
            r"\[lstm\] expected recurrent_kernel with 3 dimensions, received shape \(5, 20\)",
        ),
        (
            lambda k: lstm(kernel=k, recurrent_kernel=np.stack([RECURRENT] * 2)),
            r"\[lstm\] expected h0 of shape \(2, 2, 5\), received \(2, 5\)",
        ),
        (lambda k: lstm(kernel=k[:1]), r"\[lstm\] expected kernel of shape \(4, 20\), received \(1, 4, 20\)"),
    ],
)
def test_bad_directions(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.stack([KERNEL] * 2))


def test_what_the_gradient_needs_is_kept_only_for_it():
    def caches(watched):
        with kcore.GradientTape() as tape:
            if watched:
                tape.watch(x)
            attrs = {"caches": is_recorded([x])}
            return [y.shape for y in apply("lstm", [x, *rest, None], attrs)[3:]]

    x, *rest = map(ops.convert_to_tensor, (X, H, H, KERNEL, RECURRENT, BIAS))
    assert caches(watched=False) == [(0,), (0,)]
    assert caches(watched=True) == [(2, 3, 20), (2, 3, 5)]
    assert not is_recorded([x])


def test_dtypes_must_agree():
    with pytest.raises(TypeError, match=r"\[lstm\] expected h0 of dtype float64, received float32"):
        lstm(h0=H.astype("float32"))


def test_masked_outputs():
    y, h, _ = lstm(mask=MASK)
    y, h = np.asarray(y), np.asarray(h)
    np.testing.assert_array_equal(y[0, 1], y[0, 0])
    np.testing.assert_array_equal(y[1], np.broadcast_to(H[1], (3, 5)))  # never a step: the initial state
    np.testing.assert_array_equal(h, y[:, -1])
    zeroed = np.asarray(lstm(mask=MASK, zero_output_for_mask=True)[0])
    np.testing.assert_array_equal(zeroed, np.where(MASK[..., None], y, 0))
    backwards, forwards = lstm(mask=MASK, go_backwards=True), lstm(x=X[:, ::-1], mask=MASK[:, ::-1])
    for a, b in zip(backwards, forwards):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_one_tensor_as_both_states():
    def gradient(state):
        with kcore.GradientTape() as tape:
            tape.watch(state)
            y = ops.sum(ops.square(lstm(h0=state, c0=state)[0]))
        return tape.gradient(y, state)

    def penalty(state):
        return ops.sum(ops.square(gradient(state)))

    state = ops.convert_to_tensor(H)
    with kcore.GradientTape() as tape:
        tape.watch(state)
        value = penalty(state)
    slope = float((np.asarray(tape.gradient(value, state)) * KERNEL[:2, :5]).sum())
    step = 1e-4 * KERNEL[:2, :5]
    want = (float(penalty(ops.convert_to_tensor(H + step))) - float(penalty(ops.convert_to_tensor(H - step)))) / 2e-4
    assert slope == pytest.approx(want, rel=1e-6)  # a central difference: 1e-8 of truncation


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize(
    "sequences, masked, merge", [(True, True, "concat"), (True, False, "sum"), (False, True, "ave")]
)
def test_both_directions_at_once(kind, sequences, masked, merge, monkeypatch):
    pattern = getattr(kcore.layers, kind)(5, return_sequences=sequences, return_state=True, bias_initializer="normal")
    layer = kcore.layers.Bidirectional(pattern, merge_mode=merge)
    x, mask = ops.convert_to_tensor(X.astype("float32")), MASK if masked else None

    def call():
        with kcore.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, mask=mask)
            total = sum(ops.sum(ops.square(y)) for y in outputs)
        return [*outputs, *tape.gradient(total, [x, *[w.value for w in layer.trainable_variables]])]

    together = call()
    monkeypatch.setattr("kcore.layers.rnn.bidirectional.run_both", lambda *args: None)
    for a, b in zip(together, call(), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6)
