"""Every layer of the table against Keras 3.15: weights, configuration, shapes, outputs, gradients."""

from __future__ import annotations

import json

import numpy as np
import pytest

import kcore
from layer_cases import CASES, MASK, X3, X4, Case

keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")
jax.config.update("jax_disable_most_optimizations", True)  # compiling takes longer than the tiny inputs do
# Keras itself uses what NumPy and JAX are giving up.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:keras")]
# float32 on both sides, a few hundred products per element at most: a few dozen roundings of 6e-8 of values of order
# 1 to 10.
TOLERANCE = {"rtol": 2e-5, "atol": 1e-5}


def flat(outputs) -> list[np.ndarray]:
    """Tensors of any structure as arrays."""
    if isinstance(outputs, (list, tuple)):
        return [a for o in outputs for a in flat(o)]
    return [np.asarray(outputs)]


def plain(config):
    """A configuration without names and ids, as JSON holds it."""
    if isinstance(config, dict):
        return {k: plain(v) for k, v in config.items() if k not in ("name", "shared_object_id", "code", "build_config")}
    if isinstance(config, (list, tuple)):
        return [plain(v) for v in config]
    return config


def both(case: Case):
    """(kcore's layer, Keras's layer, inputs), built, with Keras's weights in both."""
    keras.utils.set_random_seed(3)  # the same weights in every run
    ours, theirs = case.make(kcore.layers), case.make(keras.layers)
    inputs = case.inputs()
    x = inputs[0] if len(inputs) == 1 else inputs
    ours(x, **case.call, **inference(ours))
    theirs(x, **case.call, **inference(theirs))
    rng = np.random.default_rng(3)
    if type(ours).__name__ == "Normalization":  # Keras does not see that these weights have changed
        return ours, theirs, x
    weights = [w + 0.1 * rng.normal(size=w.shape).astype(w.dtype) ** 2 for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return ours, theirs, x


def inference(layer) -> dict:
    """Augmentation layers act unless they are told not to."""
    return {"training": False} if type(layer).__name__.startswith("Random") else {}


def takes_training(layer) -> bool:
    import inspect

    return "training" in inspect.signature(layer.call).parameters


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_outputs_and_weights(case):
    ours, theirs, x = both(case)
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert [w.path.split("/")[1:-1] for w in ours.weights if "lstm" not in w.path] == [
        w.path.split("/")[1:-1] for w in theirs.weights if "lstm" not in w.path
    ] or "/" in ours.weights[0].path
    assert [w.trainable for w in ours.weights] == [w.trainable for w in theirs.weights]
    assert len(ours.variables) == len(theirs.variables)  # seed states included
    got, expected = ours(x, **case.call, **inference(ours)), theirs(x, **case.call, **inference(theirs))
    assert isinstance(got, tuple) == isinstance(expected, tuple)
    for a, b in zip(flat(got), flat(expected), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype or {str(a.dtype), str(b.dtype)} == {"int64", "int32"}  # Keras on JAX has no int64
        np.testing.assert_allclose(a, b, **TOLERANCE)
    if takes_training(theirs) and not case.random:
        got, expected = ours(x, training=True, **case.call), theirs(x, training=True, **case.call)
        for a, b in zip(flat(got), flat(expected), strict=True):
            np.testing.assert_allclose(a, b, **TOLERANCE)
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, **TOLERANCE)
    for a, b in zip(ours.losses, theirs.losses, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **TOLERANCE)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_config_and_shapes(case):
    ours, theirs = case.make(kcore.layers), case.make(keras.layers)
    a, b = plain(ours.get_config()), plain(theirs.get_config())
    assert json.loads(json.dumps(a)) == json.loads(json.dumps(b))
    assert ours.supports_masking == theirs.supports_masking
    shapes = [(None, *shape[1:]) for shape in case.shapes]
    shape = shapes[0] if len(shapes) == 1 else shapes
    try:
        expected = theirs.compute_output_shape(shape)
    except NotImplementedError:
        return
    got = ours.compute_output_shape(shape)
    if case.name.startswith("einsum"):  # Keras forgets the sizes that output_shape leaves open, we keep the input's
        assert all(b in (a, None) for a, b in zip(got, expected, strict=True))
    else:
        assert json.dumps(got) == json.dumps(expected)


@pytest.mark.parametrize("case", [c for c in CASES if c.gradients], ids=lambda c: c.name)
def test_gradients(case):
    for a, b in zip(*gradients(case), strict=True):
        # sums of up to 1e3 terms, so ten times the tolerance of the outputs
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-4, atol=1e-4)


