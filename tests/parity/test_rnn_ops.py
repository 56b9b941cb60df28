"""The fused recurrent ops against Keras's layers on JAX: every combination of masks and directions."""

from __future__ import annotations

import os

import numpy as np
import pytest

from kcore.ops import rnn

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
# Keras reads its own variables in a way that NumPy warns of.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:__array__ implementation")]

# Five steps of sums of a few products of values near one.
TOLERANCE = dict(rtol=2e-5, atol=2e-6)
MASK = np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1]], bool)
FORMS = [
    ("LSTM", {}),
    ("GRU", {"reset_after": True}),
    ("GRU", {"reset_after": False}),
    ("SimpleRNN", {"activation": "tanh"}),
    ("SimpleRNN", {"activation": "relu"}),
]


def ours(kind, x, states, weights, mask, options):
    bias = weights[2] if len(weights) == 3 else None
    function = {"LSTM": rnn.lstm, "GRU": rnn.gru, "SimpleRNN": rnn.simple_rnn}[kind]
    return function(x, *states, *weights[:2], bias, mask, **options)


@pytest.mark.parametrize("kind, form", FORMS, ids=["-".join(map(str, (k, *f.values()))) for k, f in FORMS])
@pytest.mark.parametrize(
    "masked, backwards, zero_output, use_bias",
    [(False, False, False, True), (True, False, False, True), (True, True, False, False), (True, True, True, True)],
)
def test_layer(kind, form, masked, backwards, zero_output, use_bias):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, 5, 3)).astype("float32")
    states = [rng.normal(size=(4, 2)).astype("float32") for _ in range(2 if kind == "LSTM" else 1)]
    options = {"go_backwards": backwards, "zero_output_for_mask": zero_output}
    layer = getattr(keras.layers, kind)(
        2, return_sequences=True, return_state=True, use_bias=use_bias, bias_initializer="normal", **form, **options
    )
    want = layer(x, mask=MASK if masked else None, initial_state=states if len(states) > 1 else states[0])
    weights = [np.asarray(w) for w in layer.get_weights()]
    got = ours(kind, x, states, weights, MASK if masked else None, {**form, **options})
    assert len(got) == len(want)
    for a, b in zip(got, want):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **TOLERANCE)
