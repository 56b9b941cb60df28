"""Models against Keras: configs key by key, names and order of variables, summaries, deserialization both ways."""

import json
import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

import kcore  # noqa: E402

# Keras's own, under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


def cnn(k):
    x = k.Input((8, 8, 3), name="img")
    h = k.layers.Conv2D(4, 3, name="c1", activation="relu")(x)
    h = k.layers.MaxPooling2D()(k.layers.BatchNormalization()(h))
    return k.Model(x, k.layers.Dense(3, activation="softmax")(k.layers.Flatten()(h)), name="cnn")


def shared(k):
    a, b, d = k.Input((4,)), k.Input((4,), name="b"), k.layers.Dense(5)
    s, t = k.layers.Concatenate()([d(a), d(b)]), k.layers.Add()([d(a), d(b)])
    return k.Model([a, b], [k.layers.Dense(1, name="p")(s), k.layers.Dense(2, name="q")(t)])


def dicts(k):
    a, b = k.Input((4,), name="a"), k.Input((2,), name="b")
    return k.Model({"a": a, "b": b}, {"o": k.layers.Concatenate()([a, b]), "t": k.layers.Dense(2)(a)})


def operators(k):
    x, y, o = k.Input((4,)), k.Input((4, 5)), k.ops
    outputs = [x + 1, 1 - x, x * x / 2, -x, x > 0, x**2, abs(x), y[:, 0], y[:, 1:3, ...], x @ o.transpose(x)]
    outputs += [o.mean(y, axis=1, keepdims=True), o.concatenate([x, y[:, 0]], axis=-1), o.relu(x), o.softmax(y)]
    outputs += [o.reshape(y, (-1, 20)), o.expand_dims(x, 1), o.stack([x, x], axis=1), o.sum(y), o.where(x > 0, x, 0.0)]
    outputs += [o.max(y, axis=-1), o.clip(x, 0.0, 1.0), o.squeeze(y[:, :1], 1), o.tile(x, [1, 2]), o.log1p(x)]
    outputs += [
        o.maximum(x, 0.0),
        o.one_hot(o.argmax(x, axis=-1), 4, dtype="float32"),
        o.matmul(y, o.transpose(y, (0, 2, 1))),
    ]
    outputs += [o.pad(x, [[0, 0], [1, 1]]), o.repeat(x, 2, axis=1), o.flip(x, axis=1), o.take(x, [0, 1], axis=1)]
    outputs += [o.cast(x, "int32"), o.split(x, 2, axis=1)[0], o.einsum("bi,bij->bj", x, y), o.leaky_relu(x, 0.1)]
    return k.Model([x, y], outputs)


def recurrent(k):
    x = k.Input((7,), dtype="int32")
    h = k.layers.LSTM(3, return_sequences=True)(k.layers.Embedding(10, 4, mask_zero=True)(x))
    h = k.layers.TimeDistributed(k.layers.Dense(2))(h)
    return k.Model(x, k.layers.Bidirectional(k.layers.GRU(2))(h))


def transformer(k):
    """Masks through residual blocks: attention takes them from its inputs, so Keras's second block sees none."""
    L = k.layers
    a, b = k.Input((6,), dtype="int32", name="a"), k.Input((5,), dtype="int32", name="b")
    embedding = L.Embedding(5, 8, mask_zero=True)
    x, y = embedding(a), embedding(b)
    for _ in range(2):
        x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 4)(x, x)]))
    y = L.Add()([y, L.MultiHeadAttention(2, 4)(y, y, use_causal_mask=True)])
    y = L.LayerNormalization()(L.Add()([y, L.MultiHeadAttention(2, 4)(y, x)]))
    z = L.Attention()([embedding(b), embedding(a)])
    return k.Model([a, b], [L.GlobalAveragePooling1D()(x), L.LSTM(3)(y), z])


def states(k):
    x, h = k.Input((5, 3)), k.Input((2,), name="h")
    out, last = k.layers.GRU(2, return_state=True, name="g")(x, initial_state=h)
    return k.Model([x, h], [out, last])


def nested(k):
    inner, sequence = shared(k), sequential(k)
    x = k.Input((4,))
    p, q = inner([x, x])
    return k.Model(x, [p, q, k.layers.Dense(1)(sequence(x))])