def gradients(case):
    """Gradients of a random weighting of the outputs, ours and Keras's: of the weights, then of the float inputs."""
    ours, theirs, x = both(case)
    xs = x if isinstance(x, list) else [x]
    training = {"training": True} if takes_training(theirs) and not case.random else {}
    probe = np.random.default_rng(5)
    factors = [probe.normal(size=o.shape).astype("float32") for o in flat(ours(x, **case.call, **training))]
    both_weights = theirs.get_weights()
    ours.set_weights(both_weights)  # batch statistics moved
    floats = [a for a in xs if a.dtype.kind == "f"]

    with kcore.GradientTape() as tape:
        tensors = [kcore.ops.convert_to_tensor(a) for a in xs]
        for t in tensors:
            if "float" in t.dtype:
                tape.watch(t)
        outputs = ours(tensors if isinstance(x, list) else tensors[0], **case.call, **training)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = sum(kcore.ops.sum(o * f) for o, f in zip(outputs, factors))
    wanted = ours.trainable_variables + [t for t, a in zip(tensors, xs) if a.dtype.kind == "f"]
    got = tape.gradient(loss, wanted)

    def scalar(weights, inputs):
        full = inputs if floats else xs
        value = full if isinstance(x, list) else full[0]
        state = [v.value for v in theirs.non_trainable_variables]
        out, _ = theirs.stateless_call(weights, state, value, **case.call, **training)
        out = out if isinstance(out, tuple) else (out,)
        return sum((o * f).sum() for o, f in zip(out, factors))

    dw, dx = jax.grad(scalar, argnums=(0, 1))([v.value for v in theirs.trainable_variables], floats)
    return got, [*dw, *dx]


IMAGES = np.random.default_rng(1).integers(0, 256, (3, 6, 7, 2)).astype("float32")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    "make",
    [
        lambda L, f: L.RandomFlip(data_format=f),
        lambda L, f: L.RandomFlip("horizontal", data_format=f),
        lambda L, f: L.RandomRotation(0.3, "constant", fill_value=7.0, data_format=f),
        lambda L, f: L.RandomRotation(0.3, "reflect", "nearest", data_format=f),
        lambda L, f: L.RandomZoom(0.4, 0.2, "wrap", data_format=f),
        lambda L, f: L.RandomZoom(0.4, data_format=f),
        lambda L, f: L.RandomTranslation(0.4, 0.2, "nearest", data_format=f),
        lambda L, f: L.RandomContrast(0.5, data_format=f),
        lambda L, f: L.RandomBrightness(0.5, data_format=f),
    ],
)
def test_augmentation_does_what_keras_does_with_the_same_random_numbers(make, data_format):
    if data_format == "channels_first" and "Rotation" in type(make(keras.layers, data_format)).__name__:
        pytest.skip("Keras turns channels_first images around another centre than channels_last ones")
    ours, theirs = make(kcore.layers, data_format), make(keras.layers, data_format)
    images = IMAGES if data_format == "channels_last" else IMAGES.transpose(0, 3, 1, 2)
    transformation = theirs.get_random_transformation(images, training=True)
    expected = np.asarray(theirs.transform_images(images, transformation, training=True))
    mine = {k: np.asarray(v) if hasattr(v, "dtype") else v for k, v in transformation.items()}
    got = np.asarray(ours.transform_images(kcore.ops.convert_to_tensor(images), mine, training=True))
    # coordinates of order 10 in float32 move by 1e-6, between neighbours that differ by 255
    bad = np.abs(got - expected) > 2e-2
    assert bad.mean() <= (0.02 if getattr(ours, "interpolation", "") == "nearest" else 0)
    own = ours.get_random_transformation(kcore.ops.convert_to_tensor(images), training=True)
    for key, value in own.items():
        if hasattr(value, "dtype"):
            assert tuple(value.shape) == tuple(transformation[key].shape), key


def test_normalization_adapt():
    data = np.random.default_rng(2).normal(3, 2, X4).astype("float32")
    for axis in (-1, None, (1, 3)):
        ours, theirs = kcore.layers.Normalization(axis=axis), keras.layers.Normalization(axis=axis)
        ours.adapt(data)
        theirs.adapt(data)
        for name in ("mean", "variance"):
            np.testing.assert_allclose(np.asarray(getattr(ours, name)), np.asarray(getattr(theirs, name)), rtol=1e-5)
        np.testing.assert_allclose(np.asarray(ours(data)), np.asarray(theirs(data)), **TOLERANCE)
        assert [(w.name, w.shape) for w in ours.weights] == [(w.name, tuple(w.shape)) for w in theirs.weights]


