"""Attention layers against Keras, with and without the scores in memory: outputs, gradients, masks, configurations."""

from __future__ import annotations

import numpy as np
import pytest

import kcore

keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:__array__ implementation")]

# Values of order 1 after a few dozen float32 operations on each side.
TOLERANCE = dict(rtol=1e-4, atol=1e-5)
RNG = np.random.default_rng(0)
QUERY, VALUE = RNG.normal(size=(3, 6, 4)).astype("float32"), RNG.normal(size=(3, 6, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 0, 0], [1, 0, 1, 0, 1, 1], [0, 0, 0, 0, 0, 0]], bool)
FULL_MASK = np.tril(np.ones((3, 6, 6), bool))
CALLS = {
    "plain": {},
    "causal": {"use_causal_mask": True},
    "value-mask": {"value_mask": MASK},
    "masks": {"value_mask": MASK, "key_mask": MASK[::-1], "attention_mask": FULL_MASK, "use_causal_mask": True},
    "query-mask": {"query_mask": MASK},
    "scores": {"return_attention_scores": True, "use_causal_mask": True, "attention_mask": FULL_MASK},
}
LAYERS = {
    "heads": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    "heads-window": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "sliding_window": 2, "use_gate": True}),
    "heads-dropout": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "dropout": 0.4}),
    "groups": ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}),
    "groups-window": (
        "GroupQueryAttention",
        {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 1, "sliding_window": 3, "use_bias": False},
    ),
    "groups-dropout": (
        "GroupQueryAttention",
        {"head_dim": 3, "num_query_heads": 2, "num_key_value_heads": 2, "dropout": 0.4, "use_gate": True},
    ),
}


def pair(name, options):
    """The layer of kcore and that of Keras, with the same weights."""
    ours, theirs = (getattr(layers, name)(**options) for layers in (kcore.layers, keras.layers))
    ours(QUERY, VALUE)
    theirs(QUERY, VALUE)
    assert [(w.path.split("/")[1:], w.shape) for w in ours.weights] == [
        (w.path.split("/")[1:], tuple(w.shape)) for w in theirs.weights
    ]
    ours.set_weights(theirs.get_weights())
    return ours, theirs


def flat(outputs):
    return [np.asarray(y) for y in (outputs if isinstance(outputs, tuple) else (outputs,))]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("layer", LAYERS)
def test_outputs(layer, call):
    ours, theirs = pair(*LAYERS[layer])
    got, want = (flat(f(QUERY, VALUE, **CALLS[call])) for f in (ours, theirs))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, **TOLERANCE)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras warns that its own projections drop masks
@pytest.mark.parametrize("layer", ["heads", "heads-dropout", "groups", "groups-dropout"])
def test_masks_of_embeddings(layer):
    # Query and value carry masks; the last sample is padding alone, and its queries see no key.
    ids = np.where(MASK, np.arange(1, 7), 0)
    ours, theirs = pair(*LAYERS[layer])
    tables = [k.layers.Embedding(7, 4, mask_zero=True) for k in (kcore, keras)]
    outputs = [table(ids) for table in tables]
    tables[0].set_weights(tables[1].get_weights())
    outputs[0] = tables[0](ids)
    got, want = (np.asarray(f(x, x, use_causal_mask=True)) for f, x in zip((ours, theirs), outputs))
    np.testing.assert_allclose(got, want, **TOLERANCE)


@pytest.mark.parametrize("layer", ["heads", "groups"])
def test_gradients(layer):
    ours, theirs = pair(*LAYERS[layer])
    with kcore.GradientTape() as tape:
        loss = kcore.ops.sum(kcore.ops.square(ours(QUERY, VALUE, use_causal_mask=True)))
    got = tape.gradient(loss, ours.trainable_weights)

    def squared(weights):
        y, _ = theirs.stateless_call(weights, [], QUERY, VALUE, use_causal_mask=True)
        return jax.numpy.sum(y**2)

    want = jax.grad(squared)([w.value for w in theirs.trainable_weights])
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **TOLERANCE)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("mask", [None, [None, MASK], [MASK, MASK]], ids=["none", "value", "both"])
@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal, mask, scores):
    ours, theirs = (k.layers.Attention(use_scale=True) for k in (kcore, keras))
    inputs, options = [QUERY, VALUE], {"mask": mask, "use_causal_mask": causal, "return_attention_scores": scores}
    ours(inputs)
    theirs(inputs)
    for layer in (ours, theirs):
        layer.set_weights([np.float32(0.7)])
    got, want = flat(ours(inputs, **options)), flat(theirs(inputs, **options))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, **TOLERANCE)


def test_configuration_of_grouped_queries():
    options = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2, "sliding_window": 5, "dropout": 0.1}
    ours, theirs = pair("GroupQueryAttention", {**options, "kernel_initializer": "zeros", "seed": 3})
    mine, other = kcore.saving.serialize_keras_object(ours), keras.saving.serialize_keras_object(theirs)
    assert mine["class_name"] == other["class_name"]
    assert list(mine["config"]) == list(other["config"])
    assert mine["config"]["name"].startswith("grouped_query_attention")
    again = kcore.saving.deserialize_keras_object(other)
    assert again.get_config()["sliding_window"] == 5
    shapes = QUERY.shape, VALUE.shape
    assert ours.compute_output_shape(*shapes) == tuple(theirs.compute_output_shape(*shapes))
    with pytest.raises(ValueError, match="multiple of num_key_value_heads"):
        kcore.layers.GroupQueryAttention(3, 4, 3)