def sequential(k):
    l = k.layers  # noqa: E741
    return k.Sequential([k.Input((4,)), l.Dense(3), l.BatchNormalization(), l.Dropout(0.5)])


def built_later(k):
    model = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
    model.build((None, 4))
    return model


def built_by_call(k):
    model = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
    model(np.ones((2, 4), "float32"))
    return model


def unbuilt(k):
    return k.Sequential([k.layers.Dense(3), k.layers.Dropout(0.1)])


def late_input(k):
    x, y, l = k.Input((4,)), k.Input((4,), name="late"), k.layers  # noqa: E741
    h = l.Add()([l.Dense(4)(l.Dense(4)(x)), l.Dense(4)(x)])
    return k.Model([x, y], l.Multiply()([h, y]))


def frozen(k):
    x = k.Input((4,))
    return k.Model(x, k.layers.Dropout(0.5)(k.layers.Dense(3, trainable=False)(x), training=True))


MODELS = [
    cnn,
    shared,
    dicts,
    operators,
    recurrent,
    transformer,
    states,
    nested,
    sequential,
    built_later,
    built_by_call,
    unbuilt,
    late_input,
    frozen,
]


@pytest.fixture(scope="module", params=MODELS, ids=lambda make: make.__name__)
def pair(request):
    """The same model in Keras and here, names counted from the start in both."""
    keras.utils.clear_session()
    theirs = request.param(keras)
    kcore.backend.clear_session()
    return theirs, request.param(kcore)


def plain(config):
    """As JSON, without what is an accident of Keras's and means nothing to either.

    That is: ids of shared objects; how a layer without state was built; an empty compile config.
    """
    if isinstance(config, dict):
        dropped = {"shared_object_id"}
        dropped |= {"build_config"} if config.get("class_name") == "Flatten" else set()
        dropped |= {"compile_config"} if config.get("compile_config") == {} else set()
        return {key: plain(value) for key, value in config.items() if key not in dropped}
    return [plain(value) for value in config] if isinstance(config, (list, tuple)) else config


def test_configs_are_equal(pair):
    theirs, ours = pair
    assert plain(ours.get_config()) == plain(theirs.get_config())


def test_variables_are_named_and_ordered_alike(pair):
    for attribute in ("variables", "weights", "trainable_variables", "non_trainable_weights"):
        theirs, ours = ([(v.path, tuple(v.shape)) for v in getattr(model, attribute)] for model in pair)
        assert ours == theirs, attribute
    theirs, ours = ([layer.name for layer in model.layers] for model in pair)
    assert ours == theirs


@pytest.mark.parametrize(
    "options", [{}, {"expand_nested": True, "show_trainable": True}, {"line_length": 60}, {"line_length": 80}], ids=str
)
def test_summaries_are_equal(pair, options):
    texts = []
    for model in pair:
        model.summary(print_fn=lambda text, line_break=None: texts.append(text), **options)
    assert texts[1] == texts[0]


def test_each_reads_the_other_s_config(pair):
    theirs, ours = pair
    names = {layer.name for layer in theirs.layers}
    here = type(ours).from_config(json.loads(json.dumps(theirs.get_config())))
    assert {layer.name for layer in here.layers} == names
    there = type(theirs).from_config(json.loads(json.dumps(ours.get_config())))
    assert {layer.name for layer in there.layers} == names
    if ours.built and theirs.built:
        assert [tuple(v.shape) for v in here.weights] == [tuple(v.shape) for v in theirs.weights]
        assert [tuple(v.shape) for v in there.weights] == [tuple(v.shape) for v in ours.weights]


def test_outputs_are_equal(pair):
    theirs, ours = pair
    if not ours.built:
        pytest.skip("a Sequential model without input")
    ours.set_weights(theirs.get_weights())
    rng = np.random.default_rng(1)

    def data(x):
        shape = [2 if size is None else size for size in x.shape]
        return rng.integers(0, 5, shape) if "int" in x.dtype else rng.normal(size=shape).astype("float32")

    inputs = kcore.tree.map_structure(data, ours.input)
    for a, b in zip(
        kcore.tree.flatten(ours(inputs, training=False)), keras.tree.flatten(theirs(inputs, training=False))
    ):
        # Two implementations of short float32 sums and of exp and tanh: a few units in the last place each.
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)