@pytest.mark.parametrize("cell", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("reset_after", [True, False])
def test_dropout_masks_act_where_keras_puts_them(cell, reset_after):
    options = {"dropout": 0.5, "recurrent_dropout": 0.5}
    if cell == "GRUCell":
        options["reset_after"] = reset_after
    ours, theirs = (getattr(L, cell)(3, **options) for L in (kcore.layers, keras.layers))
    rng = np.random.default_rng(0)
    x, states = rng.normal(size=(2, 4)).astype("float32"), [rng.normal(size=(2, 3)).astype("float32") for _ in range(2)]
    states = states if cell == "LSTMCell" else states[:1]
    ours.build((2, 4))
    theirs.build((2, 4))
    ours.set_weights(theirs.get_weights())
    n = theirs.dropout_mask_count if cell != "SimpleRNNCell" else 1
    masks = [[rng.integers(0, 2, (2, k)).astype("float32") * 2 for _ in range(n)] for k in (4, 3)]
    masks = masks if n > 1 else [m[0] for m in masks]
    for layer in (ours, theirs):
        layer._dropout_mask, layer._recurrent_dropout_mask = masks
    got, expected = ours(x, states, training=True), theirs(x, states, training=True)
    for a, b in zip(flat(got), flat(expected), strict=True):
        np.testing.assert_allclose(a, b, **TOLERANCE)


def attention_pair(**options):
    layers = [L.MultiHeadAttention(**options) for L in (kcore.layers, keras.layers)]
    return layers


@pytest.mark.parametrize(
    ("options", "call"),
    [
        ({"num_heads": 2, "key_dim": 3}, {}),
        (
            {"num_heads": 2, "key_dim": 3, "value_dim": 5, "output_shape": 7, "use_bias": False},
            {"use_causal_mask": True},
        ),
        ({"num_heads": 2, "key_dim": 3, "output_shape": (3, 2)}, {"value_mask": MASK}),
        ({"num_heads": 1, "key_dim": 3, "use_gate": True, "sliding_window": 2}, {"query_mask": MASK}),
        ({"num_heads": 2, "key_dim": 3}, {"attention_mask": np.tril(np.ones((3, 6, 6), bool))}),
    ],
)
def test_multi_head_attention(options, call):
    ours, theirs = attention_pair(**options)
    rng = np.random.default_rng(0)
    query, value = rng.normal(size=X3).astype("float32"), rng.normal(size=X3).astype("float32")
    ours(query, value)
    theirs(query, value, return_attention_scores=True)  # without scores, Keras on JAX cannot do value_dim != key_dim
    assert [(w.path.split("/")[1:], w.shape) for w in ours.weights] == [
        (w.path.split("/")[1:], tuple(w.shape)) for w in theirs.weights
    ]
    ours.set_weights(theirs.get_weights())
    got = ours(query, value, return_attention_scores=True, **call)
    expected = theirs(query, value, return_attention_scores=True, **call)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **TOLERANCE)
    assert plain(ours.get_config()) == plain(theirs.get_config())
    assert ours.compute_output_shape(query.shape, value.shape) == theirs.compute_output_shape(query.shape, value.shape)


def test_multi_head_attention_over_two_axes():
    ours, theirs = attention_pair(num_heads=2, key_dim=3, attention_axes=(1, 2))
    x = np.random.default_rng(0).normal(size=X4).astype("float32")
    ours(x, x)
    theirs(x, x)
    ours.set_weights(theirs.get_weights())
    got, expected = (layer(x, x, return_attention_scores=True) for layer in (ours, theirs))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **TOLERANCE)


def test_masks_travel_as_in_keras():
    ids = np.array([[1, 2, 0, 0], [3, 0, 1, 0]])

    def masks(K):
        L = K.layers
        x = L.Embedding(5, 3, mask_zero=True)(ids)
        found = [x]
        for layer in (L.Dropout(0.1), L.Dense(3), L.LSTM(3, return_sequences=True), L.TimeDistributed(L.Dense(2))):
            found.append(layer(found[-1]))
        found.append(L.Add()([found[-1], found[-1]]))
        found.append(L.Concatenate()([found[-1], found[0]]))
        found.append(L.Masking()(np.zeros((2, 4, 3), "float32")))
        found.append(L.LSTM(3)(found[0]))
        get = keras.src.backend.get_keras_mask if K is keras else lambda t: t.keras_mask
        return [None if get(t) is None else np.asarray(get(t)) for t in found]

    for a, b in zip(masks(kcore), masks(keras), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_stateful(name):
    ours, theirs = (getattr(L, name)(3, stateful=True) for L in (kcore.layers, keras.layers))
    x = np.random.default_rng(0).normal(size=X3).astype("float32")
    ours.build(X3)
    theirs.build(X3)
    ours.set_weights(theirs.get_weights())
    for _ in range(2):
        np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(theirs(x)), **TOLERANCE)
    first = np.asarray(ours(x))
    ours.reset_state()
    assert np.abs(np.asarray(ours(x)) - first).max() > 1e-3
    assert len(ours.variables) == len(theirs.variables)
